"""What several builders cost: many targets against plain clients, builders that hang, the join of an image's parts."""

import json
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from harness.program import make_project
from harness.servers import BuildKit, Registry

PLATFORMS = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x"]
SLOTS = 2


def _builder(name: str, address: str, more: str = "") -> str:
    return f'builder "{name}" {{ type = "buildctl", address = "{address}"{more} }}\n'


def _run(argv: list, cwd: Path, env: dict, code: int = 0) -> float:
    """Milliseconds of one run that ends so."""
    started = time.monotonic()
    done = subprocess.run([str(word) for word in argv], cwd=cwd, env=env, capture_output=True, text=True)
    elapsed = (time.monotonic() - started) * 1000
    if done.returncode != code:
        raise SystemExit(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stderr}")
    return elapsed


def _say(name: str, ours: float, budget: str) -> None:
    print(f"{name:<28} strake   {ours:8.1f} ms              budget: {budget}")
    sys.stdout.flush()


# ---- many targets ------------------------------------------------------------------------------------------


def many_targets(folder: Path, daemons: list, registry: Registry, base: str, env: dict, strake: Path, count: int,
                 rounds: int) -> None:
    """So many targets, each to be built, over all daemons; the peer is a pool of threads that start buildctl."""
    project = make_project(folder / "load", {
        "Dockerfile": f"FROM {base}\nARG N\nRUN echo $N > /n\n",
        "strake.lua": "".join(_builder(f"b{n}", daemon.address, f", slots = {SLOTS}") for n, daemon in enumerate(daemons)) +
        f'for n = 1, {count} do\n  target("t" .. n) {{ image = "{registry.host}/load" .. n, tags = {{ "1" }},\n'
        '    args = { N = env.TURN .. "-" .. n } }\nend\n'})

    def plain(turn: str) -> float:
        queue = iter(range(1, count + 1))

        def work(daemon: BuildKit) -> None:
            for n in queue:
                _run([daemon.buildctl, "--addr", daemon.address, "build", "--progress=quiet", "--frontend", "dockerfile.v0",
                      "--local", "context=.", "--local", "dockerfile=.", "--opt", f"build-arg:N={turn}-{n}", "--output",
                      f"type=image,name={registry.host}/load{n}:peer,push=true,registry.insecure=true,oci-mediatypes=true"],
                     project, env)

        started = time.monotonic()
        with ThreadPoolExecutor(SLOTS * len(daemons)) as pool:
            for done in [pool.submit(work, daemon) for daemon in daemons for _ in range(SLOTS)]:
                done.result()
        return (time.monotonic() - started) * 1000

    times = {"ours": [], "plain": []}
    for turn in range(rounds):
        times["plain"].append(plain(f"p{turn}"))
        times["ours"].append(_run([strake, "build", "--all", "--push"], project, env | {"TURN": f"s{turn}"}))
    _say(f"{count} targets, {len(daemons)} daemons", statistics.median(times["ours"]), "0.9 of the throughput")
    # Turn by turn: what else the machine does changes more than the two differ.
    share = statistics.median(theirs / ours for ours, theirs in zip(times["ours"], times["plain"]))
    print(f"{'':<28} buildctl {statistics.median(times['plain']):8.1f} ms              {share:5.2f} of its throughput")
    sys.stdout.flush()


# ---- builders that hang ------------------------------------------------------------------------------------


def probing(folder: Path, daemon: BuildKit, env: dict, strake: Path, rounds: int) -> None:
    """20 builders, of which the first 10 take connections and say nothing; then all have to be asked, for nobody has
    the platform, or one that answers is enough."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1024)
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        builders = "".join(_builder(f"hangs{n}", address) for n in range(10)) + \
            "".join(_builder(f"lives{n}", daemon.address) for n in range(10))
        nobody = make_project(folder / "nobody", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n", "strake.lua": builders +
                                                  'target "app" { platforms = { "linux/mips64le" } }\n'})
        first = make_project(folder / "first", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n", "strake.lua": builders +
                                                'target "app" {}\n'})
        asked = [_run([strake, "build"], nobody, env, code=9) for _ in range(rounds)]
        built = [_run([strake, "build"], first, env) for _ in range(rounds)]
    _say("20 builders, 10 hang: all", statistics.median(asked), "3 s")
    _say("20 builders, 10 hang: one", statistics.median(built), "the patience of 0.3 s and a build")


# ---- joining -----------------------------------------------------------------------------------------------


def _gap(project: Path, env: dict, strake: Path) -> float:
    """Milliseconds from the last step of the last part to the image that is staged."""
    events = project / "events"
    _run([strake, "build", "--push", "--events", events], project, env)
    told = [json.loads(line) for line in events.read_text().splitlines()]
    events.unlink()
    last = max(event["completed"] for event in told if event["type"] == "step.done")
    staged = next(event["time"] for event in told if event["type"] == "image.staged")
    return (datetime.fromisoformat(staged) - datetime.fromisoformat(last)).total_seconds() * 1000


def merging(folder: Path, daemons: list, registry: Registry, env: dict, strake: Path, rounds: int) -> None:
    """Four parts of four daemons become one image; beside it an image of one part, where nothing is joined: in both the
    last client has to end first."""
    builders = "".join(_builder(f"b{n}", daemon.address) for n, daemon in enumerate(daemons))
    projects, gaps = {}, {}
    for count in (len(PLATFORMS), 1):
        platforms = ", ".join(f'"{platform}"' for platform in PLATFORMS[:count])
        projects[count] = make_project(folder / f"merge{count}", {
            "Dockerfile": "FROM scratch\nCOPY Dockerfile /\n", ".dockerignore": "events\n", "strake.lua": builders +
            f'target "app" {{ image = "{registry.host}/merge{count}", tags = {{ "1" }}, platforms = {{ {platforms} }} }}\n'})
        gaps[count] = []
    for _ in range(rounds + 1):
        for count, project in projects.items():
            gaps[count].append(_gap(project, env, strake))
    _say("staging 4 joined platforms", statistics.median(gaps[len(PLATFORMS)][1:]), "100 ms more than one")
    _say("staging one platform", statistics.median(gaps[1][1:]), "-")


def measure(folder: Path, registry: Registry, base: str, env: dict, strake: Path, rounds: int, count: int) -> None:
    daemons = []
    try:
        for n, platform in enumerate(PLATFORMS):
            daemons.append(BuildKit(folder / f"pool{n}", [registry], platforms=[platform]))
        probing(folder, daemons[0], env, strake, min(rounds, 5))
        merging(folder, daemons, registry, env, strake, rounds)
        while daemons:
            daemons.pop().stop()
        for n in range(3):
            daemons.append(BuildKit(folder / f"load{n}", [registry]))
        many_targets(folder, daemons, registry, base, env, strake, count, max(1, min(rounds // 3, 5)))
    finally:
        for daemon in daemons:
            daemon.stop()
