"""Targets that need each other: order, parallelism, and what a failure takes along."""

import json
import re

import pytest

RUN = "FROM {base}\nRUN sleep {seconds} && echo {word} > /word\n"
BROKEN = "FROM {base}\nRUN false\n"


class House:
    def __init__(self, strake, folder, registry, buildkit, base, name):
        self.strake, self.folder, self.registry, self.buildkit = strake, folder, registry, buildkit
        self.base, self.name = base, name
        self.image = f"{registry.host}/{name}"
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {base}\nCMD true\n")

    def write(self, text: str) -> None:
        head = f"builder 'b' {{ type = 'buildctl', address = '{self.buildkit.address}' }}\nlocal image = '{self.image}'\n"
        (self.folder / "strake.lua").write_text(head + text)

    def dockerfile(self, name: str, text: str, **more) -> None:
        (self.folder / name).write_text(text.format(base=self.base, **more))

    def run(self, *args, exit: int = 0):
        done = self.strake(*args, cwd=self.folder)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    def build(self, *args, exit: int = 0) -> dict:
        return self.run("build", "--json", "--events", self.folder.parent / "events", *args, exit=exit).json()

    def events(self, *types) -> list:
        lines = (self.folder.parent / "events").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["type"] in types]

    def order(self) -> list:
        """(target, what) as they happened."""
        return [(event["target"], event["type"].partition(".")[2])
                for event in self.events("target.started", "target.done", "target.failed")]

    def most_at_once(self) -> int:
        running = most = 0
        for _, what in self.order():
            running += 1 if what == "started" else -1
            most = max(most, running)
        return most


@pytest.fixture
def house(strake, tmp_path, registry, buildkit, base, request):
    name = "graph/" + re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return House(strake, tmp_path / "house", registry, buildkit, base, name)


def statuses(document: dict) -> dict:
    return {target["name"]: target["status"] for target in document["targets"]}


# ---- order -------------------------------------------------------------------------------------------------


def test_a_target_is_built_on_another_ones_image(house):
    house.dockerfile("Base", RUN, seconds=0, word="from-the-base")
    house.dockerfile("App", "FROM base\nRUN grep -q from-the-base /word\n")
    house.write("""
target "base" { dockerfile = "Base", image = image .. "-base", tags = { "t" } }
target "app"  { dockerfile = "App", image = image, tags = { "t" }, contexts = { base = target "base" }, default = true }
""")
    done = house.build("--push")
    assert [target["name"] for target in done["targets"]] == ["base", "app"]
    assert house.order() == [("base", "started"), ("base", "done"), ("app", "started"), ("app", "done")]
    app = house.registry.get(f"/v2/{house.name}/manifests/t", "application/vnd.oci.image.manifest.v1+json")[2]
    base = house.registry.get(f"/v2/{house.name}-base/manifests/t", "application/vnd.oci.image.manifest.v1+json")[2]
    ours, theirs = (json.loads(text)["layers"] for text in (app, base))
    assert ours[:len(theirs)] == theirs and len(ours) > len(theirs)


def test_a_base_is_staged_even_when_nothing_else_is(house):
    house.dockerfile("App", "FROM base\nCMD true\n")
    house.write("""
target "base" { image = image .. "-base" }
target "app"  { dockerfile = "App", contexts = { base = target "base" } }
""")
    done = house.build("app")
    assert statuses(done) == {"base": "done", "app": "done"}
    assert house.registry.tags(house.name + "-base") == []


def test_a_base_without_a_repository_is_staged_in_that_of_the_target_on_it(house):
    house.dockerfile("App", "FROM base\nCMD true\n")
    house.write("""
target "base" { }
target "app"  { dockerfile = "App", image = image, tags = { "t" }, contexts = { base = target "base" } }
""")
    done = house.build("--push", "app")
    assert statuses(done) == {"base": "done", "app": "done"}
    base, app = done["targets"]
    assert base["image"] == app["image"] and base["refs"] == [] and app["refs"] == [house.image + ":t"]
    assert house.registry.tags(house.name) == ["t"]


