"""The real servers: BuildKit, two registries, ntfy, and a bad line to any of them."""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness.process import Server, accepts, free_port, stable_port, tool


def http(method: str, url: str, body: bytes | None = None, headers: dict | None = None):
    """Status, headers and body of a request; an error status is an answer too."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class Registry:
    """Debian's docker-registry 2.8, or distribution v3."""

    def __init__(self, folder: Path, version: int, users: dict | None = None, delete: bool = True,
                 tls: tuple | None = None, auth: dict | None = None):
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.scheme = "https" if tls else "http"
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        config = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.data)}, "delete": {"enabled": delete}},
            "http": {"addr": self.host, "secret": "tests"},
        }
        if tls:
            config["http"]["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
        if users:
            passwords = folder / "htpasswd"
            passwords.write_text("".join(_htpasswd(name, word) for name, word in users.items()))
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(passwords)}}
        if auth:
            config["auth"] = auth
        path = folder / "config.json"  # JSON is YAML
        path.write_text(json.dumps(config))
        program = (tool("docker-registry", "docker-registry/usr/bin/docker-registry") if version == 2
                   else tool("registry", "distribution/registry"))
        self.server = Server(f"registry v{version}", [program, "serve", path], folder / "log",
                             {"OTEL_TRACES_EXPORTER": "none"})
        self.server.wait_until(lambda: accepts(self.port))

    def get(self, path: str, accept: str = "*/*"):
        return http("GET", f"{self.scheme}://{self.host}{path}", headers={"Accept": accept})

    def digest(self, repository: str, tag: str) -> str:
        """What a tag points to, or "" when it is not there."""
        accept = ", ".join(["application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
                            "application/vnd.docker.distribution.manifest.list.v2+json",
                            "application/vnd.docker.distribution.manifest.v2+json"])
        status, headers, _ = http("HEAD", f"{self.scheme}://{self.host}/v2/{repository}/manifests/{tag}",
                                  headers={"Accept": accept})
        return headers["Docker-Content-Digest"] if status == 200 else ""

    def tags(self, repository: str) -> list:
        status, _, body = self.get(f"/v2/{repository}/tags/list")
        return sorted(json.loads(body)["tags"] or []) if status == 200 else []

    def put(self, repository: str, tag: str, source: str) -> None:
        """Put what `source` (tag or digest) names under another tag, as somebody else would."""
        accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
        _, headers, body = self.get(f"/v2/{repository}/manifests/{source}", accept)
        status, _, _ = http("PUT", f"{self.scheme}://{self.host}/v2/{repository}/manifests/{tag}", body,
                            {"Content-Type": headers["Content-Type"]})
        assert status == 201

    def stop(self) -> None:
        self.server.stop()


def _htpasswd(user: str, password: str) -> str:
    return subprocess.run(["htpasswd", "-Bbn", user, password], check=True, capture_output=True, text=True).stdout


