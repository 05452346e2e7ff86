"""The ghcr plugin at a registry that behaves as GitHub's: deletion through the packages API, tokens, the first push."""

import json
import os

import pytest

from harness.drive import Driver
from harness.github import TOKEN, Ghcr
from harness.images import push_image, tar_of
from harness.liar import INDEX, FakeRegistry

ENV = {"TOKEN": TOKEN}


@pytest.fixture
def ghcr(registry3):
    with Ghcr(registry3) as server:
        yield server


@pytest.fixture
def name(request):
    return "octo/" + request.node.name.partition("[")[0].replace("_", "-")[-50:].strip("-")


def image(ghcr, name, tag):
    ref = push_image(ghcr, name, tag, [tar_of([("file", os.urandom(300))])])
    return ref, ghcr.registry.digest(name, tag)


@pytest.fixture
def command(strake, tmp_path, ghcr):
    folder = tmp_path / "project"
    folder.mkdir()

    def run(*args, block=None, **env):
        (folder / "strake.lua").write_text(ghcr.block() if block is None else block)
        return strake(*args, cwd=folder, env={**ENV, **env})

    return run


@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_version_is_deleted_by_the_api(command, ghcr, name, page):
    ghcr.page = page
    _, kept = image(ghcr, name, "kept")
    ref, digest = image(ghcr, name, "1")
    image(ghcr, name, "3")
    done = command("image", "delete", "--yes", "--json", f"{ghcr.host}/{name}@{digest}")
    assert done.exit == 0, done.err
    assert done.json()["deleted"] == [ref]
    assert ghcr.registry.tags(name) == ["3", "kept"] and digest not in ghcr.versions[name]
    assert kept in ghcr.versions[name] and len(ghcr.calls("DELETE")) == 1
    assert not ghcr.asked("DELETE", "/manifests/")


def test_one_tag_of_a_version_goes_and_the_others_stay(command, ghcr, name):
    ref, digest = image(ghcr, name, "1")
    assert command("image", "tag", ref, "2").exit == 0
    done = command("image", "delete", ref)
    assert done.exit == 0, done.err
    assert ghcr.registry.tags(name) == ["2"] and ghcr.registry.digest(name, "2") == digest
    assert list(ghcr.versions[name]) == [digest]  # the version that the tag went with is gone, too


def test_the_last_tag_stays_where_github_wants_it(command, ghcr, name):
    ref, digest = image(ghcr, name, "only")
    done = command("image", "delete", ref)
    assert done.exit == 8 and "last tagged version" in done.err and "delete that on its page" in done.err
    assert ghcr.registry.digest(name, "only") == digest


def test_an_organisations_package_with_a_slash_in_its_name(command, ghcr):
    name = "corp/tools/slashed"
    image(ghcr, name, "kept")
    _, digest = image(ghcr, name, "1")
    done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}")
    assert done.exit == 0, done.err
    assert all("/orgs/corp/packages/container/tools%2Fslashed/versions" in call.target for call in ghcr.calls("DELETE"))
    assert digest not in ghcr.versions[name]


def test_a_fine_grained_token_is_not_sent(command, ghcr, name):
    image(ghcr, name, "kept")
    _, digest = image(ghcr, name, "1")
    done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}", TOKEN="github_pat_11AAAA")
    assert done.exit == 8 and "fine-grained" in done.err and "classic" in done.err and "delete:packages" in done.err
    assert "github_pat_11AAAA" not in done.err + done.out
    assert not ghcr.calls("GET") and digest in ghcr.versions[name]


def test_scopes_that_lack_are_named(command, ghcr, name):
    image(ghcr, name, "kept")
    _, digest = image(ghcr, name, "1")
    ghcr.scopes = {"write:packages"}  # then the API does not show the package, but the registry does
    done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}")
    assert done.exit == 8 and "404" in done.err and "read:packages" in done.err
    ghcr.scopes = {"read:packages", "write:packages"}
    done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}")
    assert done.exit == 8 and "read:packages, write:packages" in done.err and "delete:packages" in done.err
    assert "You need at least" in done.err and TOKEN not in done.err
    done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}", TOKEN="ghp_another")
    assert done.exit == 8 and "401" in done.err and "Bad credentials" in done.err
    assert digest in ghcr.versions[name]


def test_without_a_token(command, ghcr, name):
    image(ghcr, name, "kept")
    _, digest = image(ghcr, name, "1")
    block = f'registry "{ghcr.host}" {{ type = "ghcr", api = "{ghcr.api}" }}\n'
    done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}", block=block)
    assert done.exit == 8 and "wants a token" in done.err and "strake login" in done.err
    assert not ghcr.calls("DELETE")