def test_a_base_without_a_repository_is_refused_with_the_reason(house):
    house.dockerfile("App", "FROM base\nCMD true\n")
    house.write("""
target "base" { }
target "app"  { dockerfile = "App", contexts = { base = target "base" } }
""")
    error = house.build("app", exit=2)["error"]
    assert "base" in error["message"] and "image" in error["hint"]
    assert (error["file"], error["line"]) == ("strake.lua", 4)


def test_a_base_may_be_staged_in_a_layout(house):
    house.dockerfile("Base", RUN, seconds=0, word="from-the-base")
    house.dockerfile("App", "FROM base\nRUN grep -q from-the-base /word\n")
    house.write("""
target "base" { dockerfile = "Base", image = "oci:layout" }
target "app"  { dockerfile = "App", contexts = { base = target "base" }, default = true }
""")
    assert statuses(house.build()) == {"base": "done", "app": "done"}


def test_a_folder_can_be_a_context(house):
    (house.folder / "more").mkdir()
    (house.folder / "more/file").write_text("found")
    house.dockerfile("Dockerfile", "FROM {base}\nCOPY --from=files file /\nRUN grep -q found /file\n")
    house.write("target 'app' { contexts = { files = 'more' } }")
    house.build()


def test_after_is_an_order_and_nothing_else(house):
    house.write("""
target "second" { after = { "first" } }
target "first"  { }
""")
    house.build("second")
    assert house.order() == [("first", "started"), ("first", "done"), ("second", "started"), ("second", "done")]


def test_the_tags_of_a_target_that_is_only_needed_move_too(house):
    """A unit is what was planned: a base that nobody named is part of it."""
    house.dockerfile("App", "FROM base\nCMD true\n")
    house.write("""
target "base" { image = image .. "-base", tags = { "t" } }
target "app"  { dockerfile = "App", image = image, tags = { "t" }, contexts = { base = target "base" } }
""")
    house.build("--push", "app")
    assert house.registry.tags(house.name) == ["t"] == house.registry.tags(house.name + "-base")


@pytest.mark.parametrize("text, path", [
    ("target 'a' { after = { 'b' } }\ntarget 'b' { after = { 'a' } }", "a -> b -> a"),
    ("target 'a' { after = { 'a' } }", "a -> a"),
    ("target 'a' { contexts = { x = target 'b' } }\ntarget 'b' { after = { 'c' } }\ntarget 'c' { after = { 'a' } }",
     "a -> b -> c -> a"),
])
def test_a_cycle_is_refused_with_its_path_and_its_place(house, text, path):
    house.write(text)
    error = house.run("build", "--json", "a", exit=3).json()["error"]
    assert error["kind"] == "config" and error["message"] == f"target a needs itself: {path}"
    assert error["file"] == "strake.lua" and error["line"] == 3


def test_a_target_that_does_not_exist_is_named_with_its_nearest(house):
    house.write("target 'server' { }\ntarget 'a' { after = { 'sever' } }")
    error = house.run("build", "--json", "a", exit=3).json()["error"]
    assert "sever" in error["message"] and "server" in error["hint"] and error["line"] == 4
    error = house.run("build", "--json", "servre", exit=2).json()["error"]
    assert "server" in error["hint"]


# ---- at once -----------------------------------------------------------------------------------------------


def four_sleepers(house) -> None:
    for number in range(4):
        house.dockerfile(f"Sleep{number}", RUN, seconds=0.4, word=f"{house.name}{number}")
    house.write("\n".join(f"target 't{number}' {{ dockerfile = 'Sleep{number}', default = true }}" for number in range(4)))


@pytest.mark.parametrize("jobs, most", [("1", 1), ("2", 2), ("4", 4)])
def test_as_many_as_j_says_are_built_at_once(house, jobs, most):
    four_sleepers(house)
    done = house.build("-j", jobs)
    assert set(statuses(done).values()) == {"done"} and len(done["targets"]) == 4
    assert house.most_at_once() == most


