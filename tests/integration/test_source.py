"""Policies at `dockerfile` and at `source`: what a build reads is asked about before, and the daemon holds to it."""

import json

import pytest

from harness.images import push_busybox

DENY_LATEST = """
policy "no latest" { at = "source", check = function(source)
  if source.kind == "image" and source.tag == "latest" then deny(source.ref .. " moves", { fix = "name a version" }) end
end }
"""


@pytest.fixture
def shop(strake, project, buildkit, registry, tmp_path):
    """shop(DOCKERFILE, LUA, …): a target `app` of that builder and those policies."""
    def make(dockerfile: str, policies: str, target: str = "", builder: str | None = None):
        builder = builder or f'builder "lab" {{ type = "buildctl", address = "{buildkit.address}" }}'
        image = f"{registry.host}/source/{tmp_path.name.replace('_', '-')[-40:].strip('-')}"
        return project({"Dockerfile": dockerfile,
                        "strake.lua": f'{builder}\n{policies}\ntarget "app" {{ image = "{image}", tags = {{ "t" }}, {target} }}\n'})
    return make


def run(strake, folder, *args, exit: int = 0):
    done = strake(*args, cwd=folder)
    assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
    return done


# ---- source -------------------------------------------------------------------------------------


def test_an_allowed_source_is_built(strake, shop, base):
    folder = shop(f"FROM {base}\nRUN true\n", DENY_LATEST)
    run(strake, folder, "build", "--stage")
    plan = run(strake, folder, "plan", "--json").json()
    assert {"name": "no latest", "at": "source", "action": "allow"}.items() <= plan["targets"][0]["policies"][0].items()


def test_a_denied_source_stops_before_anything_runs(strake, shop, base, tmp_path):
    repository = base.rpartition(":")[0]
    folder = shop(f"FROM {base} AS one\nRUN true\nFROM {base}\nCOPY --from={repository} /bin/sh /x\n", DENY_LATEST)
    done = run(strake, folder, "build", "--stage", "--events", tmp_path / "events", exit=4)
    assert f'denied by policy "no latest" at source: {repository}:latest: {repository}:latest moves' in done.err
    assert "name a version" in done.err and "strake.lua:4" in done.err
    types = [json.loads(line)["type"] for line in (tmp_path / "events").read_text().splitlines()]
    assert not [one for one in types if one.startswith("step.")]
    run(strake, folder, "plan", exit=4)


def test_a_policy_sees_digest_age_and_labels(strake, shop, base):
    folder = shop(f"FROM {base}\nRUN true\n", """
policy "look" { at = "source", check = function(source)
  warn(("%s %s %s %s"):format(source.kind, source.tag, source.digest, type(source.labels)))
end }
""")
    document = run(strake, folder, "build", "--stage", "--json").json()
    assert document["status"] == "done"
    shown = strake("history", "show", cwd=folder).out
    assert "image 1 sha256:" in shown and "table" in shown, shown


def test_a_source_is_rewritten_to_its_digest(strake, shop, base, registry):
    digest = registry.digest(base.partition("/")[2].rpartition(":")[0], base.rpartition(":")[2])
    folder = shop(f"FROM {base}\nRUN true\n", """
policy "pin" { at = "source", check = function(source)
  if source.kind == "image" and source.digest then source.ref = source.repository .. "@" .. source.digest end
end }
""")
    done = run(strake, folder, "build", "--stage")
    assert f"{base.rpartition(':')[0]}@{digest}" in done.err, done.err
    assert '"pin"' in run(strake, folder, "history", "show", "--json").out


def test_a_source_is_rewritten_to_a_mirror(strake, shop, base, registry, registry3):
    mirror = push_busybox(registry3, "mirror/busybox")
    folder = shop(f"FROM {base}\nRUN true\n", f"""
policy "mirror" {{ at = "source", check = function(source)
  if source.ref == "{base}" then source.ref = "{mirror}" end
end }}
""")
    done = run(strake, folder, "build", "--stage")
    assert mirror in done.err, done.err


def test_what_nobody_could_foresee_is_denied_by_the_daemon(strake, shop, base, registry):
    """An address that an argument of a stage makes up."""
    folder = shop(f"FROM {base}\nARG WHERE\nADD http://{registry.host}/v2/$WHERE /x\n", DENY_LATEST)
    done = run(strake, folder, "build", "--stage", exit=4)
    assert "denied" in done.err and "no policy at `source` was asked about it" in done.err, done.err


def test_a_policy_changes_nothing_else(strake, shop, base):
    folder = shop(f"FROM {base}\n", 'policy "bad" { at = "source", check = function(source) source.kind = "x" end }')
    assert "a policy may not change `kind`" in run(strake, folder, "build", "--stage", exit=3).err


def test_a_builder_that_cannot_enforce_is_refused(strake, shop, base):
    builder = 'builder "b" { type = "buildah", storage_driver = "vfs" }'
    folder = shop(f"FROM {base}\nRUN true\n", DENY_LATEST, builder=builder)
    done = run(strake, folder, "build", "--stage", exit=9)
    assert "cannot enforce what policies at `source` say" in done.err and "with its digest" in done.err, done.err


# ---- dockerfile ---------------------------------------------------------------------------------


def test_a_policy_at_dockerfile_sees_it_as_rules_do(strake, shop, base, tmp_path):
    folder = shop(f"FROM {base}\nRUN curl https://example.org | sh\n", """
policy "no curl" { at = "dockerfile", check = function(file)
  for run in file:each "RUN" do
    local curl = run:calls "curl"
    if curl then deny(("line %d calls curl"):format(curl.line), { fix = "use ADD" }) end
  end
end }
""")
    done = run(strake, folder, "build", "--stage", "--events", tmp_path / "events", exit=4)
    assert 'denied by policy "no curl" at dockerfile: line 2 calls curl' in done.err and "use ADD" in done.err
    run(strake, folder, "plan", exit=4)
    (folder / "Dockerfile").write_text(f"FROM {base}\nRUN true\n")
    run(strake, folder, "build", "--stage")


def test_a_saved_plan_is_asked_again(strake, shop, base):
    folder = shop(f"FROM {base}\nRUN true\n", "")
    (folder / ".dockerignore").write_text("strake.lua\nsaved.json\n")
    run(strake, folder, "plan", "--save", "saved.json")
    text = (folder / "strake.lua").read_text()
    (folder / "strake.lua").write_text(text + 'policy "never" { at = "source", check = function() deny("no") end }\n')
    assert 'denied by policy "never" at source' in run(strake, folder, "build", "--stage", "--plan", "saved.json", exit=4).err
