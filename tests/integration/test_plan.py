"""Plans: everything decided and nothing run, saved and run exactly so, or refused."""

import json
import re
import shutil
import subprocess

import pytest

from harness.images import push_busybox
from harness.process import free_port
from harness.program import ROOT, commit, run_git

DOCKERFILE = "ARG BASE={base}\nFROM ${{BASE}} AS first\nARG WHO=nobody\nCOPY content /\nFROM first\nCMD cat /content\n"


@pytest.fixture
def planned(strake, project, registry, buildkit, base, request):
    """A project of its own base image, so that the base can move."""
    name = "plan/" + re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    mine = push_busybox(registry, name + "/base")
    folder = project({
        "Dockerfile": DOCKERFILE.format(base=mine), "content": "one\n", ".dockerignore": "ignored\n",
        "strake.lua": f"builder 'b' {{ type = 'buildctl', address = '{buildkit.address}' }}\n"
                      f"builder 'other' {{ type = 'buildah' }}\n"
                      f"target 'app' {{ context = '.', image = '{registry.host}/{name}', tags = {{ 'v1', 'latest' }},\n"
                      f"  args = {{ WHO = 'me' }}, builder = 'b', platforms = {{ 'linux/amd64' }} }}\n",
    })

    class Planned:
        def __init__(self):
            self.folder, self.registry, self.name, self.base = folder, registry, name, mine

        def run(self, *args, exit=0, **more):
            done = strake(*args, cwd=folder, **more)
            assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
            return done

        def plan(self, *args):
            return self.run("plan", "--json", *args).json()

        def edit(self, file, old, new):
            text = (folder / file).read_text()
            assert old in text
            (folder / file).write_text(text.replace(old, new))
    return Planned()


# ---- what a plan says --------------------------------------------------------------------------------------


def test_a_plan_has_the_documents_shape(planned):
    document = planned.plan()
    assert document["schema"] == "strake.plan/1" and document["digest"].startswith("sha256:")
    target, = document["targets"]
    assert "inputs" not in target
    assert (target["name"], target["context"], target["dockerfile"], target["stage"]) == ("app", ".", "Dockerfile", "")
    assert target["image"] == f"{planned.registry.host}/{planned.name}"
    assert (target["tags"], target["platforms"], target["args"]) == (["v1", "latest"], ["linux/amd64"], {"WHO": "me"})
    assert target["cache"] == {"import": [], "export": []} and target["policies"] == []
    build, = target["builds"]
    assert (build["builder"], build["plugin"], build["platforms"]) == ("b", "buildctl", ["linux/amd64"])
    assert build["command"][0] == "buildctl" and "build-arg:WHO=me" in build["command"]


def test_the_same_project_gives_the_same_plan(planned):
    assert planned.plan() == planned.plan()
    first = planned.plan()["digest"]
    planned.edit("strake.lua", "'me'", "'you'")
    assert planned.plan()["digest"] != first


def test_the_command_line_decides_over_the_target(planned):
    target, = planned.plan("--build-arg", "WHO=line", "--label", "a=b", "--target", "first", "-t",
                           "127.0.0.1:1/other:x")["targets"]
    assert (target["args"], target["labels"], target["stage"]) == ({"WHO": "line"}, {"a": "b"}, "first")
    assert target["image"] == "127.0.0.1:1/other" and target["tags"] == ["x"]


def test_a_policy_of_the_plan_may_change_it_and_is_told(planned):
    with open(planned.folder / "strake.lua", "a") as lua:
        lua.write("policy 'stamp' { at = 'plan', check = function(plan) plan.labels.team = 'x' end }\n"
                  "policy 'look' { at = 'plan', check = function(plan) warn('seen') end }\n")
    target, = planned.plan()["targets"]
    assert target["labels"] == {"team": "x"}
    assert [(one["name"], one["at"], one["action"]) for one in target["policies"]] == \
           [("stamp", "plan", "change"), ("look", "plan", "warn")]


def test_a_policy_of_the_plan_may_refuse_it(planned):
    with open(planned.folder / "strake.lua", "a") as lua:
        lua.write("policy 'no latest' { at = 'plan', check = function(plan)\n"
                  "  for _, tag in ipairs(plan.tags) do\n"
                  "    if tag == 'latest' then deny('latest is not for releases', { fix = 'name a version' }) end\n"
                  "  end\nend }\n")
    done = planned.run("plan", "--json", exit=4)
    error = done.json()["error"]
    assert (error["kind"], error["file"], error["line"], error["hint"]) == ("policy", "strake.lua", 7, "name a version")
    assert planned.registry.tags(planned.name) == []
    planned.run("build", "--push", exit=4)
    assert planned.registry.tags(planned.name) == []


def test_secrets_are_not_in_a_plan(planned):
    env = {"HIDDEN": "plan-secret-value"}
    planned.edit("strake.lua", "args =", "secrets = { token = secret.env 'HIDDEN' }, args =")
    done = planned.run("plan", "--json", env=env)
    people = planned.run("plan", env=env)
    planned.run("plan", "--save", "saved", env=env)
    for text in (done.out, people.out, (planned.folder / "saved").read_text()):
        assert "plan-secret-value" not in text


