"""strake build as users of docker and buildx type it: without any file, with every output."""

import json
import tarfile

import pytest

from harness.docker import CLIENTS
from harness.program import make_project


@pytest.fixture
def app(project, base):
    """A folder with a Dockerfile and nothing else."""
    return project({"Dockerfile": f"FROM {base}\nARG WHO=world\nRUN echo hello $WHO > /hello\nUSER dev\n"})


@pytest.fixture
def env(buildkit) -> dict:
    return {"BUILDKIT_HOST": buildkit.address}


def test_without_any_file_it_just_works(strake, app, env, registry):
    name = f"{registry.host}/plain/app"
    done = strake("build", "-t", f"{name}:1.0", "-t", name, "--build-arg", "WHO=strake", "--push", ".", cwd=app, env=env)
    assert done.exit == 0, done.err
    assert "as BUILDKIT_HOST says" in done.err
    assert registry.tags("plain/app") == ["1.0", "latest"]
    assert registry.digest("plain/app", "1.0") in done.out


def test_without_buildkit_it_is_buildah_and_says_so(strake, app, registry, programs):
    name = f"{registry.host}/plain/buildah"
    done = strake("build", "-t", f"{name}:1.0", "--push", "--json", ".", cwd=app, timeout=300,
                  env={"PATH": programs(*CLIENTS)})
    assert done.exit == 0, done.err
    assert "buildah: BUILDKIT_HOST is not set and no BuildKit socket exists" in done.err
    target = done.json()["targets"][0]
    assert target["digest"] == registry.digest("plain/buildah", "1.0")
    assert list(target["platforms"]) == ["linux/amd64"]


def test_what_buildah_lacks_is_refused_beforehand(strake, project, base, programs):
    folder = project({"Dockerfile": f"FROM {base}\nRUN true\nRUN <<EOF\necho hi\nEOF\n"})
    done = strake("build", "--json", ".", cwd=folder, env={"PATH": programs(*CLIENTS)})
    assert done.exit == 9
    assert (done.json()["error"]["line"], done.json()["error"]["kind"]) == (3, "builder")
    assert "here-documents" in done.err and "STEP" not in done.err


def test_without_an_output_nothing_leaves_the_builder(strake, app, env):
    done = strake("build", cwd=app, env=env)
    assert done.exit == 0, done.err
    assert done.out.splitlines()[-1].startswith("Nothing left the builder")


def test_stage_pushes_by_digest_and_moves_no_tag(strake, app, env, registry):
    done = strake("build", "-t", f"{registry.host}/plain/staged:1", "--stage", "--json", ".", cwd=app, env=env)
    assert done.exit == 0, done.err
    digest = done.json()["targets"][0]["digest"]
    assert registry.tags("plain/staged") == []
    assert registry.get(f"/v2/plain/staged/manifests/{digest}",
                        "application/vnd.oci.image.manifest.v1+json")[0] == 200


def test_an_oci_archive_and_a_docker_archive_are_written(strake, app, env, tmp_path):
    oci, docker = tmp_path / "oci.tar", tmp_path / "docker.tar"
    assert strake("build", "-o", f"type=oci,dest={oci}", ".", cwd=app, env=env).exit == 0
    assert strake("build", "-t", "foo:1", "--output", f"type=docker,dest={docker}", ".", cwd=app, env=env).exit == 0
    with tarfile.open(oci) as tar:
        assert "index.json" in tar.getnames()
    with tarfile.open(docker) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
    assert manifest[0]["RepoTags"] == ["foo:1"]


def test_a_bare_path_is_a_folder_of_files(strake, app, env, tmp_path):
    assert strake("build", "--build-arg", "WHO=files", "-o", str(tmp_path / "out"), ".", cwd=app, env=env).exit == 0
    assert (tmp_path / "out/hello").read_text() == "hello files\n"


@pytest.mark.parametrize("loads, status, exit", [(True, "done", 0), (False, "failed", 9)])
def test_a_build_is_done_once_docker_has_the_image(strake, app, env, tmp_path, loads, status, exit):
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\necho no room >&2\n[ -s \"$3\" ] && exec {'true' if loads else 'false'}\n")
    docker.chmod(0o755)
    done = strake("build", "-t", "app:1", "--load", "--json", ".", cwd=app,
                  env={**env, "PATH": f"{docker.parent}:{strake.env['PATH']}"})
    result = done.json()
    assert (done.exit, result["status"]) == (exit, status), done.err
    assert loads or (result["error"]["exit"] == 9 and "no room" in result["error"]["detail"])


def test_a_layout_is_a_place_for_images_too(strake, project, buildkit, base, tmp_path):
    layout = tmp_path / "layout"
    folder = project({"Dockerfile": f"FROM {base}\nUSER dev\n",
                      "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\n'
                                    f'target "x" {{ image = "oci:{layout}", tags = {{ "a", "b" }} }}\n'})
    done = strake("build", "--push", "--json", cwd=folder)
    assert done.exit == 0, done.err
    shown = strake("image", "show", f"oci:{layout}:b", "--json").json()
    assert shown["digest"] == done.json()["targets"][0]["digest"]
    assert strake("image", "list", f"oci:{layout}", "--json").json()["tags"] == ["a", "b"]


