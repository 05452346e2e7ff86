"""`image layers` and `image diff`: numbers that were put in come out again, and what layers of bad will do."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import zlib

import pytest

from harness.images import push_image, tar_of

MIB = 1024 * 1024


def layers_of(strake, ref, *more):
    done = strake("image", "layers", ref, "--json", *more)
    assert done.exit == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == "strake.image/1"
    return document


def counts(layer):
    return tuple(layer[key] for key in ("unpacked_bytes", "added", "changed", "deleted", "wasted_bytes", "reclaimable_bytes"))


# What three layers hold: a file that is replaced, one that is deleted, a folder that goes, one that is emptied.
THREE = [
    [("etc/", None), ("etc/keep", b"k" * 10), ("etc/old", b"o" * 100), ("etc/gone", b"g" * 1000),
     ("dir/a", b"a" * 20), ("dir/sub/b", b"b" * 30), ("opaque/x", b"x" * 7), ("opaque/y", b"y" * 8)],
    [("etc/old", b"O" * 150), ("etc/.wh.gone", b""), (".wh.dir", b""), ("new", b"n" * 5)],
    [("opaque/.wh..wh..opq", b""), ("opaque/y", b"Y" * 9), ("etc/old", b"o" * 40), ("etc/.wh.absent", b"")],
]


@pytest.mark.parametrize("compression", ["gzip", "zstd", ""])
def test_each_layer_is_counted(strake, registry, compression):
    ref = push_image(registry, "layers/three", f"t{compression}", [tar_of(layer) for layer in THREE], compression)
    document = layers_of(strake, ref)
    platform, = document["platforms"]
    assert platform["platform"] == "linux/amd64"
    first, second, third = platform["layers"]
    # wasted: all that stands in two or more layers; reclaimable: what a container does not see
    assert counts(first) == (10 + 100 + 1000 + 20 + 30 + 7 + 8, 7, 0, 0, 100 + 1000 + 20 + 30 + 7 + 8, 100 + 1000 + 20 + 30 + 7 + 8)
    assert counts(second) == (155, 1, 1, 3, 150, 150)
    assert counts(third) == (49, 0, 2, 1, 49, 0)
    assert platform["wasted_bytes"] == 1165 + 150 + 49
    assert platform["reclaimable_bytes"] == 1165 + 150
    total = 1175 + 155 + 49
    assert platform["unpacked_bytes"] == total
    assert platform["final_bytes"] == total - 1315 == 10 + 5 + 9 + 40
    # smallest of each path: keep 10, old 40, y 8, new 5, and nothing of what was deleted
    assert platform["efficiency"] == pytest.approx((10 + 40 + 8 + 5) / total)
    assert first["created_by"] == "step 0" and first["size_bytes"] > 0


def test_files_are_listed(strake, registry):
    ref = push_image(registry, "layers/three", "files", [tar_of(layer) for layer in THREE])
    document = layers_of(strake, ref, "--files")
    files = [{(item["path"], item["change"], item["size_bytes"]) for item in layer["files"]}
             for layer in document["platforms"][0]["layers"]]
    assert ("/dir/sub/b", "added", 30) in files[0] and len(files[0]) == 7
    assert files[1] == {("/etc/old", "changed", 150), ("/etc/gone", "deleted", 1000), ("/dir/a", "deleted", 20),
                        ("/dir/sub/b", "deleted", 30), ("/new", "added", 5)}
    assert files[2] == {("/opaque/x", "deleted", 7), ("/opaque/y", "changed", 9), ("/etc/old", "changed", 40)}
    text = strake("image", "layers", ref, "--files").out
    assert "/dir/sub/b" in text and "step 1" in text and "efficiency 4.6 %" in text


def test_a_layout_gives_the_same(strake, registry, tmp_path):
    ref = push_image(registry, "layers/three", "layout", [tar_of(layer) for layer in THREE])
    assert strake("image", "copy", ref, f"oci:{tmp_path}/layout:t").exit == 0
    here = layers_of(strake, f"oci:{tmp_path}/layout:t", "--files")
    there = layers_of(strake, ref, "--files")
    assert here["platforms"] == there["platforms"]


def test_one_platform_of_an_index(strake, base):
    assert [entry["platform"] for entry in layers_of(strake, base)["platforms"]] == ["linux/amd64"]
    assert [entry["platform"] for entry in layers_of(strake, base, "--platform", "linux/arm64")["platforms"]] == ["linux/arm64"]
    assert len(layers_of(strake, base, "--platform", "all")["platforms"]) == 2
    done = strake("image", "layers", base, "--platform", "linux/s390x")
    assert done.exit == 8 and "linux/amd64" in done.err


def test_what_buildkit_builds(strake, project, registry, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\nCOPY data /data\nRUN echo more >> /data && rm /etc/passwd\nENV A=b\n",
                      "data": "x" * 1000})
    done = strake("build", ".", "--push", "-t", f"{registry.host}/layers/built:1", cwd=folder,
                  env={"BUILDKIT_HOST": buildkit.address})
    assert done.exit == 0, done.err
    platform, = layers_of(strake, f"{registry.host}/layers/built:1", "--files")["platforms"]
    bottom, copied, ran = platform["layers"]
    assert bottom["added"] > 20 and bottom["created_by"] == "busybox"
    assert (copied["unpacked_bytes"], copied["added"], copied["wasted_bytes"]) == (1000, 1, 1000)
    assert "COPY data /data" in copied["created_by"] and "RUN" in ran["created_by"]
    # runc's own mount points may be in it as well
    changes = {(item["path"], item["change"], item["size_bytes"]) for item in ran["files"]}
    assert {("/data", "changed", 1005), ("/etc/passwd", "deleted", 63)} <= changes
    assert platform["reclaimable_bytes"] == 1000 + 63


# ---- layers of bad will ----

def odd_tar():
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, link, size in [
                ("../../escape", tarfile.REGTYPE, "", 11), ("/absolute", tarfile.REGTYPE, "", 13),
                ("a/../../b", tarfile.REGTYPE, "", 17), ("dev/sda", tarfile.BLKTYPE, "", 0), ("dev/null", tarfile.CHRTYPE, "", 0),
                ("pipe", tarfile.FIFOTYPE, "", 0), ("hard", tarfile.LNKTYPE, "../../etc/passwd", 0),
                ("soft", tarfile.SYMTYPE, "/etc/shadow", 0), ("long/" + "n" * 300, tarfile.REGTYPE, "", 19),
                ("uml\u00e4ut", tarfile.REGTYPE, "", 23), ("esc\x1b[31m", tarfile.REGTYPE, "", 29)]:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, link, size
            tar.addfile(entry, io.BytesIO(b"z" * size))
    return raw.getvalue()


def test_odd_entries_are_counted_and_never_unpacked(strake, registry, tmp_path):
    ref = push_image(registry, "layers/odd", "1", [odd_tar()])
    layer = layers_of(strake, ref, "--files")["platforms"][0]["layers"][0]
    assert (layer["added"], layer["unpacked_bytes"], layer["outside"]) == (11, 11 + 13 + 17 + 19 + 23 + 29, 4)
    paths = {item["path"] for item in layer["files"]}
    assert {"/escape", "/absolute", "/b", "/dev/sda", "/hard", "/soft", "/long/" + "n" * 300, "/uml\u00e4ut"} <= paths
    text = strake("image", "layers", ref, "--files")
    assert "\x1b" not in text.out and "lead out of the image" in text.out
    assert [path for path in (strake.home / "tmp").rglob("*")] == []


def bomb(size):
    """A layer with one file of `size` zeros, compressed as it is made."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    entry = tarfile.TarInfo("zeros")
    entry.size = size
    out = [packer.compress(entry.tobuf(tarfile.GNU_FORMAT))]
    piece = bytes(4 * MIB)
    for _ in range(size // len(piece)):
        out.append(packer.compress(piece))
    out.append(packer.compress(bytes(1024)))
    out.append(packer.flush())
    return b"".join(out)


def test_a_bomb_is_counted_in_constant_memory(strake, registry, tmp_path):
    packed = bomb(1024 * MIB)
    assert len(packed) < 2 * MIB
    ref = push_image(registry, "layers/bomb", "1", [packed], None)
    peak = tmp_path / "peak"
    done = subprocess.run(["/usr/bin/env", "python3", "-c",
                           "import resource,subprocess,sys\n"
                           "done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE)\n"
                           "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))\n"
                           "sys.stdout.buffer.write(done.stdout)\nsys.exit(done.returncode)",
                           str(peak), str(strake.program), "image", "layers", ref, "--json"],
                          env=strake.env, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    layer = json.loads(done.stdout)["platforms"][0]["layers"][0]
    assert (layer["unpacked_bytes"], layer["added"]) == (1024 * MIB, 1)
    # Sanitizers take their own; the file alone would be a gibibyte.
    assert int(peak.read_text()) < 400 * 1024
    assert [path for path in (strake.home / "tmp").rglob("*")] == []


@pytest.mark.parametrize("name, data, says", [
    ("cut-gzip", gzip.compress(tar_of([("a", b"a" * 100000)]), 0)[:5000], "cannot be unpacked"),
    ("cut-tar", tar_of([("a", b"a" * 100000)])[:5000], "ends within an entry"),
    ("no-tar", b"x" * 5000, "no tar that can be read"),
    ("bad-sum", tar_of([("a", b"")])[:3] + b"!" + tar_of([("a", b"")])[4:], "sum of a header"),
])
def test_a_damaged_layer_is_told(strake, registry, name, data, says):
    ref = push_image(registry, "layers/damaged", name, [data], None)
    done = strake("image", "layers", ref, "--json")
    assert done.exit == 8
    error = json.loads(done.out)["error"]
    assert says in error["message"] and hashlib.sha256(data).hexdigest()[:12] in error["message"]


def test_other_bytes_than_the_digest_are_told(strake, tmp_path, registry):
    ref = push_image(registry, "layers/three", "lied", [tar_of([("a", b"a" * 3000)])], "")
    assert strake("image", "copy", ref, f"oci:{tmp_path}/layout:t").exit == 0
    digest = layers_of(strake, ref)["platforms"][0]["layers"][0]["digest"]
    blob = tmp_path / "layout/blobs/sha256" / digest.removeprefix("sha256:")
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b"a" * 3000, b"b" * 3000))
    done = strake("image", "layers", f"oci:{tmp_path}/layout:t")
    assert done.exit == 8 and "digest" in done.err


