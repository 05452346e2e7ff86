"""strake cache: what builders and caches hold."""

import pytest


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


@pytest.mark.parametrize("words, said", [
    (["shwo"], "did you mean `strake cache show`?"),
    (["show", "nothing"], "no target nothing"),
    (["show", "--builder", "lba"], "there is no builder lba"),
])
def test_what_cache_does_not_know(strake, project, words, said):
    folder = project({"strake.lua": 'builder "lab" { type = "buildctl", address = "tcp://127.0.0.1:1" }\n'})
    done = strake("cache", *words, cwd=folder)
    assert done.exit == 2 and said in done.err, done.err
