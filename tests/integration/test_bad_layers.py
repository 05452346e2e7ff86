"""Layers that want more than they should get: memory, time, or a place outside of the image."""

import gzip
import hashlib
import json
import resource
import subprocess
import sys
import tarfile
import time
import zlib

import pytest

from harness.images import push_image, tar_of

MIB = 1024 * 1024


def packed(data):
    """The same bytes each time."""
    return gzip.compress(data, 6, mtime=0)


def measured(strake, *words):
    """(exit code, document, MiB at most, seconds) of `image layers --json`."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c",
                           "import resource, subprocess, sys\n"
                           "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)\n"
                           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
                           "sys.stdout.flush(); sys.stdout.buffer.write(done.stdout)\nsys.exit(done.returncode)",
                           str(strake.program), "image", "layers", "--json", *words],
                          env=strake.env, capture_output=True, timeout=240)
    peak, _, out = done.stdout.partition(b"\n")
    return done.returncode, json.loads(out), int(peak) / 1024, time.monotonic() - started


def only_layer(document):
    return document["platforms"][0]["layers"][0]


def sanitized(strake):
    return "/dev/" in str(strake.program) or "/tsan/" in str(strake.program)


def header(name, size=0):
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


def zeros_gzip(size):
    """One file of zeros, in members of a gzip that are all the same: they are made fast."""
    piece = packed(bytes(64 * MIB))
    return packed(header("zeros", size)) + piece * (size // (64 * MIB)) + packed(bytes(1024))


def test_ten_gibibytes_of_zeros_in_ten_mebibytes(strake, registry):
    size = (1 if sanitized(strake) else 10) * 1024 * MIB
    bomb = zeros_gzip(size)
    assert len(bomb) < 11 * MIB
    ref = push_image(registry, "bad/zeros", "10g", [bomb], None)
    code, document, peak, seconds = measured(strake, ref)
    assert code == 0
    assert (only_layer(document)["unpacked_bytes"], only_layer(document)["added"]) == (size, 1)
    if not sanitized(strake):  # which take memory of their own
        assert peak < 24
    assert seconds < 120
    assert [path for path in (strake.home / "tmp").rglob("*")] == []


def test_a_window_larger_than_any_is_refused(strake, registry):
    done = subprocess.run(["zstd", "-q", "-c", "--ultra", "--long=31", "-3"], input=tar_of([("a", b"a" * 300 * MIB)]),
                          check=True, capture_output=True)
    # The frame knows its size, and says so in the place of the window: a stream does not.
    frame = bytearray(subprocess.run(["zstd", "-q", "-c", "--no-content-size", "--ultra", "--long=31", "-3"],
                                     input=tar_of([("a", b"a" * 1000)]), check=True, capture_output=True).stdout)
    assert done.stdout[:4] == bytes(frame[:4]) == b"\x28\xb5\x2f\xfd"
    frame[4] &= ~0x20 & 0xff  # not a single segment: the window's size follows
    frame[5] = (31 - 10) << 3
    for tag, data in (("claimed", bytes(frame)), ("real", done.stdout)):
        ref = push_image(registry, "bad/window", tag, [data], None)
        code, document, peak, _ = measured(strake, ref)
        assert code == 8 and "memory" in document["error"]["message"], document
        assert sanitized(strake) or peak < 40


def test_what_is_packed_twice_is_no_layer(strake, registry):
    inner = packed(tar_of([("a", b"a" * 1000)]))
    for tag, data in (("gzip", packed(inner)),
                      ("zstd", subprocess.run(["zstd", "-q", "-c"], input=inner, check=True, capture_output=True).stdout)):
        code, document, _, _ = measured(strake, push_image(registry, "bad/twice", tag, [data], None))
        assert code == 8 and "no tar that can be read" in document["error"]["message"]


def test_members_of_a_gzip_are_one_layer(strake, registry):
    raw = tar_of([("a", b"a" * 100000), ("b", b"b" * 100000)])
    members = b"".join(packed(raw[at:at + 70000]) for at in range(0, len(raw), 70000)) + packed(b"")
    code, document, _, _ = measured(strake, push_image(registry, "bad/members", "whole", [members], None))
    assert code == 0 and only_layer(document)["unpacked_bytes"] == 200000
    frames = b"".join(subprocess.run(["zstd", "-q", "-c"], input=raw[at:at + 70000], check=True, capture_output=True).stdout
                      for at in range(0, len(raw), 70000))
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    code, document, _, _ = measured(strake, push_image(registry, "bad/members", "frames", [skipped + frames + skipped], None))
    assert code == 0 and only_layer(document)["unpacked_bytes"] == 200000


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
@pytest.mark.parametrize("cut", [3, 12, 1000])
def test_a_cut_stream_is_told(strake, registry, packer, cut):
    raw = tar_of([(f"f{i}", hashlib.sha256(str(i).encode()).digest() * 20) for i in range(50)])
    data = subprocess.run([packer, "-q", "-c"], input=raw, check=True, capture_output=True).stdout
    code, document, _, _ = measured(strake, push_image(registry, "bad/cut", f"{packer}{cut}", [data[:cut]], None))
    assert code == 8 and ("too early" in document["error"]["message"] or cut == 3)
    assert hashlib.sha256(data[:cut]).hexdigest()[:12] in document["error"]["message"]
    broken = bytearray(data)
    broken[len(data) // 2] ^= 0xff
    code, document, _, _ = measured(strake, push_image(registry, "bad/cut", f"{packer}{cut}b", [bytes(broken)], None))
    assert code == 8 and document["error"]["kind"] == "registry"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_a_layer_unpacks_to_is_what_the_configuration_says(strake, registry, compression):
    layers = [tar_of([("a", b"a")]), tar_of([("b", b"b")])]
    said = ["sha256:" + hashlib.sha256(data).hexdigest() for data in (layers[0], b"another")]
    code, document, _, _ = measured(strake, push_image(registry, "bad/diff-id", compression, layers, compression, diff_ids=said))
    assert code == 8
    message = document["error"]["message"]
    assert hashlib.sha256(layers[1]).hexdigest() in message and said[1] in message


def many(count, folder):
    """A gzip of so many empty files, each header's sum computed by hand: tarfile takes its time."""
    base = bytearray(header(f"{folder}/" + "n" * 12))
    base[148:156] = b" " * 8
    start = len(folder) + 1
    rest = sum(base) - 12 * ord("n")
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    out = []
    for i in range(count):
        name = b"%012d" % i
        base[start:start + 12] = name
        base[148:156] = b"%06o\0 " % (rest + sum(name))
        out.append(packer.compress(bytes(base)))
        base[148:156] = b" " * 8
    out.append(packer.compress(bytes(1024)) + packer.flush())
    return b"".join(out)