def test_an_empty_layer_and_no_layer(strake, registry):
    ref = push_image(registry, "layers/empty", "1", [tar_of([]), tar_of([])])
    platform, = layers_of(strake, ref)["platforms"]
    assert [layer["unpacked_bytes"] for layer in platform["layers"]] == [0, 0] and platform["efficiency"] == 1
    ref = push_image(registry, "layers/empty", "none", [])
    assert layers_of(strake, ref)["platforms"][0]["layers"] == []


def test_bad_words(strake):
    assert strake("image", "layers").exit == 2
    assert strake("image", "layers", "a", "b").exit == 2
    assert strake("image", "layers", "a", "--platform", "linux/amd46").exit == 2
    assert strake("image", "diff", "a").exit == 2


# ---- diff ----

DPKG = """Package: curl
Status: install ok installed
Version: {curl}

Package: gone
Status: deinstall ok config-files
Version: 1

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9
"""
APK = "P:musl\nV:1.2.4-r{n}\n\nP:zlib\nV:1.3-r0\n"


def diff_of(strake, *words):
    done = strake("image", "diff", "--json", *words)
    assert done.exit == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == "strake.diff/1"
    return document


def pair(registry):
    bottom = tar_of([("etc/same", b"s" * 10), ("var/lib/dpkg/status", DPKG.format(curl="7.88").encode()), ("usr/bin/tool", b"1" * 100),
                     ("lib/apk/db/installed", APK.format(n=1).encode()), ("link", "etc/same")])
    a = push_image(registry, "diff/pair", "a", [bottom, tar_of([("only-a", b"a" * 20), ("usr/bin/tool", b"2" * 100)])],
                   config={"User": "dev", "Env": ["A=1", "B=2"], "Cmd": ["x"], "Labels": {"v": "1"}})
    b = push_image(registry, "diff/pair", "b", [
        bottom, tar_of([("only-b", b"b" * 30), ("usr/bin/tool", b"3" * 100), ("link", "etc/other"),
                        ("var/lib/dpkg/status", DPKG.format(curl="8.0").replace("libc6", "libc7").encode()),
                        ("lib/apk/db/.wh.installed", b"")])],
        "zstd", config={"Env": ["A=1", "B=3", "C=4"], "Cmd": ["x", "y"], "Labels": {"v": "1"}})
    return a, b


