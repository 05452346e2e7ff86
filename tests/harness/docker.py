"""A Docker engine of the tests' own, and buildx."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

from harness.process import Server, cache, tool


# What Strake takes for clients of a BuildKit or a Docker on this machine.
CLIENTS = ("buildctl", "buildx", "docker-buildx", "docker")


def engine_folders() -> list:
    """Where the engine's programs are: the packages of another Debian, unpacked."""
    unpacked = cache() / "docker-engine/usr"
    return [unpacked / "bin", unpacked / "sbin"]


def buildx() -> Path:
    return tool("buildx", "buildx/buildx")


def docker() -> Path:
    """The client."""
    return tool("docker", "docker-engine/usr/bin/docker")


def unmount_below(folder: Path) -> None:
    """What a daemon left mounted there."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        places = [line.split()[1] for line in mounts]
    for place in reversed(places):
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", place], check=False)


class DockerEngine:
    """dockerd on a socket of its own, without networks: RUN needs the host's. `containerd` turns on the containerd
    image store, without which its builder neither pushes by digest nor writes layouts."""

    def __init__(self, folder: Path, containerd: bool = False):
        self.root = Path(tempfile.mkdtemp(prefix="de-"))  # short: socket paths are
        self.socket = self.root / "s"
        self.host = f"unix://{self.socket}"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "daemon.json"
        config.write_text(json.dumps({"features": {"containerd-snapshotter": containerd}}))
        path = [str(place) for place in engine_folders()] + ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        self.server = Server("dockerd", [
            tool("dockerd", "docker-engine/usr/sbin/dockerd"), "--config-file", config, "--data-root", self.root / "data",
            "--exec-root", self.root / "exec", "--pidfile", self.root / "pid", "-H", self.host, "--iptables=false",
            "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none",
            "--exec-opt=native.cgroupdriver=cgroupfs", "--insecure-registry=127.0.0.0/8"], folder / "log", {"PATH": ":".join(path), "DOCKER_HOST": ""})
        self.server.wait_until(self._answers, 60)

    def _answers(self) -> bool:
        return self.get("/_ping")[0] == 200

    def get(self, path: str) -> tuple:
        """Status and body of a request to its API; (0, b"") when it is not there."""
        connection = http.client.HTTPConnection("localhost", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        try:
            connection.sock.connect(str(self.socket))
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def images(self) -> list:
        status, body = self.get("/images/json?all=1")
        assert status == 200
        return json.loads(body)

    def import_buildkit(self, name: str) -> None:
        """An image of BuildKit's daemon, for builders in containers: what this machine has, and no more."""
        runc = tool("runc")
        libraries = re.findall(r"/\S+", subprocess.run(["ldd", runc], check=True, capture_output=True, text=True).stdout)
        files = {f"usr/bin/{program}": tool(program, f"buildkit/{program}") for program in ("buildkitd", "buildctl")}
        files |= {"usr/bin/runc": runc, "bin/sh": tool("busybox")} | {path.lstrip("/"): path for path in libraries}
        archive = self.root / "buildkit.tar"
        with tarfile.open(archive, "w", dereference=True) as tar:
            for place, path in files.items():
                tar.add(path, place)
            folder = tarfile.TarInfo("tmp")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
        subprocess.run([docker(), "-H", self.host, "import", "-c", 'ENTRYPOINT ["buildkitd"]', "-c", "ENV PATH=/usr/bin:/bin",
                        archive, name], check=True, capture_output=True)
        archive.unlink()

    def stop(self) -> None:
        self.server.stop()
        unmount_below(self.root)
        shutil.rmtree(self.root, ignore_errors=True)
