"""`strake image list`: the tags of a repository, in the order that people expect, and what they name."""

import re

from harness.images import stage_image


def fill(registry, name, tags):
    """{tag: created}: an image of its own for each, the first the smallest."""
    digests = {}
    for at, (tag, created) in enumerate(tags.items()):
        digests[tag] = stage_image(registry, name, "x" * (10 ** (at % 4)) + tag, created=created)
        registry.put(name, tag, digests[tag])
    return digests


def test_tags_are_in_the_order_of_versions(strake, registry3):
    fill(registry3, "list/order", {tag: "2026-01-01T00:00:00Z" for tag in ("v1.10.0", "v1.9.0", "v1.10.0-rc1", "latest")})
    done = strake("image", "list", f"{registry3.host}/list/order")
    assert done.out.split() == ["latest", "v1.9.0", "v1.10.0-rc1", "v1.10.0"]
    assert strake("image", "list", "--json", f"{registry3.host}/list/order").json()["tags"] == done.out.split()


def test_sizes_tell_what_each_tag_names(strake, registry3):
    ref = f"{registry3.host}/list/sizes"
    digests = fill(registry3, "list/sizes", {"1.9": "2026-01-03T00:00:00Z", "1.10": "2026-01-01T00:00:00Z",
                                             "1.11": "2026-01-02T00:00:00Z"})
    document = strake("image", "list", "--json", "--sizes", ref).json()
    assert [image["tag"] for image in document["images"]] == document["tags"] == ["1.9", "1.10", "1.11"]
    for image in document["images"]:
        shown = strake("image", "show", "--json", f"{ref}:{image['tag']}").json()
        assert image["digest"] == digests[image["tag"]] and image["size_bytes"] == shown["size_bytes"]
        assert image["created"] == shown["platforms"][0]["created"]
    by_created = strake("image", "list", "--json", "--sort", "created", ref).json()["images"]
    assert [image["tag"] for image in by_created] == ["1.9", "1.11", "1.10"]
    by_size = strake("image", "list", "--json", "--sort", "size", ref).json()["images"]
    assert [image["size_bytes"] for image in by_size] == sorted((i["size_bytes"] for i in by_size), reverse=True)
    lines = strake("image", "list", "--sizes", ref).out.splitlines()
    assert len(lines) == 3 and re.match(r"1\.9 +\d+ B +2026-01-03T00:00:00Z +sha256:[0-9a-f]{12}$", lines[0]), lines


def test_many_tags_with_their_sizes(strake, registry3):
    digest = stage_image(registry3, "list/many", "content", arches=("amd64", "arm64"))
    for at in range(100):
        registry3.put("list/many", f"b{at}", digest)
    images = strake("image", "list", "--json", "--sizes", f"{registry3.host}/list/many").json()["images"]
    assert [image["tag"] for image in images] == [f"b{at}" for at in range(100)]
    assert {image["digest"] for image in images} == {digest} and images[0]["size_bytes"] > 0


def test_wrong_questions(strake, registry3):
    done = strake("image", "list", "--sort", "colour", f"{registry3.host}/list/sizes")
    assert done.exit == 2 and "newest first" in done.err
    assert strake("image", "list").exit == 2
    assert strake("image", "list", "--sizes", f"{registry3.host}/list/none").exit == 8