def test_two_images_are_compared(strake, registry):
    a, b = pair(registry)
    document = diff_of(strake, a, b)
    changes = {item["path"]: (item["change"], *item["size_bytes"]) for item in document["files"]}
    status = [len(DPKG.format(curl="7.88")), len(DPKG.format(curl="8.0"))]
    assert changes == {"/only-a": ("removed", 20, 0), "/only-b": ("added", 0, 30), "/usr/bin/tool": ("changed", 100, 100),
                       "/link": ("changed", 0, 0), "/var/lib/dpkg/status": ("changed", *status),
                       "/lib/apk/db/installed": ("removed", len(APK.format(n=1)), 0)}
    packages = {item["name"]: (item["from"], item["to"]) for item in document["packages"]}
    assert packages == {"curl": ("7.88", "8.0"), "libc6": ("2.36-9", ""), "libc7": ("", "2.36-9"),
                        "musl": ("1.2.4-r1", ""), "zlib": ("1.3-r0", "")}
    config = {item["key"]: (item["from"], item["to"]) for item in document["config"]}
    assert config == {"user": ("dev", ""), "env.B": ("2", "3"), "env.C": ("", "4"), "cmd": ('["x"]', '["x","y"]')}
    assert document["size_bytes"][0] > 0 and document["final_bytes"][1] > document["final_bytes"][0] - 1000
    # one compressed by gzip, the other by zstd: the same files lie in other blobs
    assert document["layers"]["common"] == 0 and len(document["layers"]["a"]) == 2
    text = strake("image", "diff", a, b).out
    for words in ("~ curl  7.88 → 8.0", "+ env.C  4", "- user  dev", "/only-b"):
        assert words in text


