"""What did not change is not built: `plan --check-cache` tells it, `build --changed` takes the published image again."""

import json
import re
import subprocess

import pytest

from harness.images import push_busybox
from harness.process import Server, accepts, free_port
from harness.program import make_project, run_git
from harness.servers import http

HEAD = ".dockerignore\nstrake.lua\nsaved\n"


class Place:
    """A project whose targets are published to a repository of the test's own."""

    def __init__(self, strake, folder, registry, buildkit, name):
        self.strake, self.folder, self.registry, self.buildkit, self.name = strake, folder, registry, buildkit, name
        self.image, self.base = f"{registry.host}/{name}", push_busybox(registry, name + "/base")
        self.asked = 0
        self.write(".dockerignore", HEAD)
        self.write("Dockerfile", f"FROM {self.base}\nARG WHO=nobody\nCOPY content /\nRUN echo $WHO > /who\n")
        self.write("content", "one\n")
        self.lua(f"target 'app' {{ image = '{self.image}', tags = {{ 'v1' }}, platforms = {{ 'linux/amd64' }} }}\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def lua(self, text: str) -> None:
        self.write("strake.lua", f"builder 'b' {{ type = 'buildctl', address = '{self.buildkit.address}' }}\n" + text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def run(self, *args, exit: int = 0):
        done = self.strake(*args, cwd=self.folder)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    def build(self, *args, exit: int = 0) -> dict:
        """The document of a build; self.events is what it told."""
        self.asked += 1
        path = self.folder.parent / f"events{self.asked}"
        document = self.run("build", "--json", "--events", path, *args, exit=exit).json()
        self.events = [json.loads(line) for line in path.read_text().splitlines()]
        self.texts = [event.get("text", "") for event in self.events if event["type"] == "log"]
        return document

    def target(self, *args) -> dict:
        target, = self.build(*args)["targets"]
        return target

    def built(self) -> list:
        """Names of the targets that a builder worked for."""
        return sorted({event["target"] for event in self.events if event["type"].startswith("step.")})

    def checked(self, *args) -> dict:
        return {target["name"]: target for target in self.run("plan", "--check-cache", "--json", *args).json()["targets"]}


@pytest.fixture
def place(strake, tmp_path, registry, buildkit, request):
    name = "changed/" + re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    (tmp_path / "place").mkdir()
    return Place(strake, tmp_path / "place", registry, buildkit, name)


def forget(registry, name: str, digest: str) -> None:
    status, _, body = http("DELETE", f"{registry.scheme}://{registry.host}/v2/{name}/manifests/{digest}")
    assert status == 202, body


# ---- unchanged ---------------------------------------------------------------------------------------------


def test_what_was_published_is_not_built_again(place):
    first = place.target("--push", "--changed")
    assert first["status"] == "done" and place.built() == ["app"]
    again = place.target("--push", "--changed")
    assert place.built() == []
    assert (again["status"], again["digest"], again["image"]) == ("unchanged", first["digest"], place.image)
    assert (again["platforms"], again["media_type"]) == (first["platforms"], first["media_type"])
    assert again["steps"] == {"total": 0, "cached": 0} and again["refs"] == [f"{place.image}:v1"]
    done, = [event for event in place.events if event["type"] == "target.done"]
    assert (done["target"], done["status"], done["digest"]) == ("app", "unchanged", first["digest"])


def test_a_plain_push_is_remembered_too(place):
    first = place.target("--push")
    assert place.target("--push", "--changed")["digest"] == first["digest"] and place.built() == []
    assert place.target("--push")["status"] == "done" and place.built() == ["app"]  # nobody asked to leave it out


def test_people_read_what_was_left_out(place):
    place.target("--push")
    digest = place.registry.digest(place.name, "v1")
    done = place.run("build", "--push", "--changed")
    assert f"app  unchanged  {place.image}@{digest}\n  {place.image}:v1\n" in done.out


def test_new_tags_are_published_for_an_unchanged_image(place):
    first = place.target("--push")
    place.edit("strake.lua", "'v1'", "'v2', 'latest'")
    document = place.build("--push", "--changed")
    target, = document["targets"]
    assert target["status"] == "unchanged" and place.built() == []
    assert sorted(target["refs"]) == [f"{place.image}:latest", f"{place.image}:v2"]
    assert {(move["ref"], move["to"]) for move in document["moves"]} == \
           {(ref, first["digest"]) for ref in target["refs"]}
    assert place.registry.digest(place.name, "v2") == first["digest"] == place.registry.digest(place.name, "latest")


def test_a_tag_that_somebody_moved_comes_back(place):
    first = place.target("--push")
    place.edit("content", "one", "two")
    place.target("--push", "-t", f"{place.image}:other")
    place.edit("content", "two", "one")
    place.target("--push", "--changed")
    place.registry.put(place.name, "v1", "other")
    assert place.target("--push", "--changed")["status"] == "unchanged"
    assert place.registry.digest(place.name, "v1") == first["digest"]


def test_policies_are_asked_about_an_unchanged_image(place):
    place.target("--push")
    with open(place.folder / "strake.lua", "a") as lua:
        lua.write("policy 'closed' { at = 'publish', check = function() deny('not today') end }\n")
    place.edit("strake.lua", "'v1'", "'v2'")
    document = place.build("--push", "--changed", exit=4)
    assert document["status"] == "denied" and "not today" in document["error"]["message"]
    assert place.built() == [] and place.registry.tags(place.name) == ["v1"]


def test_staging_leaves_out_what_is_unchanged(place):
    first = place.target("--push")
    assert place.target("--stage", "--changed")["digest"] == first["digest"]
    assert place.target("--changed")["status"] == "unchanged" and place.built() == []


def test_what_was_staged_counts_once_it_is_published(place):
    first = place.target("--stage")
    assert place.target("--stage", "--changed")["status"] == "done"
    place.run("publish", "app")
    assert place.target("--push", "--changed")["digest"] == first["digest"] and place.built() == []


def test_commit_and_date_decide_nothing(place):
    label = ["--label", "org.opencontainers.image.revision=one", "--label", "org.opencontainers.image.created=now"]
    place.target("--push", *label)
    label = ["--label", "org.opencontainers.image.revision=two", "--label", "org.opencontainers.image.created=later"]
    assert place.target("--push", "--changed", *label)["status"] == "unchanged"


def test_several_platforms_are_taken_again(place):
    place.edit("strake.lua", "{ 'linux/amd64' }", "{ 'linux/amd64', 'linux/arm64' }")
    place.edit("Dockerfile", "RUN echo $WHO > /who\n", "")
    first = place.target("--push")
    assert sorted(first["platforms"]) == ["linux/amd64", "linux/arm64"]
    again = place.target("--push", "--changed")
    assert (again["status"], again["platforms"]) == ("unchanged", first["platforms"]) and place.built() == []


def test_a_saved_plan_can_leave_out_what_is_unchanged(place):
    first = place.target("--push")
    place.run("plan", "--save", "saved")
    again = place.target("--push", "--changed", "--plan", "saved")
    assert (again["status"], again["digest"]) == ("unchanged", first["digest"])


def test_an_image_in_a_layout_is_taken_again(place, tmp_path):
    place.edit("strake.lua", place.image, f"oci:{tmp_path}/layout")
    first = place.target("--push")
    place.edit("strake.lua", "'v1'", "'v2'")
    again = place.target("--push", "--changed")
    assert (again["status"], again["digest"]) == ("unchanged", first["digest"]) and place.built() == []
    assert place.run("image", "list", f"oci:{tmp_path}/layout", "--json").json()["tags"] == ["v1", "v2"]


# ---- changed -----------------------------------------------------------------------------------------------


def move_base(place):
    """The base's tag now shows only its amd64 image."""
    index = json.loads(place.registry.get(f"/v2/{place.name}/base/manifests/1", "application/vnd.oci.image.index.v1+json")[2])
    place.registry.put(place.name + "/base", "1", index["manifests"][0]["digest"])


CHANGES = {
    "file": (lambda place: place.edit("content", "one", "two"), [], "files of the context"),
    "mode": (lambda place: (place.folder / "content").chmod(0o755), [], "files of the context"),
    "new-file": (lambda place: place.write("more", "x"), [], "files of the context"),
    "dockerfile": (lambda place: place.edit("Dockerfile", "nobody", "somebody"), [], "the Dockerfile"),
    "base": (move_base, [], "the base image"),
    "argument": (lambda place: None, ["--build-arg", "WHO=me"], "its options"),
    "label": (lambda place: None, ["--label", "a=b"], "its options"),
    "platform": (lambda place: place.edit("Dockerfile", "RUN echo $WHO > /who\n", ""), ["--platform", "linux/arm64"],
                 "files of the context, its options"),
    "option": (lambda place: place.edit("strake.lua", "tags =", "compression = 'zstd', force_compression = true, tags ="),
               [], "its options"),
    "annotation": (lambda place: place.edit("strake.lua", "tags =", "annotations = { a = 'b' }, tags ="), [], "its options"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_built_and_told(place, change):
    act, args, named = CHANGES[change]
    document = place.build("--push")
    assert place.checked()["app"]["status"] == "unchanged"
    act(place)
    app = place.checked(*args)["app"]
    assert app["status"] == "planned" and named in app["why"] and app["why"].endswith("changed since " + document["run"])
    assert "digest" not in app
    assert place.target("--push", "--changed", *args)["status"] == "done" and place.built() == ["app"]
    assert place.target("--push", "--changed", *args)["status"] == "unchanged" and place.built() == []


def test_what_was_never_published_is_built(place):
    assert place.checked()["app"]["why"] == "it was never published from here"
    assert place.target("--stage", "--changed")["status"] == "done"
    assert "never published" in place.checked()["app"]["why"]
    assert place.target("--push", "--changed")["status"] == "done" and place.built() == ["app"]


def test_a_publish_that_failed_does_not_count(place):
    place.edit("strake.lua", "target", "policy 'closed' { at = 'publish', check = function() deny('no') end }\ntarget")
    place.build("--push", exit=4)
    place.edit("strake.lua", "deny('no')", "")
    assert place.checked()["app"]["why"] == "it was never published from here"
    assert place.target("--push", "--changed")["status"] == "done" and place.built() == ["app"]


def test_the_last_published_image_counts_not_an_earlier_one(place):
    place.target("--push")
    place.edit("content", "one", "two")
    place.target("--push")
    place.edit("content", "two", "one")
    assert place.target("--push", "--changed")["status"] == "done"


def test_another_repository_has_an_image_of_its_own(place):
    place.target("--push")
    assert place.target("--push", "--changed", "-t", f"{place.image}/other:v1")["status"] == "done"
    assert place.target("--push", "--changed", "-t", f"{place.image}/other:v2")["status"] == "unchanged"
    assert place.registry.tags(place.name + "/other") == ["v1", "v2"]


def test_what_the_registry_lost_is_built_and_told(place):
    first = place.target("--push")
    forget(place.registry, place.name, first["digest"])
    again = place.target("--push", "--changed")
    assert again["status"] == "done" and place.built() == ["app"]
    told, = [text for text in place.texts if "no longer has" in text]
    assert first["digest"] in told and place.image in told and told.startswith("app is unchanged, but ")
    assert place.registry.digest(place.name, "v1") == again["digest"]


def test_an_index_without_its_images_is_built(place):
    place.edit("strake.lua", "{ 'linux/amd64' }", "{ 'linux/amd64', 'linux/arm64' }")
    place.edit("Dockerfile", "RUN echo $WHO > /who\n", "")
    first = place.target("--push")
    forget(place.registry, place.name, first["platforms"]["linux/arm64"])
    assert place.target("--push", "--changed")["status"] == "done"


@pytest.mark.parametrize("what, args, why", [
    ("", ["--no-cache"], "it is built without a cache"),
    ("ADD https://example.invalid/x /x\n", [], "Dockerfile:5: ADD fetches what no checksum names"),
    ("FROM away.invalid/base:1\n", [], "the digest of the base image away.invalid/base:1 is not known"),
    ("FROM base-$TARGETARCH\n", [], "Dockerfile:5: its base hangs on what only the builder knows"),
], ids=["no-cache", "add", "unknown-base", "builders-argument"])
def test_what_nobody_can_know_is_never_unchanged(place, what, args, why):
    place.write("Dockerfile", (place.folder / "Dockerfile").read_text() + what)
    assert place.checked(*args)["app"]["why"] == why
    assert f"app: would be built: {why}\n" in place.run("plan", "--check-cache", *args).out


def test_no_cache_is_never_unchanged_though_published(place):
    place.target("--push")
    assert place.target("--push", "--changed", "--no-cache")["status"] == "done"


def test_a_stage_without_a_cache_is_never_unchanged(place):
    place.edit("Dockerfile", "FROM " + place.base, "FROM " + place.base + " AS first")
    place.edit("strake.lua", "tags =", "no_cache_stages = { 'first' }, tags =")
    assert place.checked()["app"]["why"] == "stages of it are built without a cache"


def test_a_context_from_elsewhere_is_never_unchanged(place):
    place.lua(f"target 'app' {{ context = 'https://example.invalid/r.git#main', image = '{place.image}' }}\n"
              f"target 'named' {{ image = '{place.image}', contexts = {{ more = 'https://example.invalid/r.git' }} }}\n")
    checked = place.checked("app", "named")
    assert checked["app"]["why"] == "its context is a URL that names no commit"
    assert checked["named"]["why"] == "what its context more holds is not known beforehand"


@pytest.fixture
def upstream(tmp_path):
    """A repository that a git daemon serves: its folder and URL."""
    folder, port = tmp_path / "upstream", free_port()
    folder.mkdir()
    programs = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    server = Server("git daemon", [f"{programs}/git-daemon", f"--port={port}", "--listen=127.0.0.1", "--export-all",
                                   f"--base-path={tmp_path}", tmp_path], tmp_path / "git.log")
    server.wait_until(lambda: accepts(port))
    yield folder, f"git://127.0.0.1:{port}/upstream"
    server.stop()


def test_a_commit_of_a_repository_is_known_by_the_build_before(place, upstream):
    folder, url = upstream
    make_project(folder, {"Dockerfile": f"FROM {place.base}\nCOPY content /\n", "content": "one\n"})
    sha = run_git(folder, "rev-parse", "HEAD").strip()
    place.lua(f"target 'app' {{ context = '{url}#{sha}', image = '{place.image}', tags = {{ 'v1' }} }}\n")
    first = place.target("--push")
    again = place.target("--push", "--changed")
    assert (again["status"], again["digest"]) == ("unchanged", first["digest"]) and place.built() == []
    place.run("plan", "--check-cache", "--save", "saved")
    assert place.target("--push", "--changed", "--plan", "saved")["status"] == "unchanged"
    move_base(place)
    assert "the base image" in place.checked()["app"]["why"]
    assert place.target("--push", "--changed")["status"] == "done"
    place.edit("strake.lua", sha, "main")
    assert place.checked()["app"]["why"] == "its context is a URL that names no commit"


# ---- targets that need each other --------------------------------------------------------------------------


@pytest.fixture
def pair(place):
    place.write("app/content", "app\n")
    place.write("app/Dockerfile", "FROM base\nCOPY content /app\n")
    place.write(".dockerignore", HEAD + "app\n")
    place.lua(f"""
target "base" {{ image = "{place.image}-base", tags = {{ "t" }}, platforms = {{ "linux/amd64" }} }}
target "app"  {{ context = "app", image = "{place.image}", tags = {{ "t" }}, platforms = {{ "linux/amd64" }},
                contexts = {{ base = target "base" }}, default = true }}
""")
    place.build("--push")
    assert place.built() == ["app", "base"]
    return place


def statuses(document: dict) -> dict:
    return {target["name"]: target["status"] for target in document["targets"]}


def test_targets_built_on_each_other_are_left_out_together(pair):
    assert statuses(pair.build("--push", "--changed")) == {"base": "unchanged", "app": "unchanged"}
    assert pair.built() == []


def test_a_target_is_built_on_an_unchanged_one(pair):
    pair.edit("app/content", "app", "other")
    document = pair.build("--push", "--changed")
    assert statuses(document) == {"base": "unchanged", "app": "done"} and pair.built() == ["app"]
    layers = [json.loads(pair.registry.get(f"/v2/{name}/manifests/t", "application/vnd.oci.image.manifest.v1+json")[2])
              ["layers"] for name in (pair.name + "-base", pair.name)]
    assert layers[1][:len(layers[0])] == layers[0]


def test_a_change_below_reaches_what_is_built_on_it(pair):
    pair.edit("content", "one", "two")
    checked = pair.checked()
    assert "files of the context" in checked["base"]["why"] and "the target base" in checked["app"]["why"]
    assert statuses(pair.build("--push", "--changed")) == {"base": "done", "app": "done"}


def test_doubt_below_reaches_what_is_built_on_it(pair):
    pair.write("Dockerfile", (pair.folder / "Dockerfile").read_text() + "ADD https://example.invalid/x /x\n")
    assert pair.checked()["app"]["why"] == "target base, which it is built on, is never unchanged"


def test_targets_of_one_folder_may_be_sent_different_files(place):
    """What one Dockerfile's own ignore file leaves out counts for the other."""
    place.write("Other", f"FROM {place.base}\nCOPY content /\n")
    place.write("Other.dockerignore", HEAD + "more\n")
    place.write("more", "one\n")
    place.lua("".join(f"""target '{name}' {{ dockerfile = '{file}', image = '{place.image}-{name}', tags = {{ 't' }} }}\n"""
                      for name, file in (("one", "Dockerfile"), ("two", "Dockerfile"), ("other", "Other"))))
    place.build("--push", "--all")
    place.write("more", "two\n")
    assert {name: target["status"] for name, target in place.checked("--all").items()} == \
           {"one": "planned", "two": "planned", "other": "unchanged"}


def test_an_image_as_a_context_counts_by_its_digest(place):
    place.write("Dockerfile", "FROM other\nCOPY content /\n")
    place.edit("strake.lua", "tags =", f"contexts = {{ other = 'docker-image://{place.base}' }}, tags =")
    place.target("--push", "--changed")
    assert place.target("--push", "--changed")["status"] == "unchanged"
    move_base(place)
    assert "the base image" in place.checked()["app"]["why"]


def test_a_folder_as_a_context_counts_by_its_files(place):
    place.write("more/file", "x")
    place.edit("strake.lua", "tags =", "contexts = { more = 'more' }, tags =")
    place.edit("Dockerfile", "RUN echo", "COPY --from=more file /\nRUN echo")
    place.write(".dockerignore", HEAD + "more\n")
    place.target("--push")
    assert place.target("--push", "--changed")["status"] == "unchanged"
    (place.folder / "more").rename(place.folder / "moved")
    place.edit("strake.lua", "more = 'more'", "more = 'moved'")
    place.write(".dockerignore", HEAD + "moved\n")
    assert place.target("--push", "--changed")["status"] == "unchanged"
    place.write("moved/file", "y")
    assert place.checked()["app"]["status"] == "planned"


# ---- telling, flows, misuse --------------------------------------------------------------------------------


def test_a_plan_tells_what_is_unchanged(place):
    document = place.build("--push")
    app = place.checked()["app"]
    assert (app["status"], app["digest"], app["published_by"]) == \
           ("unchanged", document["targets"][0]["digest"], document["run"])
    assert f"app: unchanged since {document['run']} ({app['digest']})\n" in place.run("plan", "--check-cache").out
    assert "status" not in place.run("plan", "--json").json()["targets"][0]


def test_the_history_shows_what_was_left_out(place):
    place.target("--push")
    document = place.build("--push", "--changed")
    shown, = place.run("history", "show", "--json", document["run"]).json()["runs"]
    assert [(target["name"], target["status"]) for target in shown["targets"]] == [("app", "unchanged")]
    assert shown["steps"] == []


def test_flows_leave_out_what_is_unchanged(place):
    with open(place.folder / "strake.lua", "a") as lua:
        lua.write("flow 'ship' { summary = 's', run = function()\n"
                  "  local image = build('app', { changed = true, tags = { 'v3' } })\n"
                  "  log.info(image.status .. ' ' .. image.digest)\n  publish(image)\nend }\n")
    digests = []
    for status in ("done", "unchanged"):
        events = place.folder.parent / ("events-" + status)
        place.run("run", "--events", events, "ship")
        texts = [json.loads(line).get("text", "") for line in events.read_text().splitlines()]
        word, digest = next(text for text in texts if " sha256:" in text and "FROM" not in text).split()[-2:]
        assert word == status
        digests.append(digest)
    assert digests[0] == digests[1] == place.registry.digest(place.name, "v3")


@pytest.mark.parametrize("args", [["--output", "type=oci,dest=x"], ["--load"]])
def test_what_is_wanted_here_is_not_left_out(place, args):
    error = place.run("build", "--json", "--changed", *args, exit=2).json()["error"]
    assert error["kind"] == "usage" and "--changed" in error["message"] and error["hint"]


def test_without_a_history_everything_is_built(place, strake, tmp_path):
    place.target("--push")
    assert place.strake("plan", "--check-cache", "--json", cwd=place.folder,
                        env={"XDG_STATE_HOME": str(tmp_path / "elsewhere")}).json()["targets"][0]["why"] == \
        "it was never published from here"


def test_nothing_to_build_needs_no_builder(place):
    first = place.target("--push")
    place.edit("strake.lua", place.buildkit.address, f"tcp://127.0.0.1:{free_port()}")
    again = place.target("--push", "--changed")
    assert (again["status"], again["digest"]) == ("unchanged", first["digest"])
    place.build("--push", "--changed", "--build-arg", "WHO=me", exit=9)
