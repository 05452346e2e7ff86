"""The whole way of one image: the project of the design's first page, released on real servers."""

import json
import subprocess

import pytest

from harness.process import tool
from harness.program import run_git

STRAKE_LUA = """
local repo = "{host}/{repository}"

builder "lab"    {{ type = "buildctl", address = "{buildkit}" }}
builder "laptop" {{ type = "buildx" }}                       -- used when "lab" cannot be reached

registry "{host}" {{ username = env.REGISTRY_USER, password = secret.env "REGISTRY_TOKEN" }}
notifier "phone"  {{ type = "ntfy", url = "{ntfy}/{topic}",
                     on = {{ "run.failed", "image.published" }} }}

target "k8s-tmux" {{
  context = ".", platforms = {{ "linux/amd64", "linux/arm64" }}, image = repo,
  tags = tags.rules {{ {{ "latest", when = git.branch == "main" }}, {{ "{{tag}}", when = git.tag }},
                      "sha-{{sha}}", {{ "{{branch}}", when = git.branch ~= "main" }} }},
  cache = {{ type = "registry", ref = repo .. ":buildcache", mode = "max" }},
}}

policy "no root" {{ at = "publish", check = function(image)      -- asked once per platform
  if image.config.user == "" or image.config.user == "root" then
    deny("the image runs as root", {{ fix = "end the Dockerfile with USER <name>" }})
  end
end }}

flow "release" {{
  summary = "Build, check and publish a version",
  args = {{ {{ "version", pattern = "^v%d+%.%d+%.%d+$" }} }},
  run = function(arg)
    local image = build("k8s-tmux", {{ tags = {{ arg.version, "latest" }} }})   -- staged, no tag yet
    publish(image)                                   -- publish(a, b): one unit
    notify {{ title = "Container Build Success", message = "k8s-tmux " .. arg.version }}
  end,
}}
"""
DOCKERFILE = "FROM {base}\nRUN uname -m > /machine\nCOPY greeting /\nCMD [\"cat\", \"/greeting\"]\n"
CREDENTIALS = {"REGISTRY_USER": "dev", "REGISTRY_TOKEN": "s3cret-password"}


class Release:
    """The project, with a repository and a topic of the test's own."""

    def __init__(self, strake, project, registry, buildkit, ntfy, base, name, user="USER dev\n"):
        self.strake, self.registry, self.ntfy, self.topic = strake, registry, ntfy, name
        self.repository = f"wiredquill/{name}"
        self.image = f"{registry.host}/{self.repository}"
        self.folder = project({
            "Dockerfile": DOCKERFILE.format(base=base) + user, "greeting": "hello\n",
            "strake.lua": STRAKE_LUA.format(host=registry.host, repository=self.repository, buildkit=buildkit.address,
                                            ntfy=ntfy.url, topic=self.topic),
        })

    def run(self, version, *options, flow="release"):
        return self.strake("run", *options, flow, version, cwd=self.folder, env=CREDENTIALS)

    def messages(self, count):
        return self.ntfy.messages(self.topic, count=count)


@pytest.fixture
def make(strake, project, registry, buildkit, ntfy, base, request):
    name = "release-" + request.node.name.replace("_", "-")[-40:].strip("-")
    return lambda **more: Release(strake, project, registry, buildkit, ntfy, base, name, **more)


@pytest.fixture
def release(make):
    return make()


@pytest.fixture
def rootly(make):
    """The same without the line that the policy wants."""
    return make(user="")


def skopeo_raw(ref: str) -> bytes:
    return subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{ref}"], check=True,
                          capture_output=True).stdout


def test_a_release_is_published_for_both_platforms_and_announced(release):
    done = release.run("v1.2.3", "--json")
    assert done.exit == 0, done.err
    document = done.json()
    assert (document["schema"], document["flow"], document["status"]) == ("strake.run/1", "release", "done")
    assert sorted(release.registry.tags(release.repository)) == ["buildcache", "latest", "v1.2.3"]
    digest = release.registry.digest(release.repository, "v1.2.3")
    assert digest and release.registry.digest(release.repository, "latest") == digest

    shown = release.strake("image", "show", "--json", f"{release.image}:latest", cwd=release.folder,
                           env=CREDENTIALS).json()
    assert shown["digest"] == digest
    assert [entry["platform"] for entry in shown["platforms"]] == ["linux/amd64", "linux/arm64"]
    assert {entry["config"]["user"] for entry in shown["platforms"]} == {"dev"}

    received = release.messages(2)
    told = {message["title"]: message["message"] for message in received}
    assert told["Container Build Success"] == "k8s-tmux v1.2.3"
    assert f"{release.image}:v1.2.3" in told["Image published"]
    assert len(received) == 2


