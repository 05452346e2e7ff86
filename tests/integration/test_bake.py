"""bake.import: what buildx says of a bake file becomes targets; what cannot be kept is named."""

import json
import platform
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.process import cache, tool

BUILDER = "builder 'b' { type = 'buildctl', address = 'tcp://127.0.0.1:1' }\n"


class Baked:
    """A project with a bake file; nothing is built, the builder's address answers nobody."""

    def __init__(self, strake, project, files: dict, lua: str):
        self.strake = strake
        self.path = f"{tool('buildx', 'buildx/buildx').parent}:{strake.env['PATH']}"
        self.folder = project({"Dockerfile": "FROM scratch AS first\nFROM scratch AS last\n", **files,
                               "strake.lua": BUILDER + lua})

    def run(self, *args, exit: int = 0, env: dict | None = None):
        done = self.strake(*args, cwd=self.folder, env={"PATH": self.path, **(env or {})})
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    def plan(self, *args, env: dict | None = None) -> dict:
        document = self.run("plan", "--json", *args, env=env).json()
        return {target["name"]: target for target in document["targets"]}

    def error(self, *args, exit: int = 3, env: dict | None = None) -> dict:
        return self.run("plan", "--json", "--all", *args, exit=exit, env=env).json()["error"]


@pytest.fixture
def baked(strake, project):
    def make(bake: str = "", lua: str = "bake.import('docker-bake.hcl')\n", **files):
        files = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
        return Baked(strake, project, {"docker-bake.hcl": bake, **files}, lua)
    return make


def one(text: str) -> str:
    return f'target "app" {{\n{text}\n}}\n'


# ---- whole files -----------------------------------------------------------------------------------------------


HCL = """
variable "TAG" { default = "dev" }
variable "HOST" { default = "localhost:5000" }
group "default" { targets = ["app", "tools"] }
group "everything" { targets = ["default", "docs"] }
target "_common" {
  labels = { team = "blue", "price" = "$${x} 5%%{y}" }
  args = { SHARED = "1", NOTHING = null }
}
target "app" {
  inherits = ["_common"]
  description = "what runs"
  contexts = { docs = "target:docs" }
  tags = ["${HOST}/app:${TAG}", "${HOST}/other"]
}
target "tools" {
  name = "tool-${version}"
  matrix = { version = ["1", "2"] }
  inherits = ["_common"]
  args = { VERSION = version, SHARED = "of ${version}" }
}
target "docs" { target = "first" }
"""


def test_an_hcl_file_with_variables_a_matrix_inheritance_and_groups(baked):
    house = baked(HCL)
    targets = house.plan()
    assert list(targets) == ["docs", "app", "tool-1", "tool-2"]  # what app needs comes before it
    app = targets["app"]
    assert app["refs"] == ["localhost:5000/app:dev", "localhost:5000/other:latest"]
    assert (app["image"], app["tags"]) == ("localhost:5000/app", ["dev", "latest"])
    assert app["labels"] == {"team": "blue", "price": "${x} 5%{y}"} and app["args"] == {"SHARED": "1"}
    assert app["contexts"] == {"docs": "target:docs"} and app["after"] == ["docs"]
    assert targets["tool-2"]["args"] == {"SHARED": "of 2", "VERSION": "2"}
    assert targets["docs"]["stage"] == "first" and targets["docs"]["refs"] == []
    assert not any(name.startswith("_") for name in house.plan("--all"))


def test_variables_come_from_the_environment_and_from_strake_lua(baked):
    house = baked(HCL)
    assert house.plan("app", env={"TAG": "v7"})["app"]["tags"] == ["v7", "latest"]
    house = baked(HCL, "bake.import('docker-bake.hcl', { variables = { TAG = 'mine', HOST = 'other:1' } })\n")
    assert house.plan("app", env={"TAG": "v7"})["app"]["refs"] == ["other:1/app:mine", "other:1/other:latest"]


