"""A repository with a project whose releases go back."""

import shutil
from pathlib import Path

from harness.images import stage_image
from harness.program import Strake
from harness.servers import http


class Shop:
    """A repository of the test's own behind a liar, and a project whose target `app` has it."""

    def __init__(self, strake, folder, liar, name):
        self.strake, self.folder, self.liar, self.registry, self.name = strake, folder, liar, liar.registry, name
        self.image = f"{liar.host}/{name}"
        folder.mkdir()
        self.lua()

    def lua(self, more: str = "", tags: str = "'latest', 'main'") -> None:
        (self.folder / "strake.lua").write_text(
            f"target 'app' {{ context = '.', image = '{self.image}', tags = {{ {tags} }} }}\n{more}\n")

    def make(self, text: str, **more) -> str:
        return stage_image(self.registry, self.name, text, **more)

    def run(self, *args, exit: int = 0, strake=None, **more):
        done = (strake or self.strake)(*args, cwd=self.folder, **more)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    def publish(self, text: str, *tags, strake=None, **more) -> str:
        digest = self.make(text, **more)
        wanted = [word for tag in tags for word in ("-t", f"{self.image}:{tag}")]
        self.run("publish", f"{self.image}@{digest}", *wanted, strake=strake)
        return digest

    def rollback(self, *args, exit: int = 0, **more):
        return self.run("rollback", "--json", *args, exit=exit, **more).json()

    def digests(self) -> dict:
        return {tag: self.registry.digest(self.name, tag) for tag in self.registry.tags(self.name)}

    def delete(self, digest: str) -> None:
        status, _, body = http("DELETE", f"http://{self.registry.host}/v2/{self.name}/manifests/{digest}")
        assert status == 202, body

    def other_machine(self, copy: bool = False) -> Strake:
        """Somebody with an empty record, or with a copy of ours as it is now."""
        home = self.folder.parent / f"other{len(list(self.folder.parent.iterdir()))}"
        if copy:
            shutil.copytree(self.strake.home, home)
        return Strake(home)
