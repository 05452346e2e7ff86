"""Copying between two registries of this machine: a gibibyte that is not there yet, and what is there already."""

import json
import os
import subprocess
from pathlib import Path

from harness.images import MANIFEST, put_manifest, upload
from harness.process import tool
from harness.servers import Registry

LAYERS = 8


def push_large(registry: Registry, mebibytes: int) -> str:
    """An image of eight layers that no compression makes smaller."""
    layers = []
    for _ in range(LAYERS):
        data = os.urandom(mebibytes * (1 << 20) // LAYERS)
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": upload(registry, "large", data),
                       "size": len(data)})
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}}).encode()
    put_manifest(registry, "large", "1", MANIFEST, {
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": upload(registry, "large", config),
                   "size": len(config)}})
    return f"{registry.host}/large:1"


def commands(strake: Path, source: str, target: str) -> tuple:
    """Ours, and those of the peers."""
    regctl, crane, oras = (tool(name, f"peers/{name}") for name in ("regctl", "crane", "oras"))
    plain = [word for ref in (source, target) for word in ("--host", f"reg={ref.partition('/')[0]},tls=disabled")]
    return [strake, "image", "copy", source, target], {
        "oras": [oras, "cp", "--from-plain-http", "--to-plain-http", source, target],
        "crane": [crane, "copy", "--insecure", source, target],
        "regctl": [regctl, "image", "copy", *plain, source, target],
        "skopeo": ["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{source}",
                   f"docker://{target}"],
    }


def measure(folder: Path, registry: Registry, env: dict, strake: Path, rounds: int, mebibytes: int, make_row) -> None:
    source = push_large(registry, mebibytes)
    other = Registry(folder / "other", 2)
    try:
        there = f"{other.host}/there:1"
        ours, peers = commands(strake, source, there)
        subprocess.run(list(map(str, ours)), env=env, check=True, capture_output=True, cwd=folder)
        row = make_row("copying what is there", ours, peers, "the fastest", folder)
        row.measure(rounds, env)
        row.print()
        # Each copy goes into a registry's folder of its own, which is emptied: the disk need not hold them all.
        ours, peers = commands(strake, source, f"{other.host}/new-{{n}}:1")
        row = make_row(f"copying {mebibytes} MiB", ours, peers, "the fastest of those that verify; 20 MiB", folder)
        row.prepare = lambda: subprocess.run(["rm", "-rf", other.data / "docker"], check=True)
        row.measure(min(rounds, 3), env)
        row.print()
    finally:
        other.stop()