def test_targets_and_set_choose_and_override(baked):
    house = baked(HCL, "bake.import('docker-bake.hcl', { targets = { 'tools' }, set = {\n"
                       "  ['tool-1.args.VERSION'] = 9, ['*.platform'] = { 'linux/amd64', 'linux/arm64' } } })\n")
    targets = house.plan()
    assert list(targets) == ["tool-1", "tool-2"]
    assert targets["tool-1"]["args"]["VERSION"] == "9"
    assert targets["tool-2"]["platforms"] == ["linux/amd64", "linux/arm64"]


def test_the_result_has_targets_and_groups(baked):
    house = baked(HCL, "local images = bake.import('docker-bake.hcl', { default = false })\n"
                       "assert(#images.everything == 4 and #images.tools == 2 and #images.default == 3)\n"
                       "target 'mine' { contexts = { app = images.app }, after = images.tools, default = true }\n")
    targets = house.plan()
    assert list(targets)[-1] == "mine" and set(targets) == {"mine", "app", "docs", "tool-1", "tool-2"}
    assert targets["mine"]["contexts"] == {"app": "target:app"}


def test_a_group_stands_for_its_targets_on_the_command_line(baked):
    house = baked(HCL)
    assert set(house.plan("everything")) == {"app", "docs", "tool-1", "tool-2"}
    assert list(house.plan("tools", "docs")) == ["tool-1", "tool-2", "docs"]
    error = house.run("plan", "--json", "tolls", exit=2).json()["error"]
    assert error["message"] == "no target tolls" and "tools" in error["hint"]
    house = baked(HCL, "bake.import('docker-bake.hcl')\nbake.import('more.hcl')\n",
                  more_hcl='group "tools" { targets = ["x"] }\ntarget "x" {}\n')
    assert house.error("x")["message"] == 'group "tools" is declared twice: first at strake.lua:2'


def test_tags_shows_the_references_of_a_bake_file(baked):
    house = baked(HCL)
    assert house.run("tags", "app").out.split() == ["localhost:5000/app:dev", "localhost:5000/other:latest"]
    document = house.run("tags", "--json", "app").json()
    assert (document["image"], document["version"], document["tags"]) == ("localhost:5000/app", "dev", ["dev", "latest"])


def test_a_flow_gives_other_tags(baked, buildkit, registry):
    house = baked(one(f'tags = ["{registry.host}/bake/flow:1"]'),
                  f"builder 'c' {{ type = 'buildctl', address = '{buildkit.address}' }}\n"
                  "local images = bake.import('docker-bake.hcl', { set = { ['app.args.X'] = true } })\n"
                  "flow 'f' { run = function() publish(build(images.app, { tags = { 'flow' }, builder = 'c' })) end }\n")
    house.run("run", "f")
    assert registry.tags("bake/flow") == ["flow"]


def test_a_target_that_is_called_default_is_the_default(baked):
    house = baked('target "other" {}\ntarget "default" {}\n')
    assert list(house.plan()) == ["default"] and set(house.plan("--all")) == {"default", "other"}


def test_a_json_file_has_variables_too(baked):
    house = baked(lua="bake.import 'docker-bake.json'\n", docker__bake_json="")
    text = {"variable": {"V": {"default": "1"}}, "group": {"default": {"targets": ["app"]}},
            "target": {"base": {"args": {"A": "${V}"}}, "app": {"inherits": ["base"], "labels": {"l": None}}}}
    (house.folder / "docker-bake.json").write_text(json.dumps(text))
    assert house.plan(env={"V": "5"})["app"]["args"] == {"A": "5"} and house.plan("app")["app"]["labels"] == {}


COMPOSE = """
name: shop
services:
  web:
    image: localhost:5000/web:1
    build:
      context: ./web
      args: { PRICE: "$$5", MODE: "${MODE:-slow}" }
      target: last
      platforms: [linux/amd64]
      additional_contexts: { database: "service:db" }
      extra_hosts: { inside: "10.0.0.1" }
      shm_size: 64m
  db:
    build: .
  cache:
    image: redis
"""


