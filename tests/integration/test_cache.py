"""Build caches: where they go, what comes back from them, and what `strake cache` says of them."""

import contextlib
import json
import os
import socket
import subprocess
import time

import pytest
from harness.actions_cache import ActionsCache
from harness.program import run_git
from harness.servers import S3, BuildKit, Registry


def prune(buildkit) -> None:
    """The daemon forgets everything."""
    subprocess.run([str(buildkit.buildctl), "--addr", buildkit.address, "prune", "--all"], check=True, capture_output=True)


def built(strake, *words, **more):
    done = strake(*words, **more)
    assert done.exit == 0, done.err
    return done


def steps(path, word: str = " RUN ") -> dict:
    """Did each such step come from the cache? One that did is told again, and as done, when its layer is fetched."""
    cached = {}
    for event in map(json.loads, path.read_text().splitlines()):
        if event["type"] == "step.done" and word in event["name"]:
            cached[event["step"]] = cached.get(event["step"], False) or event["cached"]
    return cached


def exported(path) -> list:
    """The places of `cache.exported`."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [event["ref"] for event in events if event["type"] == "cache.exported"]


@pytest.fixture
def cached(project, base, buildkit, registry, tmp_path):
    """cached(CACHE, …): a committed project whose target `app` has this cache, in Lua."""
    def make(cache: str, image: str = "", more: str = "", name: str = "app"):
        image = image or f"{registry.host}/caches/{tmp_path.name.replace('_', '-')[-40:].strip('-')}"
        folder = project({
            "Dockerfile": f"FROM {base}\nRUN echo {tmp_path} > /file\nRUN echo two\n",
            "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\n'
                          f'target "{name}" {{ image = "{image}", tags = {{ "t" }}, cache = {cache}, {more} }}\n'})
        return folder, image.removeprefix(f"{registry.host}/")
    return make


def travels(strake, folder, buildkit, events, env=None, first=()) -> None:
    """What one daemon exported another one, which has nothing, takes for its own. The first build pushes nothing, if
    `first` does not say so: of a blob that is new to the registry the image's push and the cache's export may each take
    the other's upload for done."""
    built(strake, "build", *first, cwd=folder, env=env)
    prune(buildkit)
    done = strake("build", "--push", "--events", events, cwd=folder, env=env)
    assert done.exit == 0, done.err
    assert steps(events) and all(steps(events).values()), done.err


@pytest.fixture
def app(project, base, buildkit):
    """A target that is built once: the daemon keeps its step."""
    def make(strake, name: str, extra: str = ""):
        folder = project({
            "Dockerfile": f"FROM {base}\nRUN echo {name} > /file\n",
            "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\n'
                          f'target "{name}" {{ {extra} }}\n'})
        done = strake("build", cwd=folder)
        assert done.exit == 0, done.err
        return folder
    return make


# ---- show ---------------------------------------------------------------------------------------


def test_show_tells_what_a_builder_keeps(strake, app):
    folder = app(strake, "kept")
    shown = strake("cache", "show", "--json", cwd=folder)
    assert shown.exit == 0, shown.err
    document = shown.json()
    assert document["schema"] == "strake.cache/1"
    (lab,) = document["builders"]
    assert (lab["builder"], lab["plugin"], lab["status"]) == ("lab", "buildctl", "ok")
    assert lab["records"] > 0 and lab["size_bytes"] > 0 and lab["oldest"] and lab["last_used"]
    assert sum(kind["records"] for kind in lab["types"].values()) == lab["records"]
    text = strake("cache", cwd=folder)
    assert text.exit == 0 and "builder lab (buildctl): " in text.out and " records, the oldest from " in text.out


def test_show_without_a_project_asks_what_the_machine_has(strake, buildkit, tmp_path):
    shown = strake("cache", "show", "--json", cwd=tmp_path, env={"BUILDKIT_HOST": buildkit.address})
    assert shown.exit == 0, shown.err
    assert [entry["status"] for entry in shown.json()["builders"]] == ["ok"]


