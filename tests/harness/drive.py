"""The methods of a registry plugin one by one, for tests that the command line is too coarse for."""

import base64
import json
import os
import subprocess

from harness.program import ROOT
from harness.liar import MANIFEST, digest_of

BUILD = ROOT / "build" / os.environ.get("STRAKE_TEST_PRESET", "dev")
PLUGINS = BUILD / "lib" / "strake" / "plugins"

CONFIG = b"{}"
IMAGE = json.dumps({
    "schemaVersion": 2, "mediaType": MANIFEST,
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
               "digest": digest_of(CONFIG), "size": len(CONFIG)},
    "layers": []}).encode()


class Failed(Exception):
    """What the driver printed: kind, message, hint, detail."""

    def __init__(self, report):
        super().__init__(report.get("message"))
        self.kind = report.get("kind")
        self.code = report["code"]
        self.text = report.get("message", "")
        self.hint = report.get("hint", "")
        self.detail = report.get("detail", "")
        self.whole = json.dumps(report)


class Driver:
    """Calls a plugin's methods; each argument is one command as a tuple."""

    def __init__(self, home):
        self.home = home
        self.env = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def __call__(self, plugin, options, *commands):
        arguments = []
        for command in commands:
            arguments += (["--"] if arguments else []) + [str(part) for part in command]
        done = subprocess.run([BUILD / "tests" / "registry_drive", PLUGINS / (plugin + ".so"), json.dumps(options),
                               *arguments], env=self.env, capture_output=True, timeout=60, check=False)
        lines = done.stderr.decode().splitlines()
        if done.returncode == 1 and lines and lines[-1].startswith("{"):
            raise Failed(json.loads(lines[-1]))
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def oci(self, host, *commands, **options):
        return self("oci", {"host": host, **options}, *commands)

    def layout(self, path, *commands):
        return self("layout", {"path": str(path)}, *commands)

    def docker_config(self, config):
        folder = self.home / ".docker"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))


def auth_of(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def put_image(files, repository, *tags):
    """The commands that put the image of the fixture `files` there."""
    return [("blob-put", repository, digest_of(CONFIG), files / "config"),
            *[("put", repository, tag, MANIFEST, files / "image") for tag in tags]]