def test_where_the_api_is_has_to_be_said(command, ghcr, name):
    image(ghcr, name, "kept")
    _, digest = image(ghcr, name, "1")
    block = ghcr.block().replace(f'api = "{ghcr.api}", ', "")
    done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}", block=block)
    assert done.exit == 3 and "api = " in done.err
    done = command("image", "list", f"{ghcr.host}/{name}", block=ghcr.block().replace(ghcr.api, "ftp://x"))
    assert done.exit == 3 and "'api' is no address" in done.err


def test_the_token_follows_no_redirect_and_no_page_elsewhere(command, ghcr, name):
    image(ghcr, name, "kept")
    _, digest = image(ghcr, name, "1")
    with FakeRegistry(lambda request: (200, {}, b"{}")) as other:
        api = FakeRegistry(lambda request: (301, {"Location": f"http://{other.host}{request.target}"}, b""))
        with api:
            block = ghcr.block().replace(ghcr.api, f"http://{api.host}")
            done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}", block=block)
    assert done.exit == 8 and "leads elsewhere" in done.err
    assert not other.requests and digest in ghcr.versions[name]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'[{"id":"x"}]', b"[1]"])
def test_an_api_that_answers_something_else(command, ghcr, name, body):
    image(ghcr, name, "kept")
    _, digest = image(ghcr, name, "1")
    with FakeRegistry(lambda request: (200, {"Link": '<x>; rel="next"'}, body)) as api:
        block = ghcr.block().replace(ghcr.api, f"http://{api.host}")
        done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{digest}", block=block)
        assert len(api.requests) <= 101
    assert digest in ghcr.versions[name]
    assert done.exit == 8, done.err


def test_a_first_push_is_private_and_says_so(command, ghcr, name):
    source, _ = image(ghcr, "octo/source", "1")
    done = command("image", "copy", source, f"{ghcr.host}/{name}:v1")
    assert done.exit == 0, done.err
    assert "is new, and private" in done.err and f"packages/container/package/{name.partition('/')[2]}" in done.err
    asked = len(ghcr.calls("GET"))
    done = command("image", "tag", f"{ghcr.host}/{name}:v1", "v2")
    assert done.exit == 0 and "and private" not in done.err
    done = command("image", "copy", source, f"{ghcr.host}/{name}:v3")
    assert done.exit == 0 and "and private" not in done.err
    assert len(ghcr.calls("GET")) - asked <= 6  # it is asked again only where no tag was seen before


def test_a_public_package_needs_no_word(command, ghcr, name):
    ghcr.visibility = "public"
    source, _ = image(ghcr, "octo/source", "1")
    done = command("image", "copy", source, f"{ghcr.host}/{name}:v1")
    assert done.exit == 0 and "and private" not in done.err


def test_an_api_that_fails_does_not_undo_a_push(command, ghcr, name):
    source, digest = image(ghcr, "octo/source", "1")
    ghcr.scopes = set()
    done = command("image", "copy", source, f"{ghcr.host}/{name}:v1")
    assert done.exit == 0, done.err
    assert ghcr.registry.digest(name, "v1") == digest


def test_ghcr_io_is_github_s_by_itself(strake, tmp_path):
    (tmp_path / "strake.lua").write_text('registry "ghcr.io" { api = 7 }\n')
    done = strake("image", "list", "ghcr.io/octo/app", cwd=tmp_path)
    assert done.exit == 3 and "ghcr" in done.err and "api" in done.err


def test_what_refers_to_an_image_is_kept_by_the_tag_and_leaves_it(command, ghcr, name, tmp_path):
    _, digest = image(ghcr, name, "1")
    body = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": "a/b",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + "0" * 64, "size": 2},
            "layers": [], "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
                                      "size": 1}}
    _, _, config = ghcr.registry.get(f"/v2/{name}/manifests/1", body["mediaType"])
    body["config"] = json.loads(config)["config"]
    (tmp_path / "artifact").write_text(json.dumps(body))
    options = {"host": ghcr.host, "api": ghcr.api, "username": "octo", "password": TOKEN}
    (tmp_path / "driver").mkdir()
    Driver(tmp_path / "driver")("ghcr", options, ("put", name, "artifact-tag", body["mediaType"], tmp_path / "artifact"))
    fallback = "sha256-" + digest[7:]
    assert fallback in ghcr.registry.tags(name)
    artifact = ghcr.registry.digest(name, "artifact-tag")
    done = command("image", "delete", "--yes", f"{ghcr.host}/{name}@{artifact}")
    assert done.exit == 0, done.err
    _, _, listed = ghcr.registry.get(f"/v2/{name}/manifests/{fallback}", INDEX)
    assert artifact.encode() not in listed and ghcr.registry.digest(name, "1") == digest
