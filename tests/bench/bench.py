"""Measures against the peers on the same servers, in turns A B A B: medians, ratios, peak memory.

Each figure is of a whole process: from the moment it is started until it has ended, its resident peak as
the kernel counts it for that process alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import copies  # noqa: E402
import layers  # noqa: E402
import pool  # noqa: E402
from harness.docker import buildx  # noqa: E402
from harness.images import push_busybox, stage_image  # noqa: E402
from harness.process import tool  # noqa: E402
from harness.program import ROOT, make_project  # noqa: E402
from harness.servers import BuildKit, Registry  # noqa: E402

STRAKE = ROOT / "build/release/bin/strake"
MEASURE = ROOT / "build/release/tests/measure"


def run(argv: list, cwd: Path, env: dict) -> tuple:
    """Milliseconds and MiB of one run."""
    words = [str(MEASURE), *map(str, argv)]
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    before = os.getcwd()
    os.chdir(cwd)
    pid = os.posix_spawn(words[0], words, env, file_actions=[
        *((os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)), (os.POSIX_SPAWN_DUP2, writer, 3)])
    os.waitpid(pid, 0)
    os.chdir(before)
    os.close(null)
    os.close(writer)
    with os.fdopen(reader) as answer:
        elapsed, peak, code = answer.read().split()
    if code != "0":
        failure = subprocess.run(words[1:], cwd=cwd, env=env, capture_output=True, text=True)
        raise SystemExit(f"{' '.join(words[1:])} failed:\n{failure.stderr}")
    return float(elapsed), float(peak)


class Row:
    """One line of the table: our command against its peers."""

    def __init__(self, name: str, ours: list, peers: dict, budget: str, cwd: Path, before: list | None = None):
        """The commands of `before` run ahead of each turn of ours, and are not measured."""
        self.name, self.ours, self.peers, self.budget, self.cwd, self.before = name, ours, peers, budget, cwd, before or []
        self.times = {"strake": []} | {peer: [] for peer in peers}
        self.peaks = {"strake": 0.0} | {peer: 0.0 for peer in peers}
        self.prepare = lambda: None  # done before each run, and not measured

    def measure(self, rounds: int, env: dict) -> None:
        for turn in range(rounds + 1):
            for argv in self.before:
                run(argv, self.cwd, env)
            for who, argv in {"strake": self.ours, **self.peers}.items():
                argv = [str(word).replace("{n}", f"{turn}-{who}") for word in argv]
                self.prepare()
                elapsed, peak = run(argv, self.cwd, env)
                if turn > 0:  # the first turn warms caches
                    self.times[who].append(elapsed)
                    self.peaks[who] = max(self.peaks[who], peak)

    def print(self) -> None:
        ours = statistics.median(self.times["strake"])
        print(f"{self.name:<28} strake   {ours:8.1f} ms {self.peaks['strake']:6.1f} MiB   budget: {self.budget}")
        for peer in self.peers:
            median = statistics.median(self.times[peer])
            print(f"{'':<28} {peer:<8} {median:8.1f} ms {self.peaks[peer]:6.1f} MiB   {ours / median:5.2f} ×")


def rollback_row(folder: Path, registry: Registry, regctl: Path, crane: Path, oras: Path) -> Row:
    """Three tags of a release go back. What peers do is less: they are told which tags and to what, look at nothing, and
    remember nothing."""
    old, new = (stage_image(registry, "release", text) for text in ("old", "new"))
    repository, tags = f"{registry.host}/release", ("latest", "main", "edge")
    words = [word for tag in tags for word in ("-t", f"{repository}:{tag}")]
    first = [STRAKE, "publish", f"{repository}@{old}", *words]
    cwd = folder / "release"
    cwd.mkdir()
    each = " && ".join
    return Row("rolling back 3 tags", [STRAKE, "rollback", repository],
               {"crane": ["sh", "-c", each(f"{crane} tag --insecure {repository}@{old} {tag}" for tag in tags)],
                "regctl": ["sh", "-c", each(f"{regctl} image copy --host reg={registry.host},tls=disabled {repository}@{old} "
                                            f"{repository}:{tag}" for tag in tags)],
                "oras": [oras, "tag", "--plain-http", f"{repository}@{old}", *tags]},
               "50 ms", cwd, [first, [STRAKE, "publish", f"{repository}@{new}", *words]])


def rows(folder: Path, registry: Registry, buildkit: BuildKit, base: str) -> list:
    app = make_project(folder / "app", {
        "Dockerfile": f"FROM {base}\nRUN echo a > /a\nRUN echo b > /b\nRUN echo c > /c\nUSER dev\n",
        "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\n'
                      f'target "app" {{ image = "{registry.host}/app", tags = {{ "ours" }} }}\n',
    })
    many = make_project(folder / "many", {
        "Dockerfile": f"FROM {base}\n",
        "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\n'
                      'for i = 1, 1000 do\n'
                      f'  target("app" .. i) {{ image = "{registry.host}/app" .. i, tags = {{ "dev" }},\n'
                      '    args = { N = i }, labels = { a = "b" } }\nend\n',
    })
    large = make_project(folder / "large", {
        "Dockerfile": "FROM scratch\nCOPY . /\n",
        "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}\ntarget "large" {{}}\n',
    } | {f"d{number % 100}/f{number}": f"{number}" * 200 for number in range(10000)}, git=False)
    time.sleep(2.1)  # a file that was touched just now is not remembered
    plain = [buildkit.buildctl, "--addr", buildkit.address, "build", "--progress=quiet", "--frontend", "dockerfile.v0",
             "--local", "context=.", "--local", "dockerfile=.", "--output",
             f"type=image,name={registry.host}/app:peer,push=true,registry.insecure=true,oci-mediatypes=true"]
    through = make_project(folder / "through", {
        "Dockerfile": (app / "Dockerfile").read_text(),
        "strake.lua": f'builder "lab" {{ type = "buildx", program = "{buildx()}", address = "{buildkit.address}" }}\n'
                      f'target "app" {{ image = "{registry.host}/through", tags = {{ "ours" }} }}\n',
    })
    plain_buildx = [buildx(), "build", "--builder", "plain", "--progress=quiet", "--provenance=false", "--output",
                    f"type=image,name={registry.host}/through:peer,push=true,registry.insecure=true,oci-mediatypes=true",
                    "."]
    image = f"{registry.host}/app:ours"
    regctl, crane, oras = (tool(name, f"peers/{name}") for name in ("regctl", "crane", "oras"))
    release = rollback_row(folder, registry, regctl, crane, oras)
    return [
        Row("start (--version)", [STRAKE, "--version"], {"buildctl": [buildkit.buildctl, "--version"]},
            "0.33 × buildctl", app),
        Row("cached push build", [STRAKE, "build", "--push"], {"buildctl": plain},
            "1.05 × buildctl or 5 ms more; 16 MiB of our own", app),
        Row("the same through buildx", [STRAKE, "build", "--push"], {"buildx": plain_buildx}, "1.05 × buildx", through),
        Row("a manifest", [STRAKE, "image", "show", image],
            {"crane": [crane, "manifest", "--insecure", image], "oras": [oras, "manifest", "fetch", "--plain-http", image],
             "regctl": [regctl, "manifest", "get", "--host", f"reg={registry.host},tls=disabled", image],
             "skopeo": ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{image}"]},
            "the fastest of them; 12 MiB", app),
        Row("moving a tag", [STRAKE, "image", "tag", image, f"{registry.host}/app:t{{n}}"],
            {"oras": [oras, "tag", "--plain-http", image, "t{n}"],
             "crane": [crane, "tag", "--insecure", image, "t{n}"],
             "regctl": [regctl, "image", "copy", "--host", f"reg={registry.host},tls=disabled", image,
                        f"{registry.host}/app:t{{n}}"],
             "skopeo": ["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{image}",
                        f"docker://{registry.host}/app:t{{n}}"]},
            "the fastest of them", app),
        release,
        Row("10,000 files hashed, warm", [STRAKE, "plan", "--check-cache", "--json"], {}, "150 ms", large),
        Row("a build of 10,000 files", [STRAKE, "build"],
            {"buildctl": [buildkit.buildctl, "--addr", buildkit.address, "build", "--progress=quiet", "--frontend",
                          "dockerfile.v0", "--local", "context=.", "--local", "dockerfile=."]},
            "1.05 × buildctl or 5 ms more", large),
        Row("a miss explained", [STRAKE, "cache", "explain", "--json"], {}, "50 ms", large),
        Row("planning 1,000 targets", [STRAKE, "plan", "--all", "--json"], {}, "100 ms", many),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--targets", type=int, default=200, help="how many the pool of builders gets")
    parser.add_argument("--only", choices=["single", "pool", "copies", "layers"],
                        help="one builder's rows, those of several, those of copies or of reading layers")
    parser.add_argument("--mebibytes", type=int, default=1024, help="how large the image is that is copied")
    parser.add_argument("--row", default="", help="only rows with this in their name")
    options = parser.parse_args()
    rounds = options.rounds
    with tempfile.TemporaryDirectory(prefix="strake-bench-") as name:
        folder = Path(name)
        home = folder / "home"
        home.mkdir()
        env = {key: value for key, value in os.environ.items() if not key.startswith(("STRAKE_", "XDG_", "DOCKER_"))}
        env |= {"HOME": str(home), "no_proxy": "127.0.0.1", "REGCTL_CONFIG": str(home / "regctl.json")}
        registry = Registry(folder / "registry", 2)
        try:
            if options.only in (None, "copies"):
                copies.measure(folder, registry, env, STRAKE, rounds, options.mebibytes, Row)
            if options.only in (None, "layers"):
                for row in layers.rows(Row, STRAKE, folder / "layers", registry):
                    row.measure(min(rounds, 5), env)
                    row.print()
                    sys.stdout.flush()
            if options.only in ("copies", "layers"):
                return
            buildkit = BuildKit(folder / "buildkit", [registry])
            try:
                env["PATH"] = f"{buildkit.buildctl.parent}:{env['PATH']}"
                env["BUILDX_CONFIG"] = str(home / "buildx")
                subprocess.run([buildx(), "create", "--name", "plain", "--driver", "remote", buildkit.address], env=env,
                               check=True, capture_output=True)
                base = push_busybox(registry)
                (home / "regctl.json").write_text(json.dumps({"hosts": {registry.host: {"tls": "disabled"}}}))
                for row in rows(folder, registry, buildkit, base) if options.only != "pool" else []:
                    if options.row not in row.name:
                        continue
                    row.measure(rounds, env)
                    row.print()
                    sys.stdout.flush()
                if options.only != "single":
                    pool.measure(folder, registry, base, env, STRAKE, rounds, options.targets)
            finally:
                buildkit.stop()
        finally:
            registry.stop()


if __name__ == "__main__":
    main()