class BuildKit:
    """buildkitd on a loopback port, without a network of its own for builds."""

    def __init__(self, folder: Path, registries: list, tls: dict | None = None, platforms: list | None = None,
                 env: dict | None = None):
        self.port = stable_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.root = Path(tempfile.mkdtemp(prefix="bk-"))  # short: socket paths are
        folder.mkdir(parents=True, exist_ok=True)
        config = [f'root = "{self.root}"', "[grpc]", f'address = ["{self.address}"]']
        if tls:
            config += ["[grpc.tls]"] + [f'{key} = "{value}"' for key, value in tls.items()]
        config += ["[worker.oci]", "enabled = true", 'snapshotter = "overlayfs"', 'binary = "runc"']
        if platforms:
            config += [f"platforms = {json.dumps(platforms)}"]
        config += ["[worker.containerd]", "enabled = false"]
        for registry in registries:
            config += [f'[registry."{registry.host}"]', "http = true"]
        path = folder / "buildkitd.toml"
        path.write_text("\n".join(config) + "\n")
        self.buildctl = tool("buildctl", "buildkit/buildctl")
        self.folder, self.env, self.lives = folder, env or {}, 0
        self.start()

    def start(self) -> None:
        """Begin a life; after kill() with the same port and the same state on disk."""
        log = self.folder / (f"log{self.lives}" if self.lives else "log")
        self.lives += 1
        self.server = Server("buildkitd", [tool("buildkitd", "buildkit/buildkitd"), "--config", self.folder / "buildkitd.toml"],
                             log, {
                                 "PATH": f"{self.buildctl.parent}:/usr/sbin:/usr/bin:/sbin:/bin",
                                 # The daemon clips what a step prints too fast: tests would depend on its pace.
                                 "BUILDKIT_STEP_LOG_MAX_SIZE": "-1", "BUILDKIT_STEP_LOG_MAX_SPEED": "-1", **self.env})
        self.server.wait_until(lambda: accepts(self.port), 30)

    def kill(self) -> None:
        """As a crash of its machine would: at once, with all that runs in its containers."""
        self.server.kill()
        for pid in self._contained():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _contained(self) -> list:
        """Pids of what runs on a root file system of this daemon's. Who only begins still sees all mounts of the machine,
        this daemon's and others': it ends by itself when its parent has."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                mounts = (entry / "mounts").read_text().splitlines() if entry.name.isdigit() else []
            except OSError:
                continue  # it has ended
            if any(line.split()[1] == "/" and f"upperdir={self.root}/" in line for line in mounts):
                found.append(int(entry.name))
        return found

    def stop(self) -> None:
        """A daemon that was killed leaves its mounts: they go, the innermost first."""
        self.server.stop()
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(f"{self.root}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", str(self.root)], check=False)


class Toxiproxy:
    """Shopify's Toxiproxy: lines to other servers that are slow, break or go dark when a test says so."""

    def __init__(self, folder: Path):
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.server = Server("toxiproxy", [tool("toxiproxy", "toxiproxy/server"), "-host", "127.0.0.1", "-port", str(self.port)],
                             folder / "log")
        self.server.wait_until(lambda: accepts(self.port))
        self.lines = 0

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        status, _, answer = http(method, f"http://127.0.0.1:{self.port}{path}", json.dumps(body or {}).encode(),
                                 {"Content-Type": "application/json", "User-Agent": "tests"})
        assert status < 300, answer
        return json.loads(answer) if answer else {}

    def line(self, port: int) -> "Line":
        """A new line to this port of ours."""
        self.lines += 1
        return Line(self, f"line{self.lines}", port)

    def stop(self) -> None:
        self.server.stop()