def test_a_million_tiny_files(strake, registry):
    count = 50000 if sanitized(strake) else 1000000
    ref = push_image(registry, "bad/many", "1", [many(count // 2, "a"), many(count // 2, "b"), many(count // 2, "b")], None)
    code, document, peak, seconds = measured(strake, ref)
    layers = document["platforms"][0]["layers"]
    assert code == 0 and [(layer["added"], layer["changed"]) for layer in layers] == [(count // 2, 0), (count // 2, 0), (0, count // 2)]
    assert sanitized(strake) or peak < 24 + count * 200 / MIB
    assert seconds < 60


def test_of_two_damaged_layers_the_lower_one_is_told(strake, registry):
    good = tar_of([("a", b"a" * 100)])
    bad = [tar_of([(f"b{i}", b"")])[:3] + b"!" + tar_of([(f"b{i}", b"")])[4:] for i in range(4)]
    ref = push_image(registry, "bad/two", "1", [packed(layer) for layer in (good, *bad)], None)
    for _ in range(5):
        code, document, _, _ = measured(strake, ref)
        assert code == 8
        assert hashlib.sha256(packed(bad[0])).hexdigest()[:12] in document["error"]["message"]


def test_layers_that_are_read_at_once_come_in_their_order(strake, registry):
    """A large one below small ones, which are through long before it."""
    layers = [tar_of([("same", b"0"), *[(f"d/{i}", b"x" * 3000) for i in range(2000)]])]
    layers += [tar_of([("same", b"s" * (i + 2)), (f"d/.wh.{i}", b"")]) for i in range(20)]
    ref = push_image(registry, "bad/order", "1", layers)
    for _ in range(3):
        code, document, _, _ = measured(strake, ref, "--files")
        assert code == 0
        found = document["platforms"][0]["layers"]
        assert [(layer["added"], layer["changed"], layer["deleted"]) for layer in found] == [(2001, 0, 0)] + [(0, 1, 1)] * 20
        assert [{item["path"]: item["size_bytes"] for item in layer["files"]} for layer in found[1:]] == \
            [{"/same": i + 2, f"/d/{i}": 3000} for i in range(20)]


def pax(name, records):
    """A pax header with these records, then an entry."""
    body = b""
    for key, value in records:
        line = b" " + key + b"=" + value + b"\n"
        size = len(line) + len(str(len(line) + 3))
        body += str(size if len(str(size)) + len(line) == size else size + 1).encode() + line
    entry = tarfile.TarInfo("pax")
    entry.type, entry.size = tarfile.XHDTYPE, len(body)
    return entry.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512) + header(name)


def huge_header():
    entry = tarfile.TarInfo("pax")
    entry.type, entry.size = tarfile.XHDTYPE, 2 * MIB
    return entry.tobuf(tarfile.USTAR_FORMAT) + bytes(2 * MIB)


HEADERS = {
    "long": (pax("x", [(b"path", b"p/" * 3000)]), "more than 4095 bytes"),
    "huge": (huge_header(), "larger than a megabyte"),
    "nul": (pax("x", [(b"path", b"a\0b")]), "NUL"),
    "size": (pax("x", [(b"size", b"-1")]), "no usable size"),
    "chain": (pax("x", [(b"a", b"b")])[:1024] * 20, "too many headers"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_bad_will(strake, registry, name):
    data, says = HEADERS[name]
    code, document, _, _ = measured(strake, push_image(registry, "bad/headers", name, [data + bytes(1024)], ""))
    assert code == 8 and says in document["error"]["message"], document


def test_sparse_files_take_what_they_hold(strake, registry, tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.write(b"start")
        file.seek(1024 * MIB)
        file.write(b"end")
    for name in ("gnu", "pax"):
        raw = subprocess.run(["tar", "-S", f"--format={name}", "-C", str(tmp_path), "-c", "sparse"], check=True, capture_output=True).stdout
        code, document, _, _ = measured(strake, push_image(registry, "bad/sparse", name, [raw], ""), "--files")
        assert code == 0
        layer = only_layer(document)
        assert layer["added"] == 1 and layer["unpacked_bytes"] < MIB and layer["files"][0]["path"] == "/sparse"


def test_this_limit_is_that_of_the_machine_too(strake, registry):
    """A bomb under a limit of memory that an unpacked one would not fit into. A sanitizer reserves terabytes: there the
    bomb has to do without."""
    def limit():
        if not sanitized(strake):
            resource.setrlimit(resource.RLIMIT_AS, (512 * MIB, 512 * MIB))
    ref = push_image(registry, "bad/limited", "1", [zeros_gzip(1024 * MIB)] * 3, None)
    done = subprocess.run([str(strake.program), "image", "layers", ref], env=strake.env, capture_output=True, timeout=120,
                          preexec_fn=limit)
    assert done.returncode == 0, done.stderr
