"""Tags, labels and annotations of tags.metadata, published to a real registry by a real builder."""

import json

from harness.program import commit, run_git

PROJECT = """
local meta = tags.metadata {{
  tags = {{ "type=semver,pattern={{{{version}}}}", "type=semver,pattern={{{{major}}}}.{{{{minor}}}}", "type=ref,event=branch" }},
  labels = {{ "org.opencontainers.image.vendor=Acme" }}, annotations = {{ "org.example.at={{{{tag}}}}" }},
}}
target "app" {{
  image = {{ "{host}/Tagged/One", "{host}/tagged/two" }}, tags = meta, labels = {{ ["org.opencontainers.image.title"] = "Own" }},
}}
"""


def workflow(folder, tmp_path, ref: str, **more) -> dict:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"repository": {"default_branch": "main", "license": {"spdx_id": "MIT"}}}))
    return {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/boat", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": ref,
            "GITHUB_SHA": run_git(folder, "rev-parse", "HEAD"), "GITHUB_EVENT_PATH": str(event), **more}


def config_of(registry, repository: str, manifest: dict) -> dict:
    return json.loads(registry.get(f"/v2/{repository}/blobs/{manifest['config']['digest']}")[2])["config"]


def test_a_release_gets_its_tags_labels_and_annotations(strake, project, base, buildkit, registry, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo tagged > /tagged\n", "strake.lua": PROJECT.format(host=registry.host)})
    env = workflow(folder, tmp_path, "refs/tags/v1.2.3", BUILDKIT_HOST=buildkit.address, SOURCE_DATE_EPOCH="1700000000")
    done = strake("build", "--push", cwd=folder, env=env)
    assert done.exit == 0, done.err
    for repository in ("tagged/one", "tagged/two"):
        assert sorted(registry.tags(repository)) == ["1.2", "1.2.3", "latest"]
    manifest = json.loads(registry.get("/v2/tagged/one/manifests/latest", "application/vnd.oci.image.manifest.v1+json")[2])
    assert manifest["annotations"]["org.example.at"] == "v1.2.3"
    assert manifest["annotations"]["org.opencontainers.image.version"] == "1.2.3"
    labels = config_of(registry, "tagged/one", manifest)["Labels"]
    assert {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()} == {
        "title": "Own", "vendor": "Acme", "version": "1.2.3", "licenses": "MIT", "created": "2023-11-14T22:13:20.000Z",
        "revision": env["GITHUB_SHA"], "source": "https://github.com/acme/boat", "url": "https://github.com/acme/boat"}


def test_another_commit_and_another_day_make_no_other_image(strake, project, base, buildkit, registry, tmp_path):
    source = PROJECT.format(host=registry.host).replace("agged/", "agged-again/")
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo again > /tagged\n", "strake.lua": source, ".dockerignore": ".git\n"})
    env = workflow(folder, tmp_path, "refs/heads/main", BUILDKIT_HOST=buildkit.address)
    assert strake("build", "--push", cwd=folder, env=env).exit == 0
    first = registry.digest("tagged-again/one", "main")
    commit(folder, "nothing of the image")
    env = workflow(folder, tmp_path, "refs/heads/main", BUILDKIT_HOST=buildkit.address, SOURCE_DATE_EPOCH="1800000000")
    done = strake("build", "--push", "--changed", cwd=folder, env=env)
    assert done.exit == 0, done.err
    assert registry.digest("tagged-again/one", "main") == first