def test_show_tells_a_builder_that_is_gone_and_goes_on(strake, project, buildkit):
    folder = project({"strake.lua": 'builder "gone" { type = "buildctl", address = "tcp://127.0.0.1:1" }\n'
                                    f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\n'})
    shown = strake("cache", "show", "--json", cwd=folder)
    assert shown.exit == 0, shown.err
    gone, lab = shown.json()["builders"]
    assert gone["status"] == "failed" and gone["error"]["kind"] == "builder" and lab["status"] == "ok"
    only = strake("cache", "show", "--builder", "lab", "--json", cwd=folder)
    assert [entry["builder"] for entry in only.json()["builders"]] == ["lab"]


def test_show_tells_what_lies_in_registries_and_folders(strake, cached, registry):
    folder, repository = cached('{ "registry", { type = "local", dest = "layers" }, "inline" }')
    built(strake, "build", cwd=folder)  # the cache first: travels() tells why
    built(strake, "build", "--push", cwd=folder)
    shown = strake("cache", "show", "--json", "app", cwd=folder)
    assert shown.exit == 0, shown.err
    document = shown.json()
    assert document["builders"] == []
    found = {entry["place"]: entry for entry in document["caches"]}
    name = f"{registry.host}/{repository}"
    own, layers = found[f"{name}:buildcache-app"], found[str(folder / "layers")]
    for entry, kind in ((own, "registry"), (layers, "local")):
        assert (entry["target"], entry["type"], entry["status"], entry["uses"]) == ("app", kind, "ok", ["export", "import"])
        assert entry["size_bytes"] > 1000 and entry["created"].startswith("20") and entry["created"].endswith("Z")
    assert found[f"{name}:buildcache"]["status"] == "absent"
    assert found[f"{name}:t"]["status"] == "image"
    text = strake("cache", "show", "app", cwd=folder).out
    assert f"cache of app: registry {name}:buildcache-app: " in text and "made just now (export, import)" in text
    assert f"{name}:buildcache: not there (import)" in text


def test_show_knows_caches_of_both_shapes(strake, cached, registry):
    """BuildKit writes a manifest, or an index in the older form."""
    folder, repository = cached('{ type = "registry", image_manifest = false }')
    built(strake, "build", cwd=folder)
    (entry,) = [entry for entry in strake("cache", "show", "app", "--json", cwd=folder).json()["caches"] if "export" in entry["uses"]]
    assert (entry["status"], entry["size_bytes"] > 1000) == ("ok", True), entry
    assert registry.tags(repository) == ["buildcache-app"]


def test_show_finds_caches_of_other_branches_and_no_other_targets(strake, cached, registry):
    folder, repository = cached('"auto"')
    built(strake, "build", cwd=folder)
    for tag in ("buildcache-app.gone", "buildcache-app-linux-arm64", "buildcache-app-server", "buildcache-apps.x"):
        registry.put(repository, tag, "buildcache-app")
    shown = strake("cache", "show", "app", "--json", cwd=folder).json()["caches"]
    assert sorted(entry["place"].rsplit(":", 1)[1] for entry in shown) == [
        "buildcache", "buildcache-app", "buildcache-app-linux-arm64", "buildcache-app.gone"]
    assert [entry["uses"] for entry in shown if entry["place"].endswith(".gone")] == [[]]


# ---- prune --------------------------------------------------------------------------------------


@pytest.fixture
def lone(tmp_path, registry):
    """A daemon of the test's own: what others have built is not to be pruned."""
    daemon = BuildKit(tmp_path / "lone", [registry])
    yield daemon
    daemon.stop()


def test_prune_empties_a_builder(strake, project, base, lone):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo one\n",
                      "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{lone.address}" }}\ntarget "app" {{}}\n'})
    built(strake, "build", cwd=folder)

    def size() -> int:
        return strake("cache", "show", "--json", cwd=folder).json()["builders"][0]["size_bytes"]
    before = size()
    dry = strake("cache", "prune", "--keep", "0", "--dry-run", "--json", cwd=folder)
    assert dry.exit == 0, dry.err
    assert dry.json()["schema"] == "strake.cache-prune/1" and dry.json()["dry_run"]
    assert dry.json()["builders"][0]["status"] == "would-remove" and 0 < dry.json()["freed_bytes"] <= before
    assert size() == before
    for bound in (("--older", "1h"), ("--keep", "100g")):
        kept = strake("cache", "prune", *bound, "--json", cwd=folder)
        assert kept.exit == 0 and kept.json()["freed_bytes"] == 0, kept.err
    done = strake("cache", "prune", "--keep", "0", "--builder", "lab", "--json", cwd=folder)
    assert done.exit == 0, done.err
    (lab,) = done.json()["builders"]
    assert lab["status"] == "removed" and lab["records"] > 0 and done.json()["freed_bytes"] == lab["size_bytes"] > 0
    assert size() < before


