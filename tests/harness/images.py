"""A small base image for two platforms, made here: the tests reach no registry but their own."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from harness.process import tool
from harness.servers import Registry, http

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _layer(busybox: Path) -> tuple:
    """A tar with /bin/busybox and its applets, and the same compressed."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "root", "usr"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = busybox.stat().st_size, 0o755
        with open(busybox, "rb") as data:
            tar.addfile(program, data)
        for applet in ("sh", "cat", "echo", "ls", "sleep", "uname", "touch", "true", "false", "test", "id", "seq", "mkdir",
                       "dd", "which", "printf", "date", "head", "wc", "env", "grep"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        passwd = b"root:x:0:0:root:/root:/bin/sh\ndev:x:1000:1000:dev:/tmp:/bin/sh\n"
        users = tarfile.TarInfo("etc/passwd")
        users.size = len(passwd)
        tar.addfile(users, io.BytesIO(passwd))
    return raw.getvalue(), gzip.compress(raw.getvalue(), 6, mtime=0)


def upload(registry: Registry, repository: str, data: bytes) -> str:
    base = f"{registry.scheme}://{registry.host}"
    status, headers, _ = http("POST", f"{base}/v2/{repository}/blobs/uploads/", b"")
    assert status == 202, status
    place = headers["Location"]
    if place.startswith("/"):
        place = base + place
    status, _, body = http("PUT", f"{place}{'&' if '?' in place else '?'}digest={_digest(data)}", data,
                           {"Content-Type": "application/octet-stream"})
    assert status == 201, body
    return _digest(data)


def put_manifest(registry: Registry, repository: str, reference: str, media_type: str, document: dict) -> tuple:
    data = json.dumps(document).encode()
    status, _, body = http("PUT", f"{registry.scheme}://{registry.host}/v2/{repository}/manifests/{reference}", data,
                           {"Content-Type": media_type})
    assert status == 201, body
    return _digest(data), len(data)


def _platform(registry: Registry, repository: str, busybox: Path, arch: str) -> dict:
    raw, packed = _layer(busybox)
    config = json.dumps({
        "architecture": arch, "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(raw)]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "busybox"}],
    }).encode()
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": upload(registry, repository, config),
                   "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": upload(registry, repository, packed), "size": len(packed)}],
    }
    digest, size = put_manifest(registry, repository, _digest(json.dumps(manifest).encode()), MANIFEST, manifest)
    return {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": arch}}


def push_busybox(registry: Registry, repository: str = "base/busybox", tag: str = "1") -> str:
    """Push the image for amd64 and arm64; the reference that a FROM names."""
    entries = [
        _platform(registry, repository, Path("/bin/busybox"), "amd64"),
        _platform(registry, repository, tool("busybox", "busybox-arm64/bin/busybox", "busybox-arm64/usr/bin/busybox"), "arm64"),
    ]
    put_manifest(registry, repository, tag, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    return f"{registry.host}/{repository}:{tag}"


def tar_of(files: list) -> bytes:
    """A plain tar of (name, bytes) pairs; a name with None is a folder, a name with a text a symbolic link."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755 if content is None else 0o644
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return raw.getvalue()


def pack(data: bytes, compression: str | None) -> tuple:
    """The bytes of a layer and its media type; None: they are packed already."""
    media_type = "application/vnd.oci.image.layer.v1.tar"
    if compression == "gzip":
        return gzip.compress(data, 6, mtime=0), media_type + "+gzip"
    if compression == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, check=True, capture_output=True).stdout, media_type + "+zstd"
    return data, media_type if compression == "" else media_type + "+gzip"


def push_image(registry: Registry, repository: str, tag: str, layers: list, compression: str | None = "gzip",
               config: dict | None = None, diff_ids: list | None = None) -> str:
    """Push an image for linux/amd64 with these tars as its layers; its reference. `diff_ids`: what they are said to
    unpack to."""
    document = {
        "architecture": "amd64", "os": "linux", "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids or [_digest(layer) for layer in layers]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": f"step {i}"} for i in range(len(layers))],
    }
    raw = json.dumps(document).encode()
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": upload(registry, repository, raw),
                   "size": len(raw)},
        "layers": [],
    }
    for layer in layers:
        packed, media_type = pack(layer, compression)
        manifest["layers"].append({"mediaType": media_type, "digest": upload(registry, repository, packed), "size": len(packed)})
    put_manifest(registry, repository, tag, MANIFEST, manifest)
    return f"{registry.host}/{repository}:{tag}"


def stage_image(registry: Registry, repository: str, text: str, labels: dict | None = None,
                created: str = "2026-11-25T02:12:36Z", arches: tuple = ("amd64",)) -> str:
    """Push an image of one small file by digest alone, and give that; a bare manifest for one architecture, else an
    index."""
    entries = []
    for arch in arches:
        raw = tar_of([("content", text.encode())])
        packed, media_type = pack(raw, "gzip")
        config = json.dumps({
            "architecture": arch, "os": "linux", "created": created, "config": {"Labels": labels or {}, "User": "dev"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(raw)]},
            "history": [{"created": created, "created_by": "COPY content /"}],
        }).encode()
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": upload(registry, repository, config),
                       "size": len(config)},
            "layers": [{"mediaType": media_type, "digest": upload(registry, repository, packed), "size": len(packed)}],
        }
        digest, size = put_manifest(registry, repository, _digest(json.dumps(manifest).encode()), MANIFEST, manifest)
        entries.append({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": arch}})
    if len(entries) == 1:
        return entries[0]["digest"]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return put_manifest(registry, repository, _digest(json.dumps(index).encode()), INDEX, index)[0]