def test_skopeo_and_regctl_see_the_image_that_strake_shows(release):
    assert release.run("v1.2.3").exit == 0
    ref = f"{release.image}:v1.2.3"
    shown = release.strake("image", "show", "--json", ref, cwd=release.folder, env=CREDENTIALS).json()
    raw = skopeo_raw(ref)
    index = json.loads(raw)
    assert shown["media_type"] == index["mediaType"]
    by_skopeo = {f"{entry['platform']['os']}/{entry['platform']['architecture']}": entry["digest"]
                 for entry in index["manifests"]}
    assert by_skopeo == {entry["platform"]: entry["digest"] for entry in shown["platforms"]}
    for entry in shown["platforms"]:
        manifest = json.loads(skopeo_raw(f"{release.image}@{entry['digest']}"))
        assert [layer["digest"] for layer in entry["layers"]] == [layer["digest"] for layer in manifest["layers"]]
        assert [layer["size_bytes"] for layer in entry["layers"]] == [layer["size"] for layer in manifest["layers"]]
    try:
        regctl = tool("regctl", "peers/regctl")
    except RuntimeError:
        return  # a peer of the benchmark: there once `./dev bench` ran
    told = subprocess.run([str(regctl), "--host", f"reg={release.registry.host},tls=disabled", "manifest", "get",
                           "--format", "raw-body", ref], check=True, capture_output=True).stdout
    assert told == raw


def test_the_machine_is_the_platforms_own(release):
    """arm64 is really built as arm64: its RUN said so into the layer."""
    assert release.run("v1.2.3").exit == 0
    shown = release.strake("image", "show", "--json", f"{release.image}:latest", cwd=release.folder,
                           env=CREDENTIALS).json()
    machines = {}
    for entry in shown["platforms"]:
        layer = next(layer for layer in entry["layers"] if "uname" in layer["created_by"])
        _, _, packed = release.registry.get(f"/v2/{release.repository}/blobs/{layer['digest']}")
        listed = subprocess.run(["tar", "-xzO", "machine"], input=packed, check=True, capture_output=True).stdout
        machines[entry["platform"]] = listed.decode().strip()
    assert machines == {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


def test_an_image_that_runs_as_root_is_denied_and_no_tag_moves(rootly):
    before = rootly.registry.tags(rootly.repository)
    done = rootly.run("v1.2.3", "--json")
    assert done.exit == 4, done.err
    error = done.json()["error"]
    line = next(number for number, text in enumerate((rootly.folder / "strake.lua").read_text().splitlines(), 1)
                if "deny(" in text)
    assert (error["kind"], error["exit"], error["file"], error["line"]) == ("policy", 4, "strake.lua", line)
    assert "the image runs as root" in error["message"] and "USER" in error["hint"]
    assert [tag for tag in rootly.registry.tags(rootly.repository) if tag != "buildcache"] == \
           [tag for tag in before if tag != "buildcache"] == []
    shown = rootly.strake("history", "show", "last", "--json", cwd=rootly.folder).json()["runs"][0]
    assert (shown["status"], shown["exit"], shown["tag_moves"]) == ("denied", 4, [])
    denied = [entry for entry in shown["decisions"] if entry["action"] == "deny"]
    assert {entry["name"] for entry in denied} == {"no root"} and len(denied) == 2  # once a platform
    told = rootly.messages(1)
    assert [message["title"] for message in told] == ["Run failed"]


def test_a_version_that_does_not_fit_is_refused_before_anything_is_built(release):
    done = release.run("1.2", "--json")
    assert done.exit == 2, done.err
    assert done.json()["error"]["kind"] == "usage" and "version" in done.json()["error"]["message"]
    assert release.registry.tags(release.repository) == []


def test_the_tag_rules_give_what_git_says(release):
    def tags():
        done = release.strake("tags", "--json", cwd=release.folder, env=CREDENTIALS)
        assert done.exit == 0, done.err
        return done.json()["tags"]

    sha = "sha-" + run_git(release.folder, "rev-parse", "HEAD")[:7]
    assert tags() == ["latest", sha]
    run_git(release.folder, "tag", "v2.0.0")
    assert tags() == ["latest", "v2.0.0", sha]
    run_git(release.folder, "checkout", "-q", "-b", "feature/one")
    assert tags() == ["v2.0.0", sha, "feature-one"]


def test_the_release_can_be_read_in_the_history(release):
    assert release.run("v1.2.3").exit == 0
    digest = release.registry.digest(release.repository, "latest")
    shown = release.strake("history", "show", "last", "--json", cwd=release.folder).json()["runs"][0]
    name = release.image
    assert (shown["command"], shown["status"], shown["exit"]) == ("run", "done", 0)
    assert [(move["ref"], move["from"], move["to"]) for move in shown["tag_moves"]] == \
           [(f"{name}:v1.2.3", "", digest), (f"{name}:latest", "", digest)]
    assert shown["targets"][0]["digest"] == digest
    assert shown["targets"][0]["refs"] == [f"{name}:v1.2.3", f"{name}:latest"]
    assert {message["type"] for message in shown["messages"]} == {"notify.sent"}


def test_a_second_release_moves_latest_and_keeps_the_first_version(release):
    assert release.run("v1.0.0").exit == 0
    first = release.registry.digest(release.repository, "latest")
    (release.folder / "greeting").write_text("hello again\n")
    done = release.run("v1.1.0", "--events", release.folder / "events")
    assert done.exit == 0, done.err
    second = release.registry.digest(release.repository, "v1.1.0")
    assert second != first and release.registry.digest(release.repository, "latest") == second
    assert release.registry.digest(release.repository, "v1.0.0") == first
    events = [json.loads(line) for line in (release.folder / "events").read_text().splitlines()]
    moved = [(event["ref"].rpartition(":")[2], event["from"]) for event in events if event["type"] == "tag.moved"]
    assert moved == [("v1.1.0", ""), ("latest", first)]