def test_common_layers_are_read_once_and_what_is_the_same_is_not_told(strake, registry):
    bottom = tar_of([("a", b"a" * 10), ("b", b"b" * 10)])
    a = push_image(registry, "diff/common", "a", [bottom, tar_of([("c", b"c")])])
    # `a` is written again as it was, `b` too but with another mode
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, mode in (("a", 0o644), ("b", 0o600)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = 10, mode, 12345
            tar.addfile(entry, io.BytesIO(name.encode() * 10))
    b = push_image(registry, "diff/common", "b", [bottom, tar_of([("c", b"c")]), raw.getvalue()])
    document = diff_of(strake, a, b)
    assert document["layers"]["common"] == 2 and len(document["layers"]["b"]) == 1
    assert [(item["path"], item["change"]) for item in document["files"]] == [("/b", "changed")]
    same = diff_of(strake, a, a)
    assert (same["files"], same["packages"], same["config"], same["layers"]["a"]) == ([], [], [], [])


def test_a_diff_of_two_stores_and_of_what_is_not_there(strake, registry, tmp_path, base):
    a, b = pair(registry)
    assert strake("image", "copy", b, f"oci:{tmp_path}/layout:b").exit == 0
    here, there = diff_of(strake, a, f"oci:{tmp_path}/layout:b"), diff_of(strake, a, b)
    assert here["files"] == there["files"] and here["packages"] == there["packages"]
    assert strake("image", "diff", a, f"{registry.host}/diff/pair:absent").exit == 8
    assert diff_of(strake, base, base, "--platform", "linux/arm64")["platforms"] == ["linux/arm64", "linux/arm64"]


# ---- docker archives ----

def archive_of(tmp_path, members):
    """A tar of (name, bytes or link), as docker save writes it."""
    path = tmp_path / "image.tar"
    path.write_bytes(tar_of(members))
    return path


def saved(layers, **more):
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"User": "dev"},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]}}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    names = [f"{i}/layer.tar" for i in range(len(layers))]
    manifest = [{"Config": name, "RepoTags": ["app:1.2"], "Layers": names, **more}]
    return [(name, config), *zip(names, layers), ("manifest.json", json.dumps(manifest).encode())]


