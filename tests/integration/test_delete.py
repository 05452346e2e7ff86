"""`strake image delete`: a tag alone, and an image with all that shows it, at both real registries."""

import json
import os

import pytest

from harness.images import push_image, tar_of
from harness.liar import INDEX, MANIFEST, Answer, digest_of


def image(registry, name, tag="1"):
    return push_image(registry, name, tag, [tar_of([("file", os.urandom(300))])])


def name_of(request):
    return "delete/" + request.node.name.partition("[")[0].replace("_", "-")[-60:].strip("-")


@pytest.fixture
def name(request):
    return name_of(request)


def there(registry, name, digest):
    status, _, _ = registry.get(f"/v2/{name}/manifests/{digest}", f"{MANIFEST}, {INDEX}")
    return status == 200


def index_of(registry, name, tag, parts):
    """An index of those tags' images."""
    entries = []
    for position, part in enumerate(parts):
        _, _, body = registry.get(f"/v2/{name}/manifests/{part}", MANIFEST)
        entries.append({"mediaType": MANIFEST, "digest": digest_of(body), "size": len(body),
                        "platform": {"os": "linux", "architecture": ["amd64", "arm64"][position]}})
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    status, _, _ = http_put(registry, f"/v2/{name}/manifests/{tag}", body, INDEX)
    assert status == 201
    return digest_of(body)


def http_put(registry, path, body, kind):
    from harness.servers import http
    return http("PUT", f"http://127.0.0.1:{registry.port}{path}", body, {"Content-Type": kind})


def test_a_tag_goes_alone(strake, real, name):
    ref = image(real, name)
    digest = real.digest(name, "1")
    strake("image", "tag", ref, "2")
    done = strake("image", "delete", "--json", ref)
    assert done.exit == 0, done.err
    document = done.json()
    assert document["schema"] == "strake.delete/1" and document["status"] == "done"
    assert document["deleted"] == [ref] and document["digest"] == digest and document["manifests"] == []
    assert real.tags(name) == ["2"] and real.digest(name, "2") == digest


def test_a_digest_asks_before_tags_go(strake, real, name):
    ref = image(real, name)
    digest = real.digest(name, "1")
    strake("image", "tag", ref, "2")
    repository = ref.rpartition(":")[0]
    done = strake("image", "delete", f"{repository}@{digest}")
    assert done.exit == 2 and "2 tags would go" in done.err and f"{repository}:2" in done.err and "--yes" in done.err
    assert there(real, name, digest)
    done = strake("image", "delete", "--dry-run", "--json", f"{repository}@{digest}")
    assert done.exit == 0 and done.json()["status"] == "planned"
    assert there(real, name, digest)
    done = strake("image", "delete", "--yes", "--json", f"{repository}@{digest}")
    assert done.exit == 0, done.err
    assert done.json()["deleted"] == [f"{repository}:1", f"{repository}:2"]
    assert not there(real, name, digest)


def test_parts_that_another_index_needs_stay(strake, real, name):
    repository = image(real, name, "a").rpartition(":")[0]
    image(real, name, "b")
    image(real, name, "c")
    a, b, c = (real.digest(name, tag) for tag in "abc")
    first = index_of(real, name, "first", "ab")
    second = index_of(real, name, "second", "bc")
    for tag in "abc":
        assert strake("image", "delete", f"{repository}:{tag}").exit == 0
    done = strake("image", "delete", "--yes", "--json", f"{repository}@{first}")
    assert done.exit == 0, done.err
    assert done.json()["manifests"] == [first, a]
    assert done.json()["kept"] == [{"digest": b, "why": f"{repository}:second needs it"}]
    assert not there(real, name, first) and not there(real, name, a)
    assert there(real, name, second) and there(real, name, b) and there(real, name, c)


def test_a_part_of_a_tagged_index_is_not_deleted(strake, real, name):
    repository = image(real, name, "a").rpartition(":")[0]
    part = real.digest(name, "a")
    index_of(real, name, "whole", "a")
    done = strake("image", "delete", "--yes", f"{repository}@{part}")
    assert done.exit == 2 and f"{repository}:whole" in done.err
    assert there(real, name, part)


def test_a_policy_at_delete_is_asked(strake, real, name, tmp_path):
    ref = image(real, name)
    (tmp_path / "strake.lua").write_text('policy "keep" { at = "delete", check = function(image)\n'
                                         '  if image.moves[1].tag == "1" and image.moves[1].to == false then deny("stays") end\n'
                                         'end }\n')
    done = strake("image", "delete", ref, cwd=tmp_path)
    assert done.exit == 4 and "stays" in done.err
    assert real.tags(name) == ["1"]


def test_what_is_not_there(strake, real, name):
    ref = image(real, name)
    repository = ref.rpartition(":")[0]
    assert strake("image", "delete", repository + ":none").exit == 8
    done = strake("image", "delete", f"{repository}@sha256:{'0' * 64}")
    assert done.exit == 8 and "not there" in done.err
    done = strake("image", "delete", repository)
    assert done.exit == 2 and "names no image" in done.err


@pytest.mark.parametrize("status", [400, 405])
def test_a_registry_that_deletes_nothing_keeps_the_tag(strake, liar, name, status):
    image(liar.registry, name)
    digest = liar.registry.digest(name, "1")
    liar.forget()
    liar.refuse("DELETE", "/manifests/", status)
    try:
        done = strake("image", "delete", f"{liar.host}/{name}:1")
        assert done.exit == 8 and "switched off" in done.err
        assert liar.registry.digest(name, "1") == digest
        done = strake("image", "delete", "--yes", f"{liar.host}/{name}@{digest}")
        assert done.exit == 8 and "cannot be deleted" in done.err
    finally:
        liar.forget()


def test_a_lost_answer_to_the_empty_manifest_puts_the_old_one_back(strake, liar, name):
    image(liar.registry, name)
    digest = liar.registry.digest(name, "1")
    liar.forget()
    liar.refuse("DELETE", "/manifests/1$", 405)

    def lost(request, forward):
        forward()
        return Answer(403, [], b"")
    liar.on("PUT", "/manifests/1$", lost, times=1)
    try:
        assert strake("image", "delete", f"{liar.host}/{name}:1").exit == 8
        assert liar.registry.digest(name, "1") == digest
    finally:
        liar.forget()