@pytest.mark.parametrize("word", ["0", "-1", "many", ""])
def test_j_wants_a_number(house, word):
    house.write("target 'a' { }")
    done = house.strake("build", "-j", word, cwd=house.folder)
    assert done.exit == 2, done.err


# ---- failures ----------------------------------------------------------------------------------------------


def failing(house) -> None:
    house.dockerfile("Broken", BROKEN)
    house.dockerfile("Slow", RUN, seconds=0.3, word=house.name)
    house.write("""
target "broken"   { dockerfile = "Broken", default = true, image = image, tags = { "broken" } }
target "needs"    { after = { "broken" }, default = true, image = image, tags = { "needs" } }
target "deeper"   { after = { "needs" }, default = true, image = image, tags = { "deeper" } }
target "fine"     { dockerfile = "Slow", default = true, image = image, tags = { "fine" } }
""")


def test_what_depends_on_a_failed_target_is_skipped(house):
    failing(house)
    done = house.build("--push", "-k", exit=10)
    assert statuses(done) == {"broken": "failed", "needs": "skipped", "deeper": "skipped", "fine": "done"}
    errors = {target["name"]: target["error"]["message"] for target in done["targets"] if "error" in target}
    assert "broken" in errors["needs"] and "needs" in errors["deeper"]
    assert done["error"]["kind"] == "partial" and done["status"] == "failed"
    assert house.registry.tags(house.name) == []


def test_without_keep_going_the_first_failure_stops_the_rest(house):
    failing(house)
    done = house.build("--push", "-j", "1", exit=5)
    assert statuses(done) == {"broken": "failed", "needs": "skipped", "deeper": "skipped", "fine": "skipped"}
    assert done["error"]["kind"] == "build"
    assert house.registry.tags(house.name) == []


def test_a_running_target_is_cancelled_by_anothers_failure(house):
    house.dockerfile("Broken", "FROM {base}\nRUN sleep 0.3; false\n")
    house.dockerfile("Slow", RUN, seconds=30, word=house.name)
    house.write("target 'slow' { dockerfile = 'Slow', default = true }\n"
                "target 'broken' { dockerfile = 'Broken', default = true }\n")
    done = house.build("-j", "2", exit=5)
    assert statuses(done) == {"slow": "cancelled", "broken": "failed"}
    assert done["duration_ms"] < 20000


def test_all_failed_is_a_failed_build_not_a_partial_one(house):
    house.dockerfile("Broken", BROKEN)
    house.write("target 'a' { dockerfile = 'Broken', default = true }\ntarget 'b' { dockerfile = 'Broken', default = true }\n")
    done = house.build("-k", exit=5)
    assert statuses(done) == {"a": "failed", "b": "failed"}


def test_a_failed_step_names_the_dockerfiles_line(house):
    house.dockerfile("Broken", BROKEN)
    house.write("target 'a' { dockerfile = 'Broken' }\n")
    error = house.build(exit=5)["error"]
    assert error["file"].endswith("Broken") and error["line"] == 2


# ---- choosing ----------------------------------------------------------------------------------------------


def test_without_a_name_the_defaults_are_built_or_the_only_one(house):
    house.write("target 'a' { }")
    assert statuses(house.build()) == {"a": "done"}
    house.write("target 'a' { }\ntarget 'b' { default = true }\ntarget 'c' { default = true }\n")
    assert statuses(house.build()) == {"b": "done", "c": "done"}
    assert statuses(house.build("--all")) == {"a": "done", "b": "done", "c": "done"}
    assert statuses(house.build("c", "a")) == {"c": "done", "a": "done"}


def test_several_targets_without_a_default_are_a_question(house):
    house.write("target 'a' { }\ntarget 'b' { }\n")
    error = house.run("build", "--json", exit=2).json()["error"]
    assert "default" in error["hint"]
