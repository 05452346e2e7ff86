"""What each command prints: for people in few lines, and with --json the shapes of docs/interfaces.md."""

import json
import re

import pytest

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

PROJECT = """\
builder "lab" { type = "buildctl", address = "ADDRESS" }
registry "HOST" {}
target "base" { context = ".", stage = "one", image = "HOST/shown/base" }
target "app" {
  default = true,
  context = ".", stage = "two", image = "HOST/shown/app", tags = { "v1", "latest" },
  args = { WHO = "a b" }, labels = { team = "x" }, contexts = { below = target "base" },
  cache = { type = "registry", ref = "HOST/shown/app:cache" },
}
policy "small" { at = "plan", check = function(p) warn("look at " .. p.name, { fix = "look" }) end }
policy "no root" { at = "publish", check = function() end }
flow "release" { summary = "Publish a version", args = { { "version", pattern = "^v" }, { "note", default = "none" } },
  run = function(arg) log.info(arg.version) end }
flow "quick" { run = function() end }
"""
DOCKERFILE = "FROM {base} AS one\nRUN echo one\nFROM {base} AS two\nARG WHO\nRUN echo $WHO > /who\nUSER dev\n"


def fields(value: dict, *names: str) -> None:
    """These fields, and no other: what is added must be written into the docs."""
    assert sorted(value) == sorted(names)


@pytest.fixture
def shown(strake, project, registry, buildkit, base):
    """A project with one of everything; shown(words…) runs a command in it and expects this exit code."""
    text = PROJECT.replace("ADDRESS", buildkit.address).replace("HOST", registry.host)
    folder = project({"Dockerfile": DOCKERFILE.format(base=base), "strake.lua": text})

    def run(*words, exit: int = 0, **more):
        done = strake(*words, cwd=folder, **more)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    run.folder = folder
    return run


# ---- help ----------------------------------------------------------------------------------------------------