def test_a_compose_file(baked):
    house = baked(lua="bake.import 'compose.yaml'\n", compose_yaml=COMPOSE, web__Dockerfile="FROM scratch AS last\n")
    targets = house.plan(env={"MODE": "fast"})
    assert set(targets) == {"web", "db"}
    web = targets["web"]
    assert (web["context"], web["dockerfile"], web["stage"]) == ("web", "web/Dockerfile", "last")
    assert web["args"] == {"PRICE": "$5", "MODE": "fast"} and web["refs"] == ["localhost:5000/web:1"]
    assert web["contexts"] == {"database": "target:db"}
    assert web["options"] == {"add_hosts": {"inside": "10.0.0.1"}, "shm_size": 64 << 20}


def test_several_files_are_merged(baked):
    house = baked(one('args = { A = "1", B = "1" }'), "bake.import { 'docker-bake.hcl', 'more.hcl' }\n",
                  more_hcl=one('args = { B = "2" }'))
    assert house.plan()["app"]["args"] == {"A": "1", "B": "2"}


# ---- each attribute ----------------------------------------------------------------------------------------------


KEPT = [
    ('annotations = ["k=v", "index,manifest[linux/amd64]:a.b=c=d"]', "annotations",
     {"k": "v", "index:a.b": "c=d", "manifest[linux/amd64]:a.b": "c=d"}),
    ('args = { SOURCE_DATE_EPOCH = "77", A = "" }', "args", {"A": ""}),
    ('args = { SOURCE_DATE_EPOCH = "77" }', "options", {"source_date_epoch": "77"}),
    ('attest = ["type=provenance,mode=max,version=v1", "type=sbom"]', "options",
     {"attestations": {"provenance": "mode=max,version=v1", "sbom": ""}}),
    ('attest = ["type=provenance,disabled=true"]', "options", {"attestations": {"provenance": "disabled"}}),
    ('no-cache = true', "no_cache", True),
    ('platforms = ["linux/arm64", "linux/arm64"]', "platforms", ["linux/arm64"]),
    ('no-cache-filter = ["first"]', "options", {"no_cache_stages": ["first"]}),
    ('network = "none"', "options", {"network": "none"}),
    ('network = "host"', "options", {"network": "host", "entitlements": ["network.host"]}),
    ('entitlements = ["security.insecure"]', "options", {"entitlements": ["security.insecure"]}),
    ('extra-hosts = { a = "10.0.0.1" }', "options", {"add_hosts": {"a": "10.0.0.1"}}),
    ('shm-size = "64m"', "options", {"shm_size": 64 << 20}),
    ('ulimits = ["nofile=10:20", "nproc=5"]', "options", {"ulimits": {"nofile": "10:20", "nproc": "5"}}),
    ('cache-from = ["user/app:c", "type=local,src=there"]\ncache-to = ["type=registry,ref=user/app:c,mode=max"]', "cache",
     {"import": ["type=registry,ref=user/app:c", "type=local,src={folder}/there"],
      "export": ["type=registry,mode=max,ref=user/app:c"]}),
    ('cache-to = ["type=inline"]', "cache", {"import": [], "export": ["type=inline"]}),
    ('tags = ["h:1/a"]\noutput = ["type=image,push=true,compression=zstd,compression-level=3,force-compression=true"]',
     "options", {"compression": "zstd", "compression_level": 3, "force_compression": True}),
    ('tags = ["h:1/a"]\noutput = ["type=registry,rewrite-timestamp=true,oci-mediatypes=true"]', "options",
     {"rewrite_timestamp": True}),
    ('tags = ["h:1/a"]\noutput = ["type=registry,annotation.k=v,annotation-index.l=w"]', "annotations",
     {"k": "v", "index:l": "w"}),
    ('output = ["type=image,\\"name=h:1/a,h:1/b:2\\",push=true"]', "refs", ["h:1/a:latest", "h:1/b:2"]),
    ('output = ["type=cacheonly"]', "refs", []),
    ('pull = true', "options", {"pull": True}),
    ('pull = false\nno-cache = false', "no_cache", False),
    ('contexts = { a = "docker-image://alpine", b = "./web", c = "https://github.com/o/r.git" }', "contexts",
     {"a": "docker-image://alpine", "b": "{folder}/web", "c": "https://github.com/o/r.git"}),
    ('context = "https://github.com/o/r.git#main"\ndockerfile = "d/F"', "context", "https://github.com/o/r.git#main"),
    ('context = "web"\ndockerfile = "cwd://Dockerfile"', "dockerfile", "Dockerfile"),
]


