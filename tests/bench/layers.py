"""What reading a gibibyte of layers costs, against dive on the same image in an archive, and from a registry."""

import hashlib
import io
import json
import random
import subprocess
import tarfile
from pathlib import Path

from harness.images import MANIFEST, put_manifest, upload
from harness.process import tool

GIB = 1024 ** 3
LAYERS = 6
FILES = 2500  # of each layer


def _text(size: int) -> bytes:
    """What compresses as programs and their data do: to some 30 %."""
    chance = random.Random(1)
    words = [chance.randbytes(chance.randrange(2, 12)) for _ in range(4000)]
    out = bytearray()
    while len(out) < size:
        out += chance.choice(words)
    return bytes(out[:size])


def _tar(path: Path, files: list) -> Path:
    """Of names and bytes."""
    with tarfile.open(path, "w") as tar:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def _digest(path: Path) -> str:
    with open(path, "rb") as data:
        return "sha256:" + hashlib.file_digest(data, "sha256").hexdigest()


def _config(plain: list) -> bytes:
    return json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                       "rootfs": {"type": "layers", "diff_ids": [_digest(path) for path in plain]},
                       "history": [{"created": "2026-01-01T00:00:00Z", "created_by": f"RUN step {i}"} for i in range(len(plain))],
                       }).encode()


def _archive(path: Path, plain: list, packed: list) -> Path:
    """As `docker save` writes it: blobs under their digests."""
    config = _config(plain)
    blobs = "blobs/sha256/"
    names = [blobs + _digest(layer).removeprefix("sha256:") for layer in packed]
    with tarfile.open(path, "w") as tar:
        def add(name: str, data: bytes) -> str:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
            return name
        listed = [{"Config": add(blobs + hashlib.sha256(config).hexdigest(), config), "RepoTags": ["bench:1"], "Layers": names}]
        for layer, name in zip(packed, names):
            tar.add(layer, name)
        add("manifest.json", json.dumps(listed).encode())
    return path


def _push(registry, plain: list, packed: list) -> str:
    config = _config(plain)
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config),
                   "digest": upload(registry, "bench/layers", config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": path.stat().st_size,
                    "digest": upload(registry, "bench/layers", path.read_bytes())} for path in packed],
    }
    put_manifest(registry, "bench/layers", "1", MANIFEST, manifest)
    return f"{registry.host}/bench/layers:1"


def _pack(path: Path, words: list, suffix: str) -> Path:
    out = path.with_suffix(suffix)
    with open(path, "rb") as data, open(out, "wb") as to:
        subprocess.run(words, stdin=data, stdout=to, check=True)
    return out


def rows(Row, strake: Path, folder: Path, registry) -> list:
    """dive reads no registries: there its figure is that of the archive with the same layers."""
    folder.mkdir()
    text, size = _text(8 * 1024 * 1024), GIB // (LAYERS * FILES)
    chance = random.Random(2)
    plain = []
    for layer in range(LAYERS):
        starts = [chance.randrange(len(text) - size) for _ in range(FILES)]
        plain.append(_tar(folder / f"{layer}.tar", [(f"usr/lib/{layer}/d{n % 50}/file{n}", text[at:at + size])
                                                    for n, at in enumerate(starts)]))
    gzip = [_pack(path, ["gzip", "-6", "-n"], ".gz") for path in plain]
    zstd = [_pack(path, ["zstd", "-q", "-c"], ".zst") for path in plain]
    single = [_tar(folder / "single.tar", [(f"part{n}", random.Random(n).randbytes(GIB // 8)) for n in range(8)])]
    dive = tool("dive", "dive/dive")

    def row(name: str, archive: Path, ref: str = "") -> Row:
        return Row(name, [strake, "image", "layers", "--files", ref or f"docker-archive:{archive}"],
                   {"dive": ["env", "CI=true", dive, f"docker-archive://{archive}"]}, "0.5 × dive; a tenth of its memory", folder)

    packed = _archive(folder / "gzip", plain, gzip)
    return [
        row("1 GiB of layers, plain", _archive(folder / "plain", plain, plain)),
        row("1 GiB of layers, gzip", packed),
        row("1 GiB of layers, zstd", _archive(folder / "zstd", plain, zstd)),
        row("the gzip ones, a registry", packed, _push(registry, plain, gzip)),
        row("1 GiB in one layer, plain", _archive(folder / "single", single, single)),
    ]