COMMANDS = ["build", "plan", "check", "run", "publish", "rollback", "tags", "image", "cache", "history", "notify", "doctor",
            "plugin", "policy", "login", "logout", "init"]


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"]])
def test_help_names_every_command_on_stdout(strake, words):
    done = strake(*words)
    assert done.exit == 0 and not done.err
    listed = re.findall(r"^  ([a-z]+) +\S", done.out, re.M)
    assert listed == [*COMMANDS, "help"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_its_usage_and_the_common_options(strake, command):
    done = strake("help", command)
    assert done.exit == 0 and not done.err
    assert done.out.startswith(f"Usage: strake {command} ")
    assert "--json" in done.out and "--directory" in done.out
    assert strake(command, "--help").out == done.out


def test_help_of_no_command_suggests_one(strake):
    done = strake("help", "hisotry")
    assert done.exit == 2 and "did you mean `strake history`?" in done.err and not done.out


@pytest.mark.parametrize("words", [["--version"], ["version"]])
def test_version_is_one_line(strake, words):
    done = strake(*words)
    assert done.exit == 0 and re.fullmatch(r"strake \d+\.\d+\.\d+\n", done.out)


# ---- plan and tags -----------------------------------------------------------------------------------------

def test_plan_for_people_shows_everything_decided(shown, registry, tmp_path):
    done = shown("plan", "--check-cache", "--save", tmp_path / "plan.json")
    blocks = {block.split("\n")[0]: block for block in done.out.split("\n\n")}
    assert list(blocks)[:2] == ["base", "app"]
    app = blocks["app"]
    for line in ("  stage       two", f"  tags        {registry.host}/shown/app:v1, {registry.host}/shown/app:latest",
                 "  arguments   WHO=a b", "  labels      team=x", "  contexts    below = target:base",
                 f"  cache from  type=registry,ref={registry.host}/shown/app:cache", "  builder     lab (buildctl)",
                 "  policy      small: warn: look at app"):
        assert line in app.split("\n"), f"{line}\n{app}"
    assert "'build-arg:WHO=a b'" in app  # can be pasted into a shell
    assert re.search(r"^  inputs      sha256:[0-9a-f]{64}$", app, re.M)
    assert f"`strake build --plan {tmp_path / 'plan.json'}`" in done.out
    assert json.loads((tmp_path / "plan.json").read_text())["schema"] == "strake.plan/1"


def test_tags_for_people_are_references_alone(shown, registry):
    refs = [f"{registry.host}/shown/app:v1", f"{registry.host}/shown/app:latest"]
    assert shown("tags").out.splitlines() == refs
    assert shown("tags", "base").out == ""


def test_tags_have_the_documents_shape(shown, registry):
    document = shown("tags", "--json", "app", env={"SOURCE_DATE_EPOCH": "1700000000"}).json()
    fields(document, "schema", "target", "image", "version", "tags", "refs", "labels", "annotations")
    assert document["schema"] == "strake.tags/1" and document["target"] == "app"
    assert document["image"] == f"{registry.host}/shown/app"
    assert document["tags"] == ["v1", "latest"]
    assert document["labels"]["org.opencontainers.image.created"] == "2023-11-14T22:13:20.000Z"
    nothing = shown("tags", "--json", "base").json()
    assert (nothing["tags"], nothing["refs"], nothing["version"]) == ([], [], "")


@pytest.mark.parametrize("words, said", [(["tags", "ap"], "app"), (["tags", "a", "b"], "")])
def test_tags_of_no_target_are_a_usage_error(shown, words, said):
    assert said in shown(*words, exit=2).err


# ---- flows and policies ------------------------------------------------------------------------------------

def test_run_without_a_name_lists_the_flows(shown):
    assert shown("run").out == "release version [note]\n    Publish a version\nquick\n    \n"
    document = shown("run", "--json").json()
    assert document == {"schema": "strake.flows/1", "flows": [
        {"name": "release", "summary": "Publish a version",
         "args": [{"name": "version", "pattern": "^v"}, {"name": "note", "default": "none"}]},
        {"name": "quick", "summary": "", "args": []}]}


def test_run_of_a_flow_has_the_documents_shape(shown):
    document = shown("run", "--json", "release", "v1").json()
    fields(document, "schema", "run", "flow", "status", "duration_ms")
    assert (document["schema"], document["flow"], document["status"]) == ("strake.run/1", "release", "done")
    failed = shown("run", "--json", "release", "1", exit=2).json()
    assert failed["error"]["exit"] == 2 and "version" in failed["error"]["message"]
    assert "there is no flow relaese" in shown("run", "relaese", exit=2).err


def test_policies_are_listed_with_their_layer_and_place(shown, strake):
    (strake.home / "etc").mkdir()
    (strake.home / "etc/10-all.lua").write_text('\npolicy "org" { at = "image", check = function() end }\n')
    document = shown("policy", "list", "--json").json()
    fields(document, "schema", "policies")
    assert document["schema"] == "strake.policies/1"
    for policy in document["policies"]:
        fields(policy, "name", "at", "layer", "file", "line")
    assert [(p["name"], p["at"], p["layer"], p["line"]) for p in document["policies"]] == [
        ("org", "image", "organisation", 2), ("small", "plan", "project", 10), ("no root", "publish", "project", 11)]
    lines = shown("policy").out.splitlines()
    assert len(lines) == 3 and re.fullmatch(r"publish +project +no root +\(strake\.lua:11\)", lines[2])
    assert "strake policy list" in shown("policy", "lits", exit=2).err


def test_a_project_without_policies_and_flows_says_so(strake, project):
    folder = project({"Dockerfile": "FROM scratch\n", "strake.lua": 'target "x" {}\n'})
    assert strake("policy", cwd=folder).out == "No policy is declared.\n"
    assert strake("run", cwd=folder).out.startswith("No flow is declared.")
    assert strake("policy", "--json", cwd=folder).json()["policies"] == []
    assert strake("run", "--json", cwd=folder).json()["flows"] == []


# ---- plugins -----------------------------------------------------------------------------------------------

def test_plugins_have_the_documents_shape(shown):
    document = shown("plugin", "list", "--json").json()
    fields(document, "schema", "plugins")
    assert document["schema"] == "strake.plugins/1"
    found = {plugin["name"]: plugin for plugin in document["plugins"]}
    assert {"buildctl", "buildah", "oci", "layout", "ntfy"} <= set(found)
    assert found["buildctl"]["interfaces"] == ["builder/1"] and found["buildctl"]["abi"] == 1
    assert found["buildctl"]["path"].endswith("/buildctl.so")
    lines = shown("plugin").out.splitlines()
    assert any(re.fullmatch(r"ntfy +\d\S+ +notifier/1", line) for line in lines)


def test_info_of_a_plugin_tells_of_that_one(shown):
    done = shown("plugin", "info", "oci")
    assert re.match(r"oci \d", done.out) and re.search(r"^  interfaces +.*registry/1", done.out, re.M)
    assert re.search(r"^  file +/.*/oci\.so$", done.out, re.M) and re.search(r"^  ABI +1$", done.out, re.M)
    (plugin,) = shown("plugin", "info", "oci", "--json").json()["plugins"]
    assert plugin["name"] == "oci"
    assert shown("plugin", "info", "nosuch", exit=3).err
    assert "info NAME" in shown("plugin", "info", exit=2).err


def test_check_of_a_plugin_names_each_rule(shown):
    path = shown("plugin", "info", "ntfy", "--json").json()["plugins"][0]["path"]
    document = shown("plugin", "check", path, "--json").json()
    assert document["schema"] == "strake.plugin-check/1" and document["ok"] is True and document["path"] == path
    assert all(check["status"] in ("ok", "skip") and check["name"] for check in document["checks"])
    lines = shown("plugin", "check", path).out.splitlines()
    assert sum(line.startswith("ok ") for line in lines) == sum(c["status"] == "ok" for c in document["checks"])
    broken = shown.folder / "broken.so"
    broken.write_text("not a shared object")
    done = shown("plugin", "check", broken, exit=3)
    assert "fail" in done.out and "does not keep every rule" in done.err


# ---- doctor ------------------------------------------------------------------------------------------------

def test_doctor_has_the_documents_shape(shown, registry):
    document = shown("doctor", "--json").json()
    fields(document, "schema", "checks")
    assert document["schema"] == "strake.doctor/1"
    for check in document["checks"]:
        fields(check, "name", "group", "status", "detail", "hint", "duration_ms")
        assert check["status"] in ("ok", "warn", "fail", "skip")
    by_name = {(check["group"], check["name"]): check for check in document["checks"]}
    assert by_name["builder", "lab"]["status"] == "ok" and "linux/amd64" in by_name["builder", "lab"]["detail"]
    assert by_name["registry", registry.host]["status"] == "ok"
    assert by_name["tool", "git"]["status"] == "ok"
    lines = shown("doctor").out.splitlines()
    assert re.match(r"ok +builder +lab +buildctl ", lines[0])


@pytest.mark.parametrize("source, exit, group", [
    ('builder "gone" { type = "buildctl", address = "tcp://127.0.0.1:1" }\nregistry "127.0.0.1:1" {}\n', 9, "builder"),
    ('builder "b" { type = "buildctl", address = "ADDRESS" }\ntarget "a" { image = "127.0.0.1:1/a" }\n', 8, "registry"),
    ('builder "b" { type = "buildctl", address = "ADDRESS" }\n'
     'notifier "n" { type = "ntfy", url = "http://127.0.0.1:1/t" }\n', 7, "notifier"),
])
def test_doctor_exits_with_what_failed_worst(strake, project, buildkit, source, exit, group):
    folder = project({"Dockerfile": "FROM scratch\n", "strake.lua": source.replace("ADDRESS", buildkit.address)})
    done = strake("doctor", "--json", cwd=folder)
    assert done.exit == exit
    failed = [check for check in done.json()["checks"] if check["status"] == "fail"]
    assert failed and failed[0]["group"] == group and failed[0]["detail"]
    people = strake("doctor", cwd=folder)
    assert people.exit == exit and re.search(rf"^fail +{group} ", people.out, re.M)


@pytest.mark.parametrize("content, status, detail", [
    (None, "skip", "anonymous"), ("{}", "ok", "config.json")])
def test_doctor_says_where_credentials_are(strake, project, content, status, detail):
    if content is not None:
        (strake.home / "docker").mkdir()
        (strake.home / "docker/config.json").write_text(content)
    checks = strake("doctor", "--json", cwd=project({"Dockerfile": "FROM scratch\n"})).json()["checks"]
    (found,) = [check for check in checks if check["group"] == "credentials"]
    assert found["status"] == status and detail in found["detail"]


# ---- images ------------------------------------------------------------------------------------------------

def test_images_of_a_registry_are_shown_listed_tagged_and_copied(shown, registry, tmp_path):
    repository = f"{registry.host}/shown/app"
    (built,) = [t for t in shown("build", "--push", "--json", "app").json()["targets"] if t["name"] == "app"]
    document = shown("image", "show", f"{repository}:v1", "--json").json()
    fields(document, "schema", "ref", "digest", "media_type", "size_bytes", "annotations", "platforms")
    assert document["schema"] == "strake.image/1" and document["digest"] == built["digest"]
    (platform,) = document["platforms"]
    fields(platform, "platform", "digest", "size_bytes", "created", "config", "layers")
    assert platform["config"]["user"] == "dev"
    for layer in platform["layers"]:
        assert {"digest", "diff_id", "size_bytes"} <= set(layer) and DIGEST.fullmatch(layer["diff_id"])
    people = shown("image", "show", f"{repository}:v1").out
    assert people.splitlines()[1].startswith(built["digest"]) and "\n  user dev\n" in people
    assert len(re.findall(r"^ +\d\S* [kM]?B  sha256:", people, re.M)) == len(platform["layers"])

    listed = shown("image", "list", repository, "--json").json()
    assert listed == {"schema": "strake.list/1", "repository": repository, "tags": listed["tags"]}
    assert {"v1", "latest"} <= set(listed["tags"])
    assert shown("image", "list", repository).out.splitlines() == listed["tags"]

    moved = shown("image", "tag", f"{repository}:v1", "stable", "--json").json()
    fields(moved, "schema", "digest", "moves")
    assert moved["moves"] == [{"ref": f"{repository}:stable", "from": "", "to": built["digest"], "status": "done"}]
    assert registry.digest("shown/app", "stable") == built["digest"]
    assert re.match(r"done +\S+:edge  \(new\) -> sha256:", shown("image", "tag", f"{repository}:v1", "edge").out)

    copied = shown("image", "copy", f"{repository}:v1", f"oci:{tmp_path / 'layout'}:v1", "--json").json()
    fields(copied, "schema", "source", "destination", "digest", "source_digest", "blobs", "copied_bytes", "referrers",
           "moves", "duration_ms")
    fields(copied["blobs"], "copied", "mounted", "present")
    assert copied["digest"] == built["digest"] and copied["blobs"]["copied"] > 0
    again = shown("image", "copy", f"{repository}:v1", f"oci:{tmp_path / 'layout'}:v1")
    assert re.search(r"^0 blobs copied \(0 B\), 0 mounted, \d+ there already$", again.out, re.M)


@pytest.mark.parametrize("source", ["registry", "layout"])
def test_one_platform_is_copied_out_of_an_index(strake, base, tmp_path, source):
    layout, where = f"oci:{tmp_path / 'layout'}", base
    whole = strake("image", "copy", base, f"{layout}:all", "--json").json()
    if source == "layout":
        where = f"{layout}:all"
    arm = strake("image", "copy", "--platform", "linux/arm64", where, f"{layout}:arm", "--json").json()
    platforms = strake("image", "show", f"{layout}:all", "--json").json()["platforms"]
    assert [p["platform"] for p in platforms] == ["linux/amd64", "linux/arm64"]
    assert whole["digest"] == strake("image", "show", base, "--json").json()["digest"]
    assert arm["digest"] == platforms[1]["digest"] and arm["blobs"]["copied"] == 0
    (alone,) = strake("image", "show", f"{layout}:arm", "--json").json()["platforms"]
    assert alone["platform"] == "linux/arm64"
    assert strake("image", "list", layout).out.splitlines() == ["all", "arm"]
    none = strake("image", "copy", "--platform", "linux/s390x", where, f"{layout}:z", "--json")
    assert none.exit == 8 and "has no image for linux/s390x" in none.err and "image show" in none.err
    # One that is no index has one platform: asked for or not, it is that.
    again = strake("image", "copy", "--platform", "linux/arm64", f"{layout}:arm", f"{layout}:again", "--json").json()
    assert again["digest"] == arm["digest"]


def test_an_image_that_is_not_in_a_layout_is_exit_8(strake, base, tmp_path):
    strake("image", "copy", base, f"oci:{tmp_path}/l:one")
    done = strake("image", "show", f"oci:{tmp_path}/l:two", "--json")
    assert done.exit == 8 and done.json()["error"]["kind"] == "registry"
    assert strake("image", "show", f"oci:{tmp_path}/nowhere:x").exit == 8


@pytest.mark.parametrize("words", [["image"], ["image", "list"], ["image", "tag", "a"], ["image", "copy", "a"]])
def test_image_says_how_it_is_used(shown, words):
    assert "show REF" in shown(*words, exit=2).err or "usage: strake image" in shown(*words, exit=2).err


# ---- history ------------------------------------------------------------------------------------------------

def test_history_for_people(shown, registry):
    assert shown("history").out == "No run is recorded on this machine yet.\n"
    assert shown("history", "--json").json() == {"schema": "strake.history/1", "runs": []}
    shown("build", "--push", "--build-arg", "WHO=history", "app")
    shown("run", "release", "x", exit=2)
    (shown.folder / "Dockerfile").write_text("FROM scratch AS one\nFROM scratch AS two\nCOPY nothing /\n")
    shown("build", "app", exit=5)
    lines = shown("history", "-n", "5").out.splitlines()
    assert re.match(r"\S+  \d{4}-\d\d-\d\dT\d\d:\d\d  failed +build ", lines[0])
    assert re.search(r"  done +build .*base, app|  done +build .*app", lines[-1])
    run = lines[-1].split()[0]
    text = shown("history", "show", run).out
    assert re.search(r"^  (done|cached) +app: .*RUN echo", text, re.M)
    assert re.search(r"^  target  app done sha256:[0-9a-f]{64}$", text, re.M)
    assert re.search(rf"^  tag     {registry.host}/shown/app:v1  (\(new\)|sha256:\S+) -> sha256:", text, re.M)
    assert "  policy  small: warn: look at app" in text
    failed = shown("history", "show").out
    assert re.search(r"^  error   \S", failed, re.M)
    assert "history does not know" in shown("history", "shwo", exit=2).err
    assert "one run at a time" in shown("history", "show", "a", "b", exit=2).err
    assert "no document" in shown("history", "logs", "--json", exit=2).err


# ---- options -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words, said, hint", [
    (["build", "--nosuchthing"], "unknown option --nosuchthing", "see --help"),
    (["build", "--platfrom=linux/amd64"], "unknown option --platfrom", "did you mean --platform?"),
    (["build", "-Z"], "unknown option -Z", ""),
    (["build", "-t"], "--tag wants a value", ""),
    (["build", "--push=yes"], "--push takes no value", ""),
    (["build", "--timeout", "0x5s"], "is no duration", "300ms, 2s"),
    (["history", "-n", "0"], "--limit wants a positive number, not '0'", ""),
    (["history", "-n", "3x"], "--limit wants a positive number, not '3x'", ""),
    (["history", "--limit", "99999999999999999999"], "--limit wants a positive number", ""),
    (["build", *["--build-arg", "A=b"] * 600], "options were given", ""),
    (["build", "--build-arg", "=x"], "has no name", ""),
    (["tags", "-C"], "--directory wants a value", ""),
])
def test_an_option_that_cannot_be_taken_is_told(strake, project, words, said, hint):
    done = strake(*words, cwd=project({"Dockerfile": "FROM scratch\n"}))
    assert done.exit == 2 and said in done.err and hint in done.err and not done.out