@pytest.mark.parametrize("text, key, value", KEPT, ids=[re.sub("[^a-z]+", "-", row[0])[:40] for row in KEPT])
def test_an_attribute_is_kept(baked, text, key, value):
    house = baked(one(text), web__Dockerfile="FROM scratch\n")
    app = house.plan()["app"]
    assert app[key] == json.loads(json.dumps(value).replace("{folder}", str(house.folder)))


def test_the_local_platform_is_this_machines(baked):
    app = baked(one('platforms = ["local", "linux/s390x"]')).plan()["app"]
    mine = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}.get(platform.machine())
    assert len(app["platforms"]) == 2 and app["platforms"][0] == (mine or app["platforms"][0])


def test_secrets_and_ssh(baked):
    house = baked(one('secret = ["id=tok,env=TOKEN", "id=file,src=secret.txt", "type=env,id=ALONE", "id=secret.txt"]\n'
                      'ssh = ["default=key.pem"]'), secret_txt="hidden\n")
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", house.folder / "key.pem"],
                   check=True, capture_output=True)
    done = house.run("plan", "--json", env={"ALONE": "value-of-alone", "TOKEN": "value-of-token"})
    app, = done.json()["targets"]
    assert app["secrets"] == [{"id": "ALONE", "secret": "ALONE"}, {"id": "file", "secret": "secret.txt"},
                              {"id": "secret.txt", "secret": "secret.txt"}, {"id": "tok", "secret": "TOKEN"}]
    assert app["options"] == {"ssh": [f"default={house.folder}/key.pem"]}
    assert "value-of" not in done.out + done.err


def test_an_inline_dockerfile_is_a_file_of_its_own(baked):
    text = 'FROM scratch\\nARG A=$${x}\\n'
    house = baked(one(f'dockerfile-inline = "{text}"') + f'target "other" {{\n dockerfile-inline = "{text}"\n}}\n'
                  'target "third" {\n dockerfile-inline = "FROM scratch"\n}\n')
    targets = house.plan("--all")
    file = Path(targets["app"]["dockerfile"])
    assert file.read_text() == "FROM scratch\nARG A=${x}\n" and house.strake.home in file.parents
    assert targets["other"]["dockerfile"] == str(file) != targets["third"]["dockerfile"]
    assert targets == house.plan("--all")


def test_a_secret_that_a_variable_took_is_not_put_into_the_image(baked):
    house = baked('variable "TOKEN" {}\n' + one('args = { GIVEN = "a-${TOKEN}" }\nlabels = { plain = "x" }\n'
                                                'secret = ["id=token,env=TOKEN"]'))
    done = house.run("plan", "--json", "app", exit=3, env={"TOKEN": "very-secret-text"})
    assert "args GIVEN cannot be kept: it holds the secret TOKEN" in done.json()["error"]["message"]
    assert "very-secret" not in done.out + done.err


def test_the_place_is_that_of_the_target_where_the_attribute_is_inherited(baked):
    error = baked('target "_base" {\n  call = "check"\n}\ntarget "app" {\n  inherits = ["_base"]\n}\n').error()
    assert (error["file"], error["line"]) == ("docker-bake.hcl", 4)


def test_words_of_buildx_that_are_not_utf_8(baked, tmp_path):
    path = programs(tmp_path / "bin", buildx="printf 'ERROR: docker-bake.hcl:1,2-3: bad \\377\\033[31m byte\\n' >&2; exit 1")
    error = baked(one("")).error(env={"PATH": path})
    assert error["line"] == 1 and "byte" in error["message"] and "\x1b" not in error["message"]


# ---- what cannot be kept -------------------------------------------------------------------------------------------