@pytest.mark.parametrize("version", ["registry", "registry3"])
def test_prune_removes_old_caches_and_never_an_image(strake, cached, request, version, base):
    registry = request.getfixturevalue(version)
    repository = f"prune/{version}"
    folder, _ = cached('{ "registry", { type = "local", dest = "layers" }, "inline" }', image=f"{registry.host}/{repository}")
    built(strake, "build", cwd=folder)  # the cache first: travels() tells why
    built(strake, "build", "--push", cwd=folder)
    (folder / "layers/mine").write_text("not the cache's")
    registry.put(repository, "buildcache-app.gone", "buildcache-app")
    registry.put(repository, "kept-by-hand", "buildcache-app")
    none = strake("cache", "prune", "--older", "1h", "--json", "app", cwd=folder)
    assert none.exit == 0 and none.json()["caches"] == [], none.err
    dry = strake("cache", "prune", "--keep", "0", "--dry-run", "app", cwd=folder)
    assert dry.exit == 0 and "would remove" in dry.out and "In all it would free " in dry.out
    assert (folder / "layers/index.json").exists() and "buildcache-app" in registry.tags(repository)
    done = strake("cache", "prune", "--keep", "0", "--json", "app", cwd=folder)
    assert done.exit == 0, done.err
    assert sorted((entry["type"], entry["status"]) for entry in done.json()["caches"]) == [
        ("local", "removed"), ("registry", "removed"), ("registry", "removed")]
    assert done.json()["builders"] == []
    assert registry.tags(repository) == ["kept-by-hand", "t"]
    assert [path.name for path in (folder / "layers").iterdir()] == ["mine"]


def test_what_may_not_be_removed_is_told_and_left(strake, cached, tmp_path):
    fixed = Registry(tmp_path / "fixed", 2, delete=False)
    try:
        folder, _ = cached("{}")
        lua = (folder / "strake.lua").read_text()
        (folder / "strake.lua").write_text(lua.replace("cache = {}", f'cache = {{ type = "registry", ref = "{fixed.host}/c:x" }}'))
        built(strake, "build", cwd=folder)
        digest = fixed.digest("c", "x")
        done = strake("cache", "prune", "--keep", "0", "app", "--json", cwd=folder)
        assert done.exit == 8, done.err
        assert [entry["status"] for entry in done.json()["caches"]] == ["failed"] and done.json()["error"]["kind"] == "registry"
        assert fixed.digest("c", "x") == digest
    finally:
        fixed.stop()


def test_keep_lets_the_oldest_go_first(strake, project, base, buildkit, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo {tmp_path}\n",
                      "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\n'
                                    'target "old" { cache = { type = "local", dest = "old", required = true } }\n'
                                    'target "new" { cache = { type = "local", dest = "new", required = true } }\n'})
    for name in ("old", "new"):
        built(strake, "build", name, cwd=folder)
    os.utime(folder / "old/index.json", (1600000000, 1600000000))
    size = max(entry["size_bytes"] for entry in strake("cache", "show", "old", "new", "--json", cwd=folder).json()["caches"])
    done = strake("cache", "prune", "--keep", str(size), "old", "new", "--json", cwd=folder)
    assert done.exit == 0, done.err
    assert [entry["target"] for entry in done.json()["caches"]] == ["old"]
    assert not (folder / "old").exists() and (folder / "new/index.json").exists()