def test_people_can_paste_the_command(planned):
    out = planned.run("plan", "--build-arg", "WHO=it's two words").out
    line = next(line for line in out.splitlines() if line.strip().startswith("$ buildctl"))
    words = subprocess.run(["sh", "-c", "printf '%s\\n' " + line.strip()[2:]], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    assert words == planned.plan("--build-arg", "WHO=it's two words")["targets"][0]["builds"][0]["command"]


# ---- inputs ------------------------------------------------------------------------------------------------


def test_inputs_follow_what_decides_the_image_and_nothing_else(planned):
    def inputs(*args):
        return planned.plan("--check-cache", *args)["targets"][0]["inputs"]

    first = inputs()
    assert first == inputs() and first.startswith("sha256:")
    commit(planned.folder)
    run_git(planned.folder, "tag", "v9")
    (planned.folder / "ignored").write_text("not sent\n")
    planned.edit("strake.lua", "'v1'", "'v2'")
    assert planned.plan()["targets"][0]["tags"] == ["v2", "latest"]
    (planned.folder / ".dockerignore").write_text("ignored\nstrake.lua\n.git\n.dockerignore\n")
    second = inputs()
    planned.edit("strake.lua", "'v2'", "'v3'")
    planned.edit("strake.lua", "builder = 'b'", "builder = 'other'")
    commit(planned.folder)
    assert inputs() == second
    for args in (["--build-arg", "WHO=other"], ["--label", "a=b"], ["--target", "first"], ["--platform", "linux/arm64"]):
        assert inputs(*args) != second, args
    (planned.folder / "content").write_text("two\n")
    assert inputs() != second


def test_resolve_names_the_bases_digest_or_fails(planned):
    digest = planned.registry.digest(planned.name + "/base", "1")
    shown = planned.run("plan", "--resolve").out
    assert f"{planned.base} -> {digest}" in shown
    planned.edit("Dockerfile", planned.base, f"127.0.0.1:{free_port()}/nobody:1")
    done = planned.run("plan", "--resolve", "--json", exit=8)
    assert "nobody:1" in done.json()["error"]["message"]
    planned.plan("--check-cache")  # only a warning


# ---- saved and run -----------------------------------------------------------------------------------------


def test_a_saved_plan_is_run_exactly_so(planned):
    saved = planned.plan("--save", "saved.json")
    assert json.loads((planned.folder / "saved.json").read_text()) == saved
    done = planned.run("build", "--push", "--json", "--plan", "saved.json").json()
    assert done["plan"] == saved["digest"] and done["status"] == "done"
    assert sorted(planned.registry.tags(planned.name)) == ["latest", "v1"]
    config = planned.run("image", "show", "--json", f"{planned.registry.host}/{planned.name}:v1").json()
    assert config["platforms"][0]["platform"] == "linux/amd64"


def test_a_saved_plan_fits_another_checkout(planned, strake, tmp_path):
    planned.run("plan", "--save", tmp_path / "saved.json")
    other = tmp_path / "elsewhere"
    shutil.copytree(planned.folder, other)
    done = strake("build", "--stage", "--plan", tmp_path / "saved.json", cwd=other)
    assert done.exit == 0, done.err


def change_nothing(planned):
    """Neither time stamps nor owners nor a new commit change what is built."""
    (planned.folder / "content").touch()


def change_dockerfile(planned):
    planned.edit("Dockerfile", "CMD cat /content", "CMD ls /")


def change_file(planned):
    planned.edit("content", "one", "two")


def change_mode(planned):
    (planned.folder / "content").chmod(0o755)


def new_file(planned):
    (planned.folder / "another").write_text("x")


def gone_file(planned):
    (planned.folder / "content").unlink()


def change_base(planned):
    planned.registry.put(planned.name + "/base", "1",
                         json.loads(planned.registry.get(f"/v2/{planned.name}/base/manifests/1",
                                                         "application/vnd.oci.image.index.v1+json")[2])
                         ["manifests"][0]["digest"])


def builder_gone(planned):
    planned.edit("strake.lua", "builder 'b' {", "builder 'c' {")
    planned.edit("strake.lua", "builder = 'b'", "builder = 'c'")


def builder_of_another_kind(planned):
    planned.edit("strake.lua", "builder 'b' { type = 'buildctl', address", "builder 'b' { type = 'buildah' } -- ")


@pytest.mark.parametrize("change, named", [
    (change_dockerfile, "the Dockerfile"), (change_file, "files of the context"), (change_mode, "files of the context"),
    (new_file, "files of the context"), (gone_file, "files of the context"), (change_base, "the base image"),
    (builder_gone, "the builder b"), (builder_of_another_kind, "the builder b")], ids=lambda value: getattr(value, "__name__", ""))
def test_a_plan_that_no_longer_fits_is_refused_and_says_why(planned, tmp_path, change, named):
    planned.edit(".dockerignore", "ignored", "ignored\nstrake.lua\n.git")
    planned.run("plan", "--save", tmp_path / "saved")
    change(planned)
    done = planned.run("build", "--push", "--json", "--plan", tmp_path / "saved", exit=3)
    error = done.json()["error"]
    assert (error["kind"], error["exit"]) == ("stale", 3)
    assert "app" in error["message"] and named in error["message"], error
    assert planned.registry.tags(planned.name) == []


def test_what_does_not_decide_the_image_may_change(planned, tmp_path):
    planned.edit(".dockerignore", "ignored", "ignored\nstrake.lua\n.git")
    planned.run("plan", "--save", tmp_path / "saved")
    change_nothing(planned)
    commit(planned.folder)
    (planned.folder / "ignored").write_text("x")
    planned.run("build", "--push", "--plan", tmp_path / "saved")
    assert sorted(planned.registry.tags(planned.name)) == ["latest", "v1"]


def test_a_plan_keeps_its_arguments_whatever_strake_lua_says_now(planned, tmp_path):
    """A saved plan is decided: a file that is no input of the image cannot change it any more."""
    planned.edit(".dockerignore", "ignored", "ignored\nstrake.lua\n.git")
    planned.run("plan", "--save", tmp_path / "saved")
    planned.edit("strake.lua", "'v1'", "'v2'")
    planned.run("build", "--push", "--plan", tmp_path / "saved")
    assert sorted(planned.registry.tags(planned.name)) == ["latest", "v1"]


def test_a_saved_plan_does_not_get_past_a_policy_that_denies_it_now(planned, tmp_path):
    planned.edit(".dockerignore", "ignored", "ignored\nstrake.lua\n.git")
    planned.run("plan", "--save", tmp_path / "saved")
    text = (planned.folder / "strake.lua").read_text()
    (planned.folder / "strake.lua").write_text(text + "policy 'closed' { at = 'plan', check = function() deny('not today') end }\n")
    done = planned.run("build", "--push", "--json", "--plan", tmp_path / "saved", exit=4)
    assert "not today" in done.json()["error"]["message"]
    assert planned.registry.tags(planned.name) == []


@pytest.mark.parametrize("old, new", [
    ('"WHO": "me"', '"WHO": "you"'), ('"v1"', '"v2"'), ('"app"', '"appp"'), ("strake.plan/1", "strake.plan/2"),
    ('"no_cache": false', '"no_cache": 1'), ('"tags"', '"tagz"'), ("{", "[", ), ("}", ""), ('"context": "."', '"context": ".."'),
])
def test_a_plan_that_somebody_edited_is_refused(planned, tmp_path, old, new):
    planned.run("plan", "--save", tmp_path / "saved")
    text = (tmp_path / "saved").read_text()
    assert old in text
    (tmp_path / "saved").write_text(text.replace(old, new, 1))
    done = planned.run("build", "--push", "--json", "--plan", tmp_path / "saved", exit=3)
    assert done.json()["error"]["kind"] == "stale"
    assert planned.registry.tags(planned.name) == []


def test_a_plan_that_is_not_there_is_a_usage_error(planned):
    done = planned.run("build", "--plan", "nothing.json", "--json", exit=2)
    assert "nothing.json" in done.json()["error"]["message"]


# ---- what it costs -----------------------------------------------------------------------------------------


def traced(strake, folder, tmp_path, calls, *args, env=None) -> str:
    trace = tmp_path / "trace"
    done = subprocess.run(["strace", "-f", "-qq", "-e", f"trace={calls}", "-o", str(trace), str(strake.program),
                           *map(str, args)], cwd=folder, capture_output=True, text=True, check=False,
                          env={**strake.env, "ASAN_OPTIONS": "detect_leaks=0", **(env or {})})
    assert done.returncode == 0, done.stderr
    return trace.read_text()


def test_plugins_that_are_not_used_are_not_opened(planned, strake, tmp_path):
    crowd = tmp_path / "crowd"
    crowd.mkdir(mode=0o755)
    real = ROOT / "build" / strake.program.parts[-3] / "lib/strake/plugins/ntfy.so"
    for number in range(200):
        (crowd / f"extra{number}.so").symlink_to(real)
    trace = traced(strake, planned.folder, tmp_path, "open,openat", "plan", env={"STRAKE_PLUGIN_PATH": str(crowd)})
    opened = set(re.findall(r'"[^"]*/([\w-]+)\.so"', trace))
    assert not [name for name in opened if name.startswith("extra")]
    assert {"buildctl"} <= opened and not opened & {"ntfy", "buildah", "oci", "layout"}, opened
    libraries = set(re.findall(r'/(lib(?:curl|sqlite3|crypto))[-.]', trace))
    assert "libcurl" not in libraries


def test_the_version_opens_no_plugin_folder(planned, strake, tmp_path):
    trace = traced(strake, planned.folder, tmp_path, "open,openat", "--version")
    assert "strake/plugins" not in trace and not re.search(r'lib(curl|sqlite3|crypto)', trace)


def test_a_plan_is_made_offline(planned, strake, tmp_path):
    trace = traced(strake, planned.folder, tmp_path, "connect,sendto", "plan")
    assert "AF_INET" not in trace, trace