def test_a_docker_archive_is_read_like_a_registry(strake, registry, tmp_path):
    layers = [tar_of(layer) for layer in THREE]
    ref = f"docker-archive:{archive_of(tmp_path, saved(layers))}"
    here, = layers_of(strake, ref, "--files")["platforms"]
    there, = layers_of(strake, push_image(registry, "layers/three", "saved", layers), "--files")["platforms"]
    assert [counts(layer) for layer in here["layers"]] == [counts(layer) for layer in there["layers"]]
    assert here["config"]["user"] == "dev" and here["layers"][0]["files"] == there["layers"][0]["files"]
    assert strake("image", "list", ref, "--json").json()["tags"] == ["1.2"]
    # into a registry and a layout, and nothing changes
    for target in (f"{registry.host}/layers/from-archive:1", f"oci:{tmp_path}/layout:1"):
        assert strake("image", "copy", ref, target).exit == 0
        assert diff_of(strake, ref, target)["files"] == []
        assert strake("image", "show", target, "--json").json()["digest"] == strake("image", "show", ref, "--json").json()["digest"]


def test_skopeo_writes_an_archive_that_is_read(strake, registry, tmp_path):
    ref = push_image(registry, "layers/three", "skopeo", [tar_of(layer) for layer in THREE])
    subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{ref}", f"docker-archive:{tmp_path}/s.tar:app:1"],
                   check=True, capture_output=True, env={**strake.env, "HOME": str(tmp_path)}, timeout=60)
    document = diff_of(strake, ref, f"docker-archive:{tmp_path}/s.tar")
    assert document["files"] == [] and document["config"] == []


def test_packed_and_shared_layers_of_an_archive(strake, tmp_path):
    layer = tar_of([("a", b"a" * 1000)])
    members = dict(saved([layer, layer]))
    members["0/layer.tar"] = gzip.compress(layer)
    members["1/layer.tar"] = "../0/layer.tar"
    platform, = layers_of(strake, f"docker-archive:{archive_of(tmp_path, list(members.items()))}")["platforms"]
    assert [(layer["unpacked_bytes"], layer["added"], layer["changed"]) for layer in platform["layers"]] == [(1000, 1, 0), (1000, 0, 1)]


@pytest.mark.parametrize("members, says", [
    ([("x", b"")], "has no manifest.json"), ([("manifest.json", b"[")], "malformed"), ([("manifest.json", b"[]")], "names no image"),
    ([("manifest.json", b'[{"Config":"c","Layers":["l"]}]')], "has no c"),
    ([("manifest.json", b'[{"Config":"c","Layers":["l"]}]'), ("c", b"{}")], "a layer is missing"),
    ([("manifest.json", b"[{},{}]")], "several images")])
