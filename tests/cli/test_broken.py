"""What somebody tries who means harm or is careless: no policy is got around, no secret shows."""

import json
import subprocess

import pytest

BUILDER = 'builder "b" {{ type = "buildctl", address = "{address}" }}\n'


@pytest.fixture
def organisation(strake):
    """Writes the organisation's policies."""
    def write(text: str) -> None:
        folder = strake.home / "etc"
        folder.mkdir(exist_ok=True)
        (folder / "rules.lua").write_text(text)
    return write


NO_ROOT = '''policy "no root" { at = "publish", check = function(image)
  if image.config.user == "" then deny("the image runs as root") end
end }
'''


def flow(buildkit, registry, name: str, body: str) -> str:
    return (BUILDER.format(address=buildkit.address) +
            f'target "x" {{ image = "{registry.host}/broken/{name}", tags = {{ "1" }} }}\n'
            f'flow "f" {{ run = function() {body} end }}\n')


def test_a_flow_cannot_show_policies_another_image_than_it_publishes(strake, project, organisation, buildkit, registry,
                                                                     base):
    organisation(NO_ROOT)
    folder = project({
        "Dockerfile": f"FROM {base} AS good\nUSER dev\nFROM {base}\n",
        "strake.lua": flow(buildkit, registry, "swap", '''
          local good = build("x", { stage = "good" })
          local bad = build("x")
          bad.ref, bad.config = good.ref, good.config
          publish(bad)'''),
    })
    done = strake("run", "f", cwd=folder)
    assert done.exit == 4, done.err
    assert "the image runs as root" in done.err
    assert registry.tags("broken/swap") == []


@pytest.mark.parametrize("forged", ["{ name = good.name, image = good.image, digest = good.digest, ref = good.ref,"
                                    " wanted = { good.image .. ':other' } }",
                                    "setmetatable({}, { __index = good })", "nil", "'x'"])
def test_only_what_build_returned_is_published(strake, project, buildkit, registry, base, forged):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": flow(buildkit, registry, "forged",
                                         f'local good = build("x") publish(good, {forged})')})
    done = strake("run", "f", "--json", cwd=folder)
    assert done.exit == 3, done.err
    assert "argument 2 is not an image that build() returned" in done.json()["error"]["message"]
    assert registry.tags("broken/forged") == []


def test_what_a_flow_logs_shows_no_secret(strake, project, tmp_path):
    folder = project({"strake.lua": '''flow "f" { run = function()
      local out = exec { "sh", "-c", "echo it is $WORD", env = { WORD = secret.env "WORD" } }.stdout
      print(out) log.warn(out) log.error(out)
    end }'''})
    events = tmp_path / "events"
    done = strake("run", "f", "--events", events, cwd=folder, env={"WORD": "hunter22222"})
    assert done.exit == 0, done.err
    assert done.err.count("it is [secret]") == 3
    assert "hunter22222" not in done.out + done.err + events.read_text()
    texts = [json.loads(line).get("text", "") for line in events.read_text().splitlines()]
    assert sum("it is [secret]" in text for text in texts) == 3
    for path in (strake.home / "state").rglob("*"):
        assert not path.is_file() or b"hunter22222" not in path.read_bytes(), path


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_closed_standard_streams_do_no_harm(strake, project, tmp_path, closed):
    folder = project({"strake.lua": 'flow "f" { run = function() exec { "true" } print "hello" end }\n'})
    script = f'"{strake.program}" run f --json --events "{tmp_path}/events" {closed}'
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=strake.env, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == (0 if closed == "2>&-" else 1)
    lines = (tmp_path / "events").read_text().splitlines()
    assert [json.loads(line)["v"] for line in lines] == [1] * len(lines) and lines


def test_json_and_events_on_one_stream_are_refused(strake, project):
    done = strake("run", "f", "--json", "--events", "fd:1", cwd=project({"strake.lua": ""}))
    assert done.exit == 2
    assert done.json()["error"]["kind"] == "usage"


def test_what_a_step_prints_does_not_reach_the_terminal_as_a_command(strake, project, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\nRUN printf 'a\\033]0;t\\007b\\302\\2332Jc\\rd\\033[2J\\n'\n",
                      "strake.lua": BUILDER.format(address=buildkit.address) +
                      'target "x" { labels = { a = "\\27]0;t\\7\\u{9b}2J" } }\n'})
    done = strake("build", "--no-cache", cwd=folder)
    assert done.exit == 0, done.err
    shown = done.err + strake("history", "logs", "last", cwd=folder).out + strake("plan", cwd=folder).out
    assert "2J" in shown
    assert not set(shown) & {"\x1b", "\x07", "\x9b"}


def test_a_message_shows_no_secret(strake, project, ntfy):
    folder = project({"strake.lua": f'''notifier "n" {{ type = "ntfy", url = "{ntfy.url}/broken-secret" }}
      flow "f" {{ run = function()
        notify {{ title = "t", message = exec {{ "sh", "-c", "echo it is $WORD", env = {{ WORD = secret.env "WORD" }} }}.stdout }}
      end }}'''})
    done = strake("run", "f", cwd=folder, env={"WORD": "hunter22222"})
    assert done.exit == 0, done.err
    assert "it is [secret]" in ntfy.messages("broken-secret")[0]["message"]
    for path in (strake.home / "state").rglob("*"):
        assert not path.is_file() or b"hunter22222" not in path.read_bytes(), path


def test_a_registry_that_is_too_slow_is_exit_8(strake, registry, liar, base):
    liar.slow("GET", "/base/busybox/manifests/", 4)
    try:
        done = strake("image", "show", "--json", "--timeout", "1s", base.replace(registry.host, liar.host))
    finally:
        liar.forget()
    assert (done.exit, done.json()["error"]["kind"]) == (8, "registry"), done.err


def test_nothing_that_a_build_or_a_flow_says_is_a_command_to_the_runner(strake, project, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\nRUN printf '::error::one\\n ::error::two\\n##[error]three\\n'; false\n",
                      "strake.lua": BUILDER.format(address=buildkit.address) + '''target "x" { image = "127.0.0.1:1/a/b" }
                      flow "f" { run = function() log.info "::error::four" print " ::error::five ##[error]six" build "x" end }
                      '''})
    done = strake("run", "f", cwd=folder, env={"GITHUB_ACTIONS": "true"})
    assert done.exit == 5, done.err
    for word in ("one", "two", "three", "four", "five", "six"):
        lines = [line for line in done.err.splitlines() if word in line and "printf" not in line]
        assert lines, word
        assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line], word


@pytest.mark.parametrize("tag", ["", "a\udcff/b:c"])
def test_a_tag_that_is_none_is_refused(strake, project, tag):
    done = strake("plan", "--json", "-t", tag,
                  cwd=project({"Dockerfile": "FROM scratch\n", "strake.lua": 'target "x" { image = "127.0.0.1:1/a/b" }\n'}))
    assert done.exit == 2, done.err
    assert done.json()["error"]["kind"] == "usage"


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"\xff" * 9000, None])
def test_settling_without_a_history_is_no_success(strake, project, content):
    history = strake.home / "state/strake/history.db"
    history.parent.mkdir(parents=True)
    history.write_bytes(content) if content else history.mkdir()
    done = strake("publish", "--settle", "--json", cwd=project({"strake.lua": ""}))
    assert done.exit == 1, done.out
    assert "settled" in done.json()["error"]["message"]
    assert "history.db" in done.err