@pytest.mark.parametrize("words, said", [
    (["prune"], "cache prune has to know what may go"),
    (["prune", "--keep", "much"], "--keep much is no size"),
    (["prune", "--older", "long"], "long"),
    (["shwo"], "did you mean `strake cache show`?"),
    (["show", "nothing"], "no target nothing"),
    (["show", "--builder", "lba"], "there is no builder lba"),
])
def test_what_cache_does_not_know(strake, project, words, said):
    folder = project({"strake.lua": 'builder "lab" { type = "buildctl", address = "tcp://127.0.0.1:1" }\n'})
    done = strake("cache", *words, cwd=folder)
    assert done.exit == 2 and said in done.err, done.err


def test_builders_that_hang_are_asked_side_by_side(strake, project, buildkit):
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(15)]
        lua = [f'builder "b{i}" {{ type = "buildctl", address = "tcp://127.0.0.1:{server.getsockname()[1]}", timeout_ms = 2000 }}'
               for i, server in enumerate(silent)]
        lua.append(f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}')
        folder = project({"strake.lua": "\n".join(lua)})
        begun = time.monotonic()
        shown = strake("cache", "show", "--json", cwd=folder)
        assert shown.exit == 0, shown.err
        assert [entry["status"] for entry in shown.json()["builders"]] == ["failed"] * 15 + ["ok"]
        assert time.monotonic() - begun < 25  # one after the other they take 30 s


@pytest.mark.parametrize("words", ["nonsense", "[3]", '[{"id":"x"}]', '[{"size":-1}]', "{}"])
def test_a_daemon_that_answers_nonsense_is_told(strake, project, buildkit, tmp_path, words):
    program = tmp_path / "buildctl"
    program.write_text(f"#!/bin/sh\necho '{words}'\n")
    program.chmod(0o755)
    folder = project({"strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}", program = "{program}" }}\n'})
    (lab,) = strake("cache", "show", "--json", cwd=folder).json()["builders"]
    assert lab["status"] == "failed" and "does not say what it keeps" in lab["error"]["message"], lab
    done = strake("cache", "prune", "--keep", "0", "--json", cwd=folder)
    assert done.exit == 9 and done.json()["builders"][0]["status"] == "failed", done.err


# ---- types --------------------------------------------------------------------------------------


def test_auto_goes_where_the_image_goes(strake, cached, buildkit, registry, tmp_path):
    folder, repository = cached('"auto"')
    travels(strake, folder, buildkit, tmp_path / "events")
    assert registry.tags(repository) == ["buildcache-app", "t"]
    again = strake("build", "--no-cache", cwd=folder)
    assert "ABSENT" in again.err and "FAILED" not in again.err
    shown = strake("history", "show", cwd=folder).out
    assert "absent  app: importing cache manifest" in shown and "failed" not in shown, shown


def test_auto_without_an_image_is_a_folder(strake, project, base, buildkit, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo {tmp_path}\n",
                      "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\n'
                                    'target "app" { cache = "auto" }\n'})
    for _ in range(2):
        prune(buildkit)
        done = strake("build", "--events", tmp_path / "events", cwd=folder)
        assert done.exit == 0, done.err
    assert list(steps(tmp_path / "events").values()) == [True]
    (index,) = (strake.home / ".cache/strake/build").glob("project1-*/app/index.json")
    assert json.loads(index.read_text())["manifests"]


def test_a_written_reference_and_a_folder_of_the_project(strake, cached, buildkit, registry, tmp_path):
    folder, repository = cached('{ type = "local", dest = "layers" }')
    travels(strake, folder, buildkit, tmp_path / "events")
    assert exported(tmp_path / "events") == [str(folder / "layers")]
    assert (folder / "layers/index.json").exists()
    written = f'{{ type = "registry", ref = "{registry.host}/{repository}:mine", mode = "max" }}'
    folder, _ = cached(written)
    travels(strake, folder, buildkit, tmp_path / "more-events")
    assert registry.tags(repository) == ["mine", "t"]


