"""The demo: an image goes the whole way on real servers, and each step is shown as a user would type it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.images import push_busybox
from harness.program import ROOT, commit, make_project, run_git
from harness.servers import BuildKit, Ntfy, Registry, register_emulation

STRAKE = ROOT / "build/release/bin/strake"


def heading(text: str) -> None:
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


class Shell:
    """Runs strake in the project, its output straight to the terminal."""

    def __init__(self, project: Path, env: dict):
        self.project, self.env = project, env

    def __call__(self, *words: str) -> None:
        print(f"$ strake {' '.join(words)}", flush=True)
        done = subprocess.run([str(STRAKE), *words], cwd=self.project, env=self.env, check=False)
        if done.returncode != 0:
            raise SystemExit(f"strake ended with {done.returncode}")


def files(base: str, registry: Registry, buildkit: BuildKit, ntfy: Ntfy) -> dict:
    return {
        "Dockerfile": f"FROM {base}\nRUN echo hello > /greeting\nARG VERSION=dev\nRUN echo \"$VERSION on $(uname -m)\" > /version\n"
                      "USER dev\nCMD [\"cat\", \"/version\"]\n",
        "strake.lua": f'''local repo = "{registry.host}/demo/hello"

builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}
notifier "phone" {{ type = "ntfy", url = "{ntfy.url}/builds", on = {{ "run.failed", "image.published" }} }}

target "hello" {{
  context = ".", platforms = {{ "linux/amd64", "linux/arm64" }}, image = repo,
  args = {{ VERSION = git.short_sha or "dev" }},
  tags = tags.rules {{ {{ "latest", when = git.branch == "main" }}, "sha-{{sha}}" }},
  cache = {{ type = "registry", ref = repo .. ":buildcache", mode = "max" }},
}}

policy "no root" {{ at = "publish", check = function(image)
  if image.config.user == "" or image.config.user == "root" then
    deny("the image runs as root", {{ fix = "end the Dockerfile with USER <name>" }})
  end
end }}

flow "release" {{
  summary = "Build, check and publish a version",
  args = {{ {{ "version", pattern = "^v%d+%.%d+%.%d+$" }} }},
  run = function(arg)
    local image = build("hello", {{ tags = {{ arg.version, "latest" }} }})
    publish(image)
    notify {{ title = "Released", message = "hello " .. arg.version }}
  end,
}}
''',
    }


def show(folder: Path, registry: Registry, buildkit: BuildKit, ntfy: Ntfy) -> None:
    project = make_project(folder / "hello", files(push_busybox(registry), registry, buildkit, ntfy))
    run_git(project, "tag", "v1.2.3")
    env = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"),
           "XDG_CONFIG_HOME": str(folder / "config"), "no_proxy": "127.0.0.1",
           "PATH": f"{buildkit.buildctl.parent}:{os.environ['PATH']}"}
    strake = Shell(project, env)
    heading("strake.lua, beside the Dockerfile")
    print((project / "strake.lua").read_text())
    heading("Planned: everything decided, nothing run")
    strake("plan")
    heading("Built for two platforms, staged by digest, checked, published, recorded, announced")
    strake("run", "release", "v1.2.3")
    heading("A change and the next version: what is before it comes from the cache, and latest moves")
    with open(project / "Dockerfile", "a") as dockerfile:
        dockerfile.write("LABEL changed=yes\n")
    commit(project)
    run_git(project, "tag", "v1.2.4")
    strake("run", "release", "v1.2.4")
    heading("What is in the registry now")
    strake("image", "show", f"{registry.host}/demo/hello:latest")
    strake("image", "list", f"{registry.host}/demo/hello")
    heading("What the record says")
    strake("history", "list")
    strake("history", "show", "last")
    heading("What subscribers of the topic received")
    for message in ntfy.messages("builds", count=4):
        print(f"{message.get('title', '')}: {message['message']}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="strake-demo-") as name:
        folder = Path(name)
        running = []
        try:
            register_emulation()
            heading("Starting a registry, BuildKit and ntfy on this machine")
            registry = Registry(folder / "registry", 3)
            running.append(registry)
            buildkit = BuildKit(folder / "buildkit", [registry])
            running.append(buildkit)
            ntfy = Ntfy(folder / "ntfy")
            running.append(ntfy)
            show(folder, registry, buildkit, ntfy)
            heading("Done; the servers are stopped and everything is removed")
        finally:
            for server in reversed(running):
                server.stop()


if __name__ == "__main__":
    main()