def test_options_are_written_in_every_way_that_docker_takes(strake, project):
    folder = project({"Dockerfile": "FROM scratch\n", "sub/Other": "FROM scratch\n"})
    ways = [["-f", "sub/Other", "-t", "r.example/a:1"], ["-fsub/Other", "-tr.example/a:1"],
            ["--file=sub/Other", "--tag=r.example/a:1"], ["--file", "sub/Other", "--tag", "r.example/a:1", "--", "."]]
    plans = [strake("plan", "--json", *way, cwd=folder).json() for way in ways]
    assert plans[0]["targets"][0]["dockerfile"] == "sub/Other"
    assert all(plan["digest"] == plans[0]["digest"] for plan in plans)


# ---- init and where commands run ----------------------------------------------------------------------------

def test_init_writes_a_file_that_plans(strake, tmp_path):
    folder = tmp_path / "My App"
    folder.mkdir()
    done = strake("init", cwd=folder)
    assert done.exit == 0 and "There is no Dockerfile here yet." in done.out
    (folder / "Dockerfile").write_text("FROM scratch\n")
    document = strake("plan", "--json", cwd=folder).json()
    assert document["targets"][0]["name"] == "my-app"
    before = (folder / "strake.lua").read_text()
    refused = strake("init", "--image", "registry.example.org/team/x", cwd=folder)
    assert refused.exit == 2 and "--force" in refused.err and (folder / "strake.lua").read_text() == before
    again = strake("init", "--force", "--image", "registry.example.org/team/x", "--json", cwd=folder)
    assert again.json() == {"schema": "strake.init/1", "file": "strake.lua"}
    assert strake("plan", "--json", cwd=folder).json()["targets"][0]["image"] == "registry.example.org/team/x"
    assert strake("init", "name", cwd=folder).exit == 2