class Line:
    """One line through Toxiproxy, as good as none was there until it is told otherwise."""

    def __init__(self, proxy: Toxiproxy, name: str, port: int):
        self.proxy, self.name = proxy, name
        made = proxy.ask("POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}"})
        self.port = int(made["listen"].rpartition(":")[2])
        self.address = f"tcp://127.0.0.1:{self.port}"

    def add(self, kind: str, stream: str = "downstream", **attributes) -> None:
        """Let a toxic work on what runs over the line, and on what will."""
        self.proxy.ask("POST", f"/proxies/{self.name}/toxics", {
            "name": f"{kind}-{stream}", "type": kind, "stream": stream, "attributes": attributes})

    def slow(self, least_ms: int, most_ms: int) -> None:
        """Each byte takes so long in each direction."""
        for stream in ("downstream", "upstream"):
            self.add("latency", stream, latency=(least_ms + most_ms) // 4, jitter=(most_ms - least_ms) // 4)

    def go_dark(self) -> None:
        """Nothing gets through any more, and nobody hangs up."""
        for stream in ("downstream", "upstream"):
            self.add("timeout", stream, timeout=0)

    def cut(self) -> None:
        """All connections are closed, and there are no new ones."""
        self.proxy.ask("POST", f"/proxies/{self.name}", {"enabled": False})

    def remove(self) -> None:
        self.proxy.ask("DELETE", f"/proxies/{self.name}")


class Git:
    """`git daemon` for the bare repositories beneath a folder."""

    def __init__(self, folder: Path):
        self.port = free_port()
        self.url = f"git://127.0.0.1:{self.port}"
        self.base = folder / "repositories"
        self.base.mkdir(parents=True, exist_ok=True)
        self.server = Server("git daemon", [tool("git"), "daemon", f"--base-path={self.base}", "--export-all", "--reuseaddr",
                                            "--listen=127.0.0.1", f"--port={self.port}", self.base], folder / "log")
        self.server.wait_until(lambda: accepts(self.port))

    def stop(self) -> None:
        self.server.stop()


class S3:
    """gofakes3, which keeps a bucket `cache` in memory and asks for no credentials."""

    def __init__(self, folder: Path):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.server = Server("gofakes3", [tool("gofakes3", "gofakes3/gofakes3"), "-host", f"127.0.0.1:{self.port}", "-backend",
                                          "memory", "-initialbucket", "cache"], folder / "log")
        self.server.wait_until(lambda: accepts(self.port))

    def has(self, key: str) -> bool:
        return http("HEAD", f"{self.url}/cache/{key}")[0] == 200

    def stop(self) -> None:
        self.server.stop()


class Ntfy:
    """ntfy; with `users` everything is denied to others. `settings` go into its configuration."""

    def __init__(self, folder: Path, users: dict | None = None, settings: dict | None = None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = tool("ntfy", "ntfy/usr/bin/ntfy")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f'base-url: "{self.url}"', f'listen-http: "127.0.0.1:{self.port}"', f'cache-file: "{folder}/cache.db"']
        if users:
            lines += [f'auth-file: "{folder}/auth.db"', 'auth-default-access: "deny-all"']
        # All tests are one visitor, and reading a topic counts too: the usual burst of 60 would be theirs to share.
        limits = {"visitor-request-limit-burst": 100000, "visitor-message-daily-limit": 100000}
        lines += [f"{name}: {value}" for name, value in (limits | (settings or {})).items()]
        self.config = folder / "server.yml"
        self.config.write_text("\n".join(lines) + "\n")
        self.server = Server("ntfy", [self.program, "serve", "--config", self.config], folder / "log")
        self.server.wait_until(lambda: accepts(self.port))
        for name, password in (users or {}).items():
            self.admin("user", "add", "--role=admin", name, env={"NTFY_PASSWORD": password})

    def admin(self, *words: str, env: dict | None = None) -> str:
        """What `ntfy WORD …` says about this server's users."""
        done = subprocess.run([str(self.program), words[0], "--config", str(self.config), *words[1:]], check=True,
                              capture_output=True, text=True, env={**os.environ, **(env or {})})
        return done.stdout + done.stderr

    def messages(self, topic: str, headers: dict | None = None, seconds: float = 5, count: int = 1) -> list:
        """What subscribers of the topic got, once there are `count`."""
        deadline = time.monotonic() + seconds
        while True:
            _, _, body = http("GET", f"{self.url}/{topic}/json?poll=1&since=all", headers=headers)
            found = [json.loads(line) for line in body.splitlines()]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def stop(self) -> None:
        self.server.stop()


# ---- other architectures -------------------------------------------------------------------------------

_AARCH64 = (r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
            r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
            r":/usr/bin/qemu-aarch64-static:OCF")


def register_emulation() -> None:
    """arm64 programs run through qemu from now on, also within containers."""
    binfmt = Path("/proc/sys/fs/binfmt_misc")
    if not (binfmt / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "none", str(binfmt)], check=True)
    if not (binfmt / "qemu-aarch64").exists():
        (binfmt / "register").write_text(_AARCH64)