def test_an_inline_cache_lies_in_the_image(strake, cached, buildkit, tmp_path):
    folder, _ = cached('"inline"')
    travels(strake, folder, buildkit, tmp_path / "events", first=["--push"])


def test_a_plain_buildcache_of_somebodys_script_is_read(strake, cached, buildkit, registry, tmp_path):
    folder, repository = cached("{}")
    script = f"type=registry,ref={registry.host}/{repository}:buildcache,mode=max"
    built(strake, "build", "--cache-to", script, cwd=folder)
    assert registry.tags(repository) == ["buildcache"]
    prune(buildkit)
    folder, _ = cached('"registry"')
    done = strake("build", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 0 and steps(tmp_path / "events") and all(steps(tmp_path / "events").values()), done.err


def test_a_branch_falls_back_to_the_main_one(strake, cached, buildkit, registry, tmp_path):
    folder, repository = cached('"auto"')
    built(strake, "build", cwd=folder)
    run_git(folder, "checkout", "-q", "-b", "feature/x")
    prune(buildkit)
    done = strake("build", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 0 and all(steps(tmp_path / "events").values()), done.err
    assert registry.tags(repository) == ["buildcache-app", "buildcache-app.feature-x-217d2b"]


def test_actions_say_the_branch_where_git_cannot(strake, cached, tmp_path):
    folder, _ = cached('"auto"')
    run_git(folder, "checkout", "-q", "--detach")
    event = tmp_path / "event.json"
    event.write_text('{"repository": {"default_branch": "trunk"}}')
    env = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_HEAD_REF": "fix", "GITHUB_EVENT_PATH": str(event)}
    cache = strake("plan", "--json", cwd=folder, env=env).json()["targets"][0]["cache"]
    assert ":buildcache-app.fix," in cache["export"][0]
    assert [record.rsplit(":", 1)[1] for record in cache["import"]] == ["buildcache-app.fix", "buildcache-app", "buildcache"]
    env = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/trunk", "GITHUB_EVENT_PATH": str(event)}
    cache = strake("plan", "--json", cwd=folder, env=env).json()["targets"][0]["cache"]
    assert ":buildcache-app," in cache["export"][0]


def test_gha_is_refused_outside_actions_and_its_token_never_shows(strake, cached):
    folder, _ = cached('"gha"')
    done = strake("plan", cwd=folder)
    assert done.exit == 3 and "inside GitHub Actions only: ACTIONS_RUNTIME_TOKEN is not set" in done.err
    assert "strake.lua:2" in done.err and 'cache = "auto"' in done.err
    env = {"ACTIONS_RUNTIME_TOKEN": "tok-tok-tok-tok", "ACTIONS_RESULTS_URL": "http://127.0.0.1:1/"}
    done = strake("plan", "--json", cwd=folder, env=env)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["cache"]["export"] == ["type=gha,scope=app,version=2,mode=max,ignore-error=true"]
    assert "tok-tok" not in done.out + done.err


@pytest.fixture
def actions():
    service = ActionsCache()
    yield service
    service.stop()


def test_the_cache_of_actions(strake, cached, buildkit, actions, tmp_path):
    folder, _ = cached('{ type = "gha", required = true }')
    program = tmp_path / "buildctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/argv\nexec {buildkit.buildctl} "$@"\n')
    program.chmod(0o755)
    lua = (folder / "strake.lua").read_text()
    (folder / "strake.lua").write_text(lua.replace('type = "buildctl",', f'type = "buildctl", program = "{program}",'))
    travels(strake, folder, buildkit, tmp_path / "events", actions.env)
    assert exported(tmp_path / "events") == ["app"]
    assert any(key.startswith("index-app-") for key in actions.entries)
    runs = strake("history", "show", "--json", cwd=folder).out
    assert "type=gha,scope=app" in (tmp_path / "argv").read_text()
    for text in ((tmp_path / "argv").read_text(), (tmp_path / "events").read_text(), runs, strake("plan", cwd=folder, env=actions.env).out):
        assert actions.token not in text


def test_an_unknown_type_has_a_suggestion(strake, cached):
    folder, _ = cached('"regsitry"')
    done = strake("plan", "--json", cwd=folder)
    assert done.exit == 3
    error = done.json()["error"]
    assert (error["message"], error["hint"]) == ('target app: there is no cache of type "regsitry"', 'did you mean "registry"?')
    assert (error["file"], error["line"]) == ("strake.lua", 2)


def test_a_key_that_looks_like_a_slip_is_told(strake, cached):
    folder, _ = cached('{ type = "registry", mdoe = "max", my_own = "x" }', more='platforms = { "linux/amd64", "linux/arm64" }')
    done = strake("plan", cwd=folder)
    assert done.exit == 0, done.err
    assert done.err.count("no cache has a key `mdoe`; did you mean `mode`?") == 1 and "my_own" not in done.err
    assert "mdoe=max,my-own=x" in done.out
    long = "k" * 64
    (folder / "strake.lua").write_text((folder / "strake.lua").read_text().replace("my_own", long))
    done = strake("plan", cwd=folder)
    assert done.exit == 3 and "a key of `cache` is too long: kkkk" in done.err, done.err


def test_a_third_party_adds_a_type(strake, cached):
    folder, _ = cached('{ type = "warehouse" }')
    plugins = strake.program.parent.parent / "abi"
    done = strake("plan", "--json", cwd=folder, env={"STRAKE_PLUGIN_PATH": str(plugins)})
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["cache"]["export"] == ["type=x"]
    assert strake("plan", cwd=folder).exit == 3


def test_a_third_partys_type_is_shown_and_pruned(strake, cached):
    folder, _ = cached('{ { type = "warehouse" }, { type = "warehouse", note = "on fire" }, { type = "warehouse", note = "broken" } }')
    env = {"STRAKE_PLUGIN_PATH": str(strake.program.parent.parent / "abi")}
    shown = strake("cache", "show", "app", "--json", cwd=folder, env=env)
    assert shown.exit == 0, shown.err
    own = [entry for entry in shown.json()["caches"] if entry["type"] == "warehouse"]
    assert own[0] == {"place": "shelf of app", "size_bytes": 43, "created": "2020-01-01T00:00:00Z", "target": "app",
                      "type": "warehouse", "status": "ok"}
    assert [entry["status"] for entry in own] == ["ok", "failed", "failed"]
    assert "the warehouse is on fire" in own[1]["error"]["message"] and "gave no list of entries" in own[2]["error"]["message"]
    assert "shelf of app: 43 B, made " in strake("cache", "show", "app", cwd=folder, env=env).out
    dry = strake("cache", "prune", "--older", "1d", "--dry-run", "app", "--json", cwd=folder, env=env)
    assert [entry["status"] for entry in dry.json()["caches"]] == ["would-remove", "failed", "failed"]
    done = strake("cache", "prune", "--keep", "1k", "app", "--json", cwd=folder, env=env)
    assert done.exit == 8 and done.json()["freed_bytes"] == 1024 + 43, done.err
    assert [entry["status"] for entry in done.json()["caches"]] == ["removed", "failed", "failed"]


def test_a_plan_keeps_what_parts_of_the_platforms_use(strake, cached, tmp_path):
    folder, _ = cached('"registry"', more='platforms = { "linux/amd64", "linux/arm64" }')
    saved = tmp_path / "plan.json"
    assert strake("plan", "--save", saved, cwd=folder).exit == 0
    cache = json.loads(saved.read_text())["targets"][0]["cache"]
    assert cache["parts"]["export"][0].split(",")[1].endswith(":buildcache-app-{platform}")
    assert [record.rsplit(":", 1)[1] for record in cache["import"]] == [
        "buildcache-app", "buildcache", "buildcache-app-linux-amd64", "buildcache-app-linux-arm64"]
    done = strake("build", "--plan", saved, cwd=folder)
    assert done.exit == 0, done.err


# ---- s3 -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = S3(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def s3_buildkit(tmp_path_factory, registry):
    """A daemon that has the credentials of the bucket, which no client has."""
    daemon = BuildKit(tmp_path_factory.mktemp("s3-buildkit"), [registry],
                      env={"AWS_ACCESS_KEY_ID": "daemon", "AWS_SECRET_ACCESS_KEY": "daemon-daemon"})
    yield daemon
    daemon.stop()


def test_a_bucket(strake, project, base, s3, s3_buildkit, tmp_path):
    folder = project({
        "Dockerfile": f"FROM {base}\nRUN echo {tmp_path} > /file\n",
        "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{s3_buildkit.address}" }}\n'
                      f'target "app" {{ cache = {{ type = "s3", bucket = "cache", region = "eu-1", endpoint_url = "{s3.url}",\n'
                      '  use_path_style = true, required = true } }\n'})
    built(strake, "build", cwd=folder)
    assert s3.has("manifests/app")
    prune(s3_buildkit)
    done = strake("build", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 0, done.err
    assert list(steps(tmp_path / "events").values()) == [True]


@pytest.mark.parametrize("key", ['secret_access_key = secret.env "S3_KEY"', 'secret_access_key = "hunter2-hunter2"'])
def test_no_credentials_of_a_bucket_go_by_the_command_line(strake, cached, key):
    folder, _ = cached(f'{{ type = "s3", bucket = "cache", {key} }}')
    done = strake("plan", cwd=folder, env={"S3_KEY": "hunter2-hunter2"})
    assert done.exit == 3 and "`secret_access_key` may not be given here" in done.err
    assert "AWS_SECRET_ACCESS_KEY" in done.err and "hunter2" not in done.out + done.err


# ---- caches that cannot be written -----------------------------------------------------------------


@pytest.mark.parametrize("required", [False, True])
def test_a_failed_export_is_a_warning_unless_required(strake, cached, tmp_path, required):
    folder, _ = cached(f'{{ type = "registry", ref = "127.0.0.1:1/cache:c", required = {str(required).lower()} }}')
    done = strake("build", "--json", "--push", "--events", tmp_path / "events", cwd=folder)
    said = "the build cache could not be written to 127.0.0.1:1/cache:c: "
    if required:
        error = done.json()["error"]
        assert (done.exit, error["kind"]) == (8, "registry") and error["message"].startswith(said), error
        assert "required" in error["hint"]
    else:
        assert done.exit == 0 and said in done.err, done.err
        assert exported(tmp_path / "events") == []
        warnings = [event["text"] for event in map(json.loads, (tmp_path / "events").read_text().splitlines())
                    if event["type"] == "log" and event["level"] == "warn"]
        assert len([text for text in warnings if text.startswith(said)]) == 1, warnings


def test_a_cache_that_may_not_be_written_says_so(strake, cached, private_registry):
    name = f"{private_registry.host}/denied:c"
    folder, _ = cached(f'{{ type = "registry", ref = "{name}", required = true }}')
    done = strake("build", "--json", cwd=folder)
    error = done.json()["error"]
    assert (done.exit, error["kind"]) == (8, "auth"), error
    assert error["message"].startswith(f"the build cache could not be written to {name}: ")
    (folder / "strake.lua").write_text((folder / "strake.lua").read_text().replace(", required = true", ""))
    done = built(strake, "build", cwd=folder)
    assert f"the build cache could not be written to {name}: " in done.err
    shown = strake("cache", "show", "app", "--json", cwd=folder).json()["caches"]
    assert [(entry["status"], entry["error"]["kind"]) for entry in shown] == [("failed", "auth")]


# ---- a push that overtakes ----------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
def test_a_push_that_overtakes_its_cache_is_tried_once_more(strake, cached, liar, times):
    folder, _ = cached('"auto"', image=f"{liar.host}/caches/overtakes-{times}")
    liar.refuse("PUT", "/manifests/sha256:", 404, times=times, headers=[("Content-Type", "application/json")],
                body=b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}')
    done = strake("build", "--push", cwd=folder)
    liar.forget()
    assert done.err.count(" exporting to image\n") == 2, done.err
    assert done.exit == (0 if times == 1 else 8), done.err
    assert ("failed: unknown: blob unknown to registry\n  hint" in done.err) == (times == 2), done.err