REFUSED = [
    ('call = "check"', "call"),
    ('resources = { memory = "1g" }', "resources"),
    ('policy = [{ filename = "p.rego" }]', "policy"),
    ('context = "https://github.com/o/r.git"\ndockerfile-inline = "FROM scratch"', "dockerfile-inline"),
    ('output = ["type=local,dest=out"]', "output type=local"),
    ('output = ["type=tar,dest=out.tar"]', "output type=tar"),
    ('output = ["type=oci,dest=out.tar"]', "output type=oci"),
    ('output = ["type=docker"]', "output type=docker"),
    ('output = ["type=image"]', "output type=image"),
    ('output = ["type=registry"]', "output"),
    ('tags = ["h:1/a"]\noutput = ["type=registry,push-by-digest=true"]', "output push-by-digest"),
    ('tags = ["h:1/a"]\noutput = ["type=registry,oci-mediatypes=false"]', "output oci-mediatypes"),
    ('attest = ["type=other"]', "attest"),
]


@pytest.mark.parametrize("text, attribute", REFUSED, ids=[re.sub("[^a-z]+", "-", row[0])[:40] for row in REFUSED])
def test_an_attribute_is_refused(baked, text, attribute):
    error = baked(one(text)).error()
    lines = one(text).splitlines()
    said = [number for number, line in enumerate(lines, 1) if line.startswith(attribute.split()[0] + " =")]
    assert error["kind"] == "config" and (error["file"], error["line"]) == ("docker-bake.hcl", said[0])
    assert error["message"].startswith(f'target "app": {attribute} cannot be kept: ')


def test_everything_that_cannot_be_kept_is_told_at_once(baked):
    house = baked(one('resources = { memory = "1g" }\noutput = ["type=docker"]') + 'target "other" {\ncall = "outline"\n}\n')
    error = house.error()
    assert 'target "app": resources' in error["message"] and "(and 2 more)" in error["message"]
    assert 'target "app": output type=docker' in error["detail"] and 'target "other": call' in error["detail"]


def test_a_hint_of_a_refusal_works(baked):
    hint = baked(one('output = ["type=docker"]')).error()["hint"]
    assert "--load" in hint
    for text in ['output = ["type=docker"]', 'call = "check"', 'resources = { memory = "1g" }',
                 'policy = [{ filename = "p.rego" }]']:
        option = re.search(r"without = \{.*?\}", baked(one(text)).error()["hint"]).group()
        assert "app" in baked(one(text), f"bake.import('docker-bake.hcl', {{ {option} }})\n").plan()


def test_set_can_leave_outputs_out_too(baked):
    house = baked(one('output = ["type=docker"]'), "bake.import('docker-bake.hcl', { set = { ['*.output'] = '' } })\n")
    assert "app" in house.plan()


def wait_until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def printing(folder, document, names=("app",)) -> str:
    """A PATH with a buildx that prints this."""
    names = json.dumps([{"name": name} for name in names])
    text = document if isinstance(document, str) else json.dumps(document)
    return programs(folder, buildx=f"case \"$*\" in *--list*) echo '{names}' ;; *) echo '{text}' ;; esac")


def test_an_attribute_of_a_newer_buildx_is_named(baked, tmp_path):
    app = {"context": ".", "novel": [1], "args": "x", "labels": {"a": {"b": "c"}}, "secret": ["id=x"],
           "attest": [{"type": "sbom", "generator": []}], "ssh": [{"paths": 3}]}
    error = baked(one("")).error(env={"PATH": printing(tmp_path / "bin", {"target": {"app": app}})})
    assert error["message"] == 'target "app": args cannot be kept: it is a string, and not as buildx 0.38 prints it (and 5 more)'
    told = re.findall('target "app": (\\S+) cannot be kept', error["detail"])
    assert told == ["attest", "labels", "novel", "secret", "ssh"]


@pytest.mark.parametrize("document, what", [
    ('{"target": }', "what buildx bake printed"),
    ({"target": {"app": {}}, "novel": {}}, "'novel'"),
    ({"target": ["app"]}, "the target"),
    ({"target": {"app": "x"}}, "the target app"),
    ({"target": {"app": {}}, "group": {"g": ["app"]}}, "the group g"),
    ([], "there is no `target`"),
    ("7", "there is no `target`"),
])
def test_a_document_of_another_shape(baked, tmp_path, document, what):
    error = baked(one("")).error(env={"PATH": printing(tmp_path / "bin", document)})
    assert error["kind"] == "config" and what in error["message"]