def test_archives_that_are_none(strake, tmp_path, members, says):
    done = strake("image", "show", f"docker-archive:{archive_of(tmp_path, members)}")
    assert done.exit == 8 and says in done.err


def test_files_that_are_no_archives(strake, tmp_path):
    layer = tar_of([("a", b"a" * 1000)])
    whole = archive_of(tmp_path, saved([layer])).read_bytes()
    for name, data, says in (("no.tar", b"x" * 2000, "no plain tar"), ("cut.tar", whole[:3000], "cut off"), ("empty.tar", b"", "manifest.json")):
        (tmp_path / name).write_bytes(data)
        done = strake("image", "layers", f"docker-archive:{tmp_path / name}")
        assert done.exit == 8 and says in done.err
    assert strake("image", "show", f"docker-archive:{tmp_path}/absent.tar").exit == 8
    # another layer than the configuration says
    path = archive_of(tmp_path, saved([layer])[:1] + [("0/layer.tar", tar_of([("a", b"b" * 1000)]))] + saved([layer])[2:])
    done = strake("image", "layers", f"docker-archive:{path}")
    assert done.exit == 8 and "digest" in done.err


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


def test_a_docker_archive_is_written(strake, registry, tmp_path, base):
    source = push_image(registry, "layers/three", "to-archive", [tar_of(layer) for layer in THREE], config={"User": "dev"})
    path = tmp_path / "out.tar"
    for ref in (source, base, source):  # another image takes the place of the first, and that one's again
        words = ["--platform", "linux/amd64"] if ref == base else []
        done = strake("image", "copy", ref, f"docker-archive:{path}", *words)
        assert done.exit == 0, done.err
        document = diff_of(strake, ref, f"docker-archive:{path}", *words)
        assert (document["files"], document["config"], document["layers"]["b"]) == ([], [], [])
        assert left(tmp_path) == ["out.tar"]
    # what is there already is taken over
    assert strake("image", "copy", source, f"docker-archive:{path}", "--json").json()["blobs"] == {"copied": 0, "mounted": 0, "present": 4}
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"docker-archive:{path}", f"docker://{registry.host}/layers/back:1"],
                   check=True, capture_output=True, env={**strake.env, "HOME": str(tmp_path / "home")}, timeout=60)
    document = diff_of(strake, source, f"{registry.host}/layers/back:1")
    assert document["files"] == [] and document["config"] == []
    with tarfile.open(path) as tar:
        listing = json.load(tar.extractfile("manifest.json"))
        assert set(tar.getnames()) == {"manifest.json", listing[0]["Config"], *listing[0]["Layers"]}


def test_an_index_is_not_written_into_an_archive(strake, base, tmp_path):
    done = strake("image", "copy", base, f"docker-archive:{tmp_path}/out.tar")
    assert done.exit == 2 and "--platform" in done.err
    assert left(tmp_path) == []
    (tmp_path / "other").write_bytes(b"precious" * 100)
    done = strake("image", "copy", base, f"docker-archive:{tmp_path}/other", "--platform", "linux/amd64")
    assert done.exit == 8 and (tmp_path / "other").read_bytes() == b"precious" * 100
    done = strake("image", "copy", base, f"docker-archive:{tmp_path}/absent/out.tar", "--platform", "linux/amd64")
    assert done.exit == 1 and "cannot be written" in done.err


def test_nothing_is_staged_in_an_archive(strake, project, buildkit, base, tmp_path):
    done = strake("build", ".", "--push", "-t", f"docker-archive:{tmp_path}/out.tar", cwd=project({"Dockerfile": f"FROM {base}\n"}),
                  env={"BUILDKIT_HOST": buildkit.address})
    assert done.exit == 2 and "docker archive" in done.err and "type=docker" in done.err
    assert not (tmp_path / "out.tar").exists()