def test_a_command_runs_in_another_folder_and_reads_another_file(strake, project, tmp_path):
    folder = project({"Dockerfile": "FROM scratch\n", "other.lua": 'target "elsewhere" {}\n'})
    done = strake("plan", "-C", folder, "--config", "other.lua", "--json", cwd=tmp_path)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["name"] == "elsewhere"
    assert strake("plan", "-C", tmp_path / "nowhere").exit == 2


# ---- events ------------------------------------------------------------------------------------------------

def test_events_are_lines_of_the_documents_shape(shown, tmp_path):
    path = tmp_path / "events"
    shown("build", "--events", path, "app")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        assert event["v"] == 1 and TIME.fullmatch(event["time"]) and event["run"] == events[0]["run"] and event["type"]
    types = [event["type"] for event in events]
    assert types[0] == "run.started" and types[-1] == "run.done"
    (done,) = [e for e in events if e["type"] == "target.done" and e["target"] == "app"]
    assert done["name"] == "app" and done["steps"]["total"] > 0
    begun = {e["step"] for e in events if e["type"] == "step.started"}
    ended = {e["step"] for e in events if e["type"] == "step.done"}
    assert begun == ended


def test_events_to_stdout_and_to_a_descriptor(shown):
    out = shown("run", "--events", "-", "release", "v1").out
    assert [json.loads(line)["type"] for line in out.splitlines()][0] == "run.started"
    err = shown("run", "--events", "fd:2", "release", "v1").err
    assert '"type":"run.done"' in err
    assert "both want stdout" in shown("run", "--events", "-", "--json", "release", "v1", exit=2).err


@pytest.mark.parametrize("mode, said", [("plain", "#"), ("quiet", ""), ("rawjson", '{"v":1')])
def test_progress_goes_to_stderr(shown, mode, said):
    done = shown("build", "--progress", mode, "app")
    lines = [line for line in done.err.splitlines() if not line.startswith("strake: ")]
    assert any(line.startswith(said) for line in lines) if said else not [x for x in lines if x.startswith("#")]
    assert "#" not in done.out