# ---- wrong files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, text, line, message", [
    ("docker-bake.hcl", 'target "app" {\n  context = nope\n}\n', 2, 'There is no variable named "nope"'),
    ("docker-bake.hcl", 'target "app" {\n  context = \n}\n', 2, "Invalid expression"),
    ("docker-bake.json", '{\n"target": {"app": {"context": "${nope}"}}}\n', 2, 'There is no variable named "nope"'),
    ("docker-bake.json", '{"target": {"app": {}}\n', 1, "Unclosed object"),
    ("compose.yaml", "services:\n  app:\n    build: [x\n", 3, "did not find expected"),
    ("compose.yaml", "services:\n  app:\n    build:\n      foo: x\n", 0, "'foo' not allowed"),
    ("docker-bake.hcl", "", 0, "couldn't find a bake definition"),
    ("docker-bake.hcl", 'group "default" { targets = ["nope"] }\ntarget "app" {}\n', 0, "failed to find target nope"),
    ("docker-bake.hcl", 'target "app" {\n  secret = ["id=x,src=missing.txt"]\n}\n', 0, "missing.txt"),
    ("docker-bake.hcl", 'target "a" { contexts = { b = "target:b" } }\ntarget "b" { contexts = { a = "target:a" } }\n',
     0, "infinite loop"),
])
def test_a_wrong_file_is_told_with_its_place_and_the_words_of_buildx(baked, name, text, line, message):
    house = baked(lua=f"bake.import '{name}'\n")
    (house.folder / name).write_text(text)
    error = house.error()
    assert error["kind"] == "config" and error["file"] == name and error.get("line", 0) == line
    assert error["message"].startswith(f"buildx bake refuses {name}: ") and message in error["message"]
    assert "ERROR: " in error["detail"]


@pytest.mark.parametrize("path", ["missing.hcl", "../docker-bake.hcl", "/etc/passwd", "-", "https://example.org/x.git"])
def test_a_file_that_is_not_there_or_not_ours(baked, path):
    error = baked(one(""), f"bake.import '{path}'\n").error()
    assert error["message"] == f"there is no bake file {path}"
    assert (error["file"], error["line"]) == ("strake.lua", 2) and "below it" in error["hint"]


@pytest.mark.parametrize("lua, message", [
    ("bake.import()", "the name of a bake file must be a text"),
    ("bake.import('docker-bake.hcl', { target = 'app' })", "unknown option 'target'"),
    ("bake.import('docker-bake.hcl', { targets = { '--push' } })", "'--push' is not the name of a target"),
    ("bake.import('docker-bake.hcl', { variables = { ['A B'] = 1 } })", "'A B' is not the name of a variable"),
    ("bake.import('docker-bake.hcl', { variables = { A = secret.env 'A' } })", "must be a text"),
    ("bake.import('docker-bake.hcl', { set = { app = 1 } })", "'app' is not TARGET.KEY"),
    ("bake.import('docker-bake.hcl', { without = true })", "`without` must be a text or a list"),
    ("bake.import('docker-bake.hcl', { default = 'app' })", "`default` must be true or false"),
    ("bake.import('docker-bake.hcl', { targets = 'nope' })", "failed to find target nope"),
    ("target 'app' {}\nbake.import('docker-bake.hcl')", "app"),
    ("bake.import('docker-bake.hcl')\ntarget 'x' { refs = 'h:1/a', image = 'h:1/a' }", "either `refs`, or"),
    ("bake.import('docker-bake.hcl')\ntarget 'x' { refs = 'h:1/a@sha256:" + "a" * 64 + "' }", "not a digest"),
])
def test_a_wrong_call(baked, lua, message):
    error = baked(one(""), lua + "\n").error()
    assert error["kind"] == "config" and message in error["message"]


def test_it_belongs_to_the_top_level(baked):
    house = baked(one(""), "flow 'f' { run = function() bake.import('docker-bake.hcl') end }\n")
    done = house.run("run", "--json", "f", exit=3)
    assert "bake.import is not allowed in a flow" in done.json()["error"]["message"]


def test_it_belongs_to_a_project(baked):
    house = baked(one(""))
    config = house.strake.home / "config/strake/config.lua"
    config.parent.mkdir(parents=True)
    config.write_text("bake.import('docker-bake.hcl')\n")
    error = house.error()
    assert "project" in error["message"] and error["file"].endswith("config.lua")