def test_a_secret_reaches_the_build_and_nothing_else(strake, project, env, base, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN --mount=type=secret,id=word [ \"$(cat /run/secrets/word)\" = hunter2-hunter2 ]"
                                    " && cat /run/secrets/word\n"})
    done = strake("build", "--secret", "id=word,env=WORD", "--no-cache", "--events", str(tmp_path / "events"), ".",
                  cwd=folder, env={**env, "WORD": "hunter2-hunter2"})
    assert done.exit == 0, done.err
    assert "[secret]" in done.err
    logs = strake("history", "logs", cwd=folder)
    assert "[secret]" in logs.out
    for text in (done.out, done.err, logs.out, (tmp_path / "events").read_text(),
                 strake("plan", "--secret", "id=word,env=WORD", "--json", ".", cwd=folder, env={**env, "WORD": "hunter2-hunter2"}).out):
        assert "hunter2" not in text


def test_a_missing_secret_is_told_with_its_variable(strake, app, env):
    done = strake("build", "--secret", "id=word,env=NOWHERE", ".", cwd=app, env=env)
    assert done.exit in (3, 5), done.err
    assert "NOWHERE" in done.err or "word" in done.err


def test_a_stage_a_file_and_labels_are_taken_from_the_command_line(strake, project, env, base, registry):
    folder = project({"build/Other": f"FROM {base} AS one\nRUN echo 1 > /one\nFROM {base} AS two\nRUN echo 2 > /two\n"})
    name = f"{registry.host}/plain/stage:1"
    done = strake("build", "-f", "build/Other", "--target", "one", "--label", "a=b c", "-t", name, "--push", ".", cwd=folder,
                  env=env)
    assert done.exit == 0, done.err
    shown = strake("image", "show", name, "--json").json()["platforms"][0]
    assert shown["config"]["labels"]["a"] == "b c"
    assert "echo 1" in shown["layers"][-1]["created_by"]


def test_two_platforms_make_an_index_with_a_digest_each(strake, app, env, registry):
    name = f"{registry.host}/plain/two:1"
    done = strake("build", "--platform", "linux/amd64,linux/arm64", "-t", name, "--push", "--json", ".", cwd=app, env=env)
    assert done.exit == 0, done.err
    platforms = done.json()["targets"][0]["platforms"]
    assert sorted(platforms) == ["linux/amd64", "linux/arm64"]
    assert len(set(platforms.values())) == 2


def test_a_second_build_is_cached_and_says_so(strake, app, env):
    strake("build", cwd=app, env=env)
    done = strake("build", "--json", cwd=app, env=env)
    target = done.json()["targets"][0]
    assert target["cached"] is True
    assert target["steps"] == {"total": 1, "cached": 1}


def test_in_github_actions_there_are_groups_and_annotations(strake, project, env, base):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo '::error::not mine' && false\n"})
    done = strake("build", cwd=folder, env={**env, "GITHUB_ACTIONS": "true"})
    assert done.exit == 5
    lines = done.err.splitlines()
    assert "::group::build default" in lines and "::endgroup::" in lines
    assert any(line.startswith("::error file=") and ",line=2::" in line for line in lines)
    assert not any(line.startswith("::error::not mine") for line in lines)


def test_events_are_one_object_a_line_in_order(strake, app, env, tmp_path):
    done = strake("build", "--no-cache", "--events", str(tmp_path / "events"), cwd=app, env=env)
    assert done.exit == 0, done.err
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    types = [event["type"] for event in events]
    assert types[0] == "run.started" and types[-1] == "run.done"
    assert types.index("target.started") < types.index("step.started") < types.index("target.done")
    assert {event["v"] for event in events} == {1} and len({event["run"] for event in events}) == 1


@pytest.mark.parametrize("mode", ["plain", "quiet", "rawjson", "tty"])
def test_each_progress_mode_ends_well(strake, app, env, mode):
    done = strake("build", "--progress", mode, cwd=app, env=env)
    assert done.exit == 0, done.err
    assert (done.err == "") == (mode == "quiet")


def test_a_context_elsewhere_is_built_with_its_own_dockerfile(strake, tmp_path, env, base):
    make_project(tmp_path / "elsewhere", {"Dockerfile": f"FROM {base}\n"}, git=False)
    done = strake("build", str(tmp_path / "elsewhere"), cwd=tmp_path, env=env)
    assert done.exit == 0, done.err


def test_a_private_base_image_is_pulled_with_the_projects_credentials(strake, project, buildkit, private_registry, base):
    """The base goes there first; then a build that pushes nothing has to read it."""
    lua = f'''builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}
registry "{private_registry.host}" {{ username = "dev", password = secret.env "WORD" }}
target "base" {{ image = "{private_registry.host}/private/base", tags = {{ "1" }} }}
target "app" {{ dockerfile = "App" }}
'''
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo private-{private_registry.port}\n", "strake.lua": lua,
                      "App": f"FROM {private_registry.host}/private/base:1\nRUN true\n"})
    word = {"WORD": "s3cret-password"}
    assert strake("build", "base", "--push", cwd=folder, env=word).exit == 0
    done = strake("build", "app", cwd=folder, env=word)
    assert done.exit == 0, done.err