# ---- the program ---------------------------------------------------------------------------------------------------


def programs(folder, **scripts) -> str:
    """A PATH with git and these alone."""
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git"))
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_without_buildx_it_says_where_to_get_it(baked, tmp_path):
    error = baked(one("")).error(exit=7, env={"PATH": programs(tmp_path / "bin")})
    assert error["kind"] == "notrun" and "neither buildx nor docker" in error["message"] and "https://" in error["hint"]


def test_a_docker_without_the_plugin_is_no_fault_of_the_file(baked, tmp_path):
    path = programs(tmp_path / "bin", docker="echo \"docker: unknown command: docker $1\" >&2; exit 1")
    error = baked(one("")).error(exit=7, env={"PATH": path})
    assert "not its plugin buildx" in error["message"] and "unknown command" in error["detail"]


def test_buildx_is_found_as_a_plugin_of_docker(baked, tmp_path):
    buildx = cache() / "buildx/buildx"
    path = programs(tmp_path / "bin", docker=f'test "$1" = buildx && shift && exec {buildx} "$@"')
    assert "app" in baked(one("")).plan(env={"PATH": path})


def test_an_old_buildx_that_cannot_list(baked, tmp_path):
    path = programs(tmp_path / "bin", buildx="echo 'ERROR: unknown flag: --list' >&2; exit 1")
    error = baked(one("")).error(env={"PATH": path})
    assert "unknown flag" in error["message"] and "targets = {" in error["hint"]


def test_ctrl_c_ends_a_buildx_that_hangs(baked, tmp_path):
    house = baked(one(""))
    note = tmp_path / "pid"
    path = programs(tmp_path / "bin", buildx=f"echo $$ > {note}.new; /bin/mv {note}.new {note}; exec /bin/sleep 300")
    child = house.strake.popen("plan", cwd=house.folder, env={"PATH": path})
    try:
        wait_until(note.exists)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 130
    wait_until(lambda: not Path(f"/proc/{note.read_text().strip()}").exists())


def test_buildx_sees_nothing_of_the_users_builders_and_leaves_nothing(baked, tmp_path):
    config = tmp_path / "buildx"
    config.mkdir()
    house = baked(one(""))
    assert "app" in house.plan(env={"BUILDX_CONFIG": str(config), "BUILDX_BUILDER": "nobody"})
    assert list(config.iterdir()) == [] and list((house.strake.home / "tmp").iterdir()) == []


# ---- for good ------------------------------------------------------------------------------------------------------


def test_a_bake_file_is_built_and_published(baked, buildkit, registry, base):
    house = baked(f'target "lib" {{\n dockerfile-inline = null\n dockerfile = "Dockerfile.lib"\n}}\n'
                  f'target "app" {{\n contexts = {{ lib = "target:lib" }}\n dockerfile = "Dockerfile.app"\n'
                  f' args = {{ WORD = "$${{word}}" }}\n labels = {{ made-by = "bake" }}\n'
                  f' tags = ["{registry.host}/bake/app:1", "{registry.host}/bake/app"]\n output = ["type=registry"]\n}}\n')
    (house.folder / "Dockerfile.lib").write_text(f"FROM {base}\nRUN echo from-lib > /lib\n")
    (house.folder / "Dockerfile.app").write_text("FROM lib\nARG WORD\nRUN test \"$WORD\" = '${word}' && cp /lib /app\n")
    (house.folder / "strake.lua").write_text(f"builder 'b' {{ type = 'buildctl', address = '{buildkit.address}' }}\n"
                                             "bake.import 'docker-bake.hcl'\n")
    document = house.run("build", "--json", "--push", "app").json()
    app = [target for target in document["targets"] if target["name"] == "app"][0]
    assert app["refs"] == [f"{registry.host}/bake/app:1", f"{registry.host}/bake/app:latest"]
    shown = house.run("image", "show", "--json", f"{registry.host}/bake/app:latest").json()
    assert shown["digest"] == app["digest"]
    assert shown["platforms"][0]["config"]["labels"]["made-by"] == "bake"
