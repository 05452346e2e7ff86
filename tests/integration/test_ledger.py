"""The release ledger: each publish is written beside its image, and read back from any machine."""

import hashlib
import json
import re
import signal
import subprocess
import threading

import pytest

from harness.images import INDEX, MANIFEST, put_manifest, upload
from harness.liar import Answer
from harness.process import tool
from harness.program import make_project, run_git
from harness.shop import Shop

TYPE = "application/vnd.strake.publish.v1+json"
CREATED = "org.opencontainers.image.created"
WHO = {"USER": "alice"}


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Keeper:
    """Makes the registry behind a liar one that keeps the list of referrers itself, as the specification has it."""

    def __init__(self, liar):
        self.lists: dict[str, list] = {}
        liar.on("PUT", "/manifests/", self.put)
        liar.on("GET", "/referrers/", self.get)

    def put(self, request, forward):
        answer = forward()
        try:
            document = json.loads(request.body)
        except ValueError:
            return answer
        subject = document.get("subject")
        if answer.status == 201 and subject:
            entry = {"mediaType": document["mediaType"], "digest": digest_of(request.body), "size": len(request.body),
                     "artifactType": document["artifactType"], "annotations": document.get("annotations", {})}
            known = self.lists.setdefault(subject["digest"], [])
            if entry not in known:
                known.append(entry)
            answer.headers.append(("OCI-Subject", subject["digest"]))
        return answer

    def get(self, request, forward):
        entries = self.lists.get(request.path.rpartition("/")[2].partition("?")[0], [])
        return Answer(200, [("Content-Type", INDEX)],
                      json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode())


class Ledger(Shop):
    """A shop whose target keeps a ledger."""

    def lua(self, more: str = "", tags: str = "'latest', 'main'", ledger: str = "ledger = true") -> None:
        (self.folder / "strake.lua").write_text(
            f"target 'app' {{ context = '.', image = '{self.image}', tags = {{ {tags} }}, {ledger} }}\n{more}\n")

    def publish(self, text: str, *tags, env=None, **more) -> str:
        strake = more.pop("strake", None)
        digest = self.make(text, **more)
        wanted = [word for tag in tags for word in ("-t", f"{self.image}:{tag}")]
        self.run("publish", f"{self.image}@{digest}", *wanted, strake=strake, env=WHO if env is None else env)
        return digest

    def history(self, tag: str = "", *args, exit: int = 0, strake=None) -> dict:
        where = f"{self.image}:{tag}" if tag else self.image
        return self.run("history", "--remote", where, "--json", *args, exit=exit, strake=strake).json()

    def moves(self, tag: str = "", *args) -> list:
        return [(move["tag"], move["from"], move["to"]) for move in self.history(tag, *args)["moves"]]

    def list_of(self, digest: str) -> list:
        """What refers to an image, as it was put under the fallback tag."""
        status, _, body = self.registry.get(f"/v2/{self.name}/manifests/{digest.replace(':', '-')}", INDEX)
        return json.loads(body)["manifests"] if status == 200 else []

    def write(self, record: bytes | dict, image: str, **manifest) -> str:
        """Attach a record as somebody else might who may push."""
        layer = record if isinstance(record, bytes) else json.dumps(record).encode()
        _, _, body = self.registry.get(f"/v2/{self.name}/manifests/{image}", MANIFEST)
        document = {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": TYPE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": upload(self.registry, self.name, b"{}"),
                       "size": 2},
            "layers": [{"mediaType": TYPE, "digest": upload(self.registry, self.name, layer), "size": len(layer)}],
            "subject": {"mediaType": MANIFEST, "digest": image, "size": len(body)}, **manifest,
        }
        digest, size = put_manifest(self.registry, self.name, digest_of(json.dumps(document).encode()), MANIFEST, document)
        entries = self.list_of(image) + [{"mediaType": MANIFEST, "digest": digest, "size": size, "artifactType": TYPE}]
        put_manifest(self.registry, self.name, image.replace(":", "-"), INDEX,
                     {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
        return digest

    def record(self, digest: str, moves: dict, **more) -> dict:
        return {"version": 1, "kind": "publish", "repository": self.image, "digest": digest, "time": "2026-11-01T10:00:00Z",
                "run": "r", "moves": [{"tag": tag, "from": was} for tag, was in moves.items()], **more}


def make_shop(strake, tmp_path, request, liar) -> Ledger:
    return Ledger(strake, tmp_path / "shop", liar, "ledger/" + re.sub("[^a-z0-9]+", "-", request.node.name).strip("-"))


@pytest.fixture(params=["liar", "liar3", "keeper"])
def shop(request, strake, tmp_path):
    """docker-registry 2.8 and distribution v3, where clients keep the list, and a registry that keeps it."""
    liar = request.getfixturevalue("liar3" if request.param == "keeper" else request.param)
    if request.param == "keeper":
        Keeper(liar)
    yield make_shop(strake, tmp_path, request, liar)
    liar.forget()


@pytest.fixture
def plain(request, strake, tmp_path, liar):
    """Where the tag has the list."""
    yield make_shop(strake, tmp_path, request, liar)
    liar.forget()


# ---- what is written -------------------------------------------------------------------------------------------


def test_a_publish_is_written_beside_its_image(plain):
    revision = "4be21f07" * 5
    one = plain.publish("one", "latest", "main", labels={"org.opencontainers.image.revision": revision})
    two = plain.publish("two", "latest", "v2.0.0")
    assert len(plain.list_of(one)) == 1
    entry, = plain.list_of(two)
    _, headers, body = plain.registry.get(f"/v2/{plain.name}/manifests/{entry['digest']}", MANIFEST)
    manifest = json.loads(body)
    assert (entry["artifactType"], entry["size"], entry["mediaType"]) == (TYPE, len(body), headers["Content-Type"])
    assert (manifest["artifactType"], manifest["subject"]["digest"]) == (TYPE, two)
    assert manifest["subject"]["mediaType"] == MANIFEST and manifest["subject"]["size"] > 0
    assert manifest["config"] == {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2,
                                  "data": "e30="}
    layer, = manifest["layers"]
    _, _, blob = plain.registry.get(f"/v2/{plain.name}/blobs/{layer['digest']}")
    record = json.loads(blob)
    assert (layer["mediaType"], layer["size"]) == (TYPE, len(blob))
    run = plain.run("history", "show", "last", "--json").json()["runs"][0]["run"]
    assert record["moves"] == [{"tag": "v2.0.0", "from": ""}, {"tag": "latest", "from": one}]
    assert (record["kind"], record["digest"], record["repository"]) == ("publish", two, plain.image)
    assert (record["run"], record["user"], record["version"], record["commit"]) == (run, "alice", 1, "")
    assert record["time"] == manifest["annotations"][CREATED] == entry["annotations"][CREATED]
    assert record["strake"] and plain.history("main")["moves"][0]["commit"] == revision


def test_other_clients_find_the_records(plain):
    one = plain.publish("one", "latest")
    oras = tool("oras", "peers/oras")
    done = subprocess.run([oras, "discover", "--plain-http", "--format", "json", f"{plain.registry.host}/{plain.name}@{one}"],
                          check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    listed = found.get("referrers") or found["manifests"]
    assert [entry["artifactType"] for entry in listed] == [TYPE]


def test_without_the_word_nothing_is_written(plain):
    plain.lua(ledger="")
    one = plain.publish("one", "latest")
    plain.run("image", "tag", f"{plain.image}:latest", "again")
    assert plain.list_of(one) == [] and not plain.liar.asked("PUT", "/manifests/sha256")


def test_a_registry_says_it_for_all_and_a_target_for_itself(plain):
    plain.lua(ledger="", more=f"registry '{plain.liar.host}' {{ ledger = true }}")
    one = plain.publish("one", "latest")
    plain.run("image", "tag", f"{plain.image}:latest", "again")
    assert len(plain.list_of(one)) == 2
    plain.lua(ledger="ledger = false", more=f"registry '{plain.liar.host}' {{ ledger = true }}")
    two = plain.publish("two", "latest")
    assert plain.list_of(two) == []
    plain.lua(ledger="ledger = 'yes'")
    assert "ledger must be" in plain.run("tags", exit=3).err
    plain.lua(more=f"registry '{plain.liar.host}' {{ ledger = 'yes' }}")
    assert "ledger must be true or false" in plain.run("tags", exit=3).err


def test_a_tag_and_a_rollback_are_written_too(shop):
    one = shop.publish("one", "latest")
    two = shop.publish("two", "latest")
    shop.run("image", "tag", f"{shop.image}@{two}", "stable")
    shop.rollback()
    told = [(move["kind"], move["tag"], move["from"], move["to"]) for move in shop.history()["moves"]]
    assert told == [("rollback", "latest", two, one), ("tag", "stable", "", two), ("publish", "latest", one, two),
                    ("publish", "latest", "", one)]


def test_a_build_writes_its_commit(plain, buildkit):
    make_project(plain.folder.parent / "built", {
        "Dockerfile": "FROM scratch\nCOPY a /\n", "a": "a",
        "strake.lua": f"builder 'lab' {{ type = 'buildctl', address = '{buildkit.address}' }}\n"
                      f"target 'app' {{ image = '{plain.image}', tags = {{ 'latest' }}, ledger = true }}\n"})
    plain.folder = plain.folder.parent / "built"
    plain.run("build", "--push")
    move, = plain.history()["moves"]
    assert move["commit"] == run_git(plain.folder, "rev-parse", "HEAD")
    assert move["to"] == plain.registry.digest(plain.name, "latest")


@pytest.mark.parametrize("env, user, url", [
    ({"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/app", "GITHUB_RUN_ID": "7",
      "GITHUB_ACTOR": "octo", "USER": "runner"}, "octo", "https://github.com/o/app/actions/runs/7"),
    ({"CI_JOB_URL": "https://gitlab.example.org/o/app/-/jobs/9", "GITLAB_USER_LOGIN": "lab"}, "lab",
     "https://gitlab.example.org/o/app/-/jobs/9"),
    ({"BUILD_URL": "https://u:topsecret@ci.example.org/job/1/", "USER": "jenkins"}, "jenkins", "https://ci.example.org/job/1/"),
    ({"USER": "a\x1b[31mb", "BUILD_URL": "x" * 600}, "", ""),
])
def test_who_published_is_told(plain, env, user, url):
    plain.publish("one", "latest", env={"LOGNAME": "", **env})
    move, = plain.history()["moves"]
    assert (move["user"], move["url"]) == (user, url)


def test_a_record_that_cannot_be_written_is_a_warning(plain):
    plain.publish("one", "latest")
    plain.liar.refuse("PUT", "/manifests/sha256[:-]", 403, body=b'{"errors":[{"code":"DENIED","message":"no artifacts here"}]}')
    two = plain.make("two")
    done = plain.run("publish", f"{plain.image}@{two}", "-t", f"{plain.image}:latest", "-t", f"{plain.image}:main")
    assert re.search(rf"the ledger of {re.escape(plain.image)} lacks that .*latest.* moved to {two[:19]}", done.err), done.err
    assert "no artifacts here" in done.err
    assert plain.registry.digest(plain.name, "latest") == two
    plain.liar.forget()
    assert plain.history("latest")["ends"] == [{"tag": "latest", "digest": two, "why": "unknown"}]
    assert "no record says how it came" in plain.run("history", "--remote", f"{plain.image}:latest").out


def test_what_another_client_puts_over_the_list_is_mended(plain):
    one = plain.publish("one", "latest")
    theirs = {"mediaType": MANIFEST, "digest": plain.list_of(one)[0]["digest"], "size": 1, "artifactType": "application/x",
              "data": "e30=", "x-unknown": {"a": [1]}}

    def over(request, forward):
        answer = forward()
        put_manifest(plain.registry, plain.name, one.replace(":", "-"), INDEX,
                     {"schemaVersion": 2, "mediaType": INDEX, "manifests": [theirs]})
        return answer
    plain.liar.on("PUT", "/manifests/sha256-", over, times=1)
    plain.run("image", "tag", f"{plain.image}@{one}", "stable")
    listed = plain.list_of(one)
    assert listed[0] == theirs and len(listed) == 2  # what others wrote stays as it is
    assert [move["tag"] for move in plain.history("stable")["moves"]] == ["stable"]


def test_a_list_that_others_change_again_and_again_is_a_warning(plain):
    one = plain.publish("one", "latest")

    def over(request, forward):
        answer = forward()
        put_manifest(plain.registry, plain.name, one.replace(":", "-"), INDEX,
                     {"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
        return answer
    plain.liar.on("PUT", "/manifests/sha256-", over)
    done = plain.run("image", "tag", f"{plain.image}@{one}", "stable")
    assert "others write it all the time" in done.err and plain.registry.digest(plain.name, "stable") == one


def test_a_publish_killed_in_the_middle_is_written_when_it_is_settled(plain):
    one = plain.publish("one", "latest", "main")
    two = plain.make("two")
    arrived, go = threading.Event(), threading.Event()

    def act(request, forward):
        arrived.set()
        go.wait(60)
        return forward()
    plain.liar.on("PUT", "/manifests/main$", act, times=1)
    child = plain.strake.popen("publish", f"{plain.image}@{two}", "-t", f"{plain.image}:latest", "-t", f"{plain.image}:main",
                               cwd=plain.folder)
    assert arrived.wait(60)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    go.set()
    plain.run("publish", "--settle")
    assert sorted(plain.moves()[:2]) == [("latest", one, two), ("main", one, two)]


def test_a_layout_keeps_one_too(plain, tmp_path):
    layout = f"oci:{tmp_path}/layout"
    (plain.folder / "strake.lua").write_text(f"target 'app' {{ image = '{layout}', tags = {{ 'latest' }}, ledger = true }}\n")
    digests = [plain.make(word) for word in ("one", "two")]
    for digest in digests:
        plain.run("image", "copy", f"{plain.image}@{digest}", f"{layout}:newest")
        plain.run("image", "tag", f"{layout}@{digest}", "latest")
    done = plain.run("history", "--remote", f"{layout}:latest", "--json").json()
    assert [move["to"] for move in done["moves"]] == digests[::-1]
    other = plain.other_machine()
    done = plain.run("rollback", "--json", layout, strake=other).json()
    assert (done["moves"][0]["to"], done["source"]) == (digests[0], "ledger")


# ---- what is read back -----------------------------------------------------------------------------------------


def test_the_records_lead_from_a_tag_back_to_its_first_image(shop):
    digests = [shop.publish(word, "latest", f"v{n}.0.0") for n, word in enumerate(("one", "two", "three"))]
    assert shop.moves("latest") == [("latest", digests[1], digests[2]), ("latest", digests[0], digests[1]),
                                    ("latest", "", digests[0])]
    assert shop.history("latest")["ends"] == [{"tag": "latest", "digest": "", "why": "made"}]
    assert [move[0] for move in shop.moves()] == ["latest", "v2.0.0", "latest", "v1.0.0", "latest", "v0.0.0"]
    two = shop.history("", "--limit", "2")
    assert len(two["moves"]) == 2 and two["more"] is True
    # An image that came, went, came and went again.
    for _ in range(2):
        for digest in digests[:2]:
            shop.run("image", "tag", f"{shop.image}@{digest}", "back")
    assert shop.moves("back") == [("back", digests[0], digests[1]), ("back", digests[1], digests[0]),
                                  ("back", digests[0], digests[1]), ("back", "", digests[0])]


def test_the_table_can_be_read(plain):
    one = plain.publish("one", "latest", labels={"org.opencontainers.image.revision": "1" * 40})
    two = plain.publish("two", "latest")
    lines = plain.run("history", "--remote", plain.image).out.splitlines()
    assert lines[0].split() == ["WHEN", "WHAT", "TAG", "FROM", "TO", "COMMIT", "WHO", "RUN"]
    assert re.match(rf"20..-..-..T..:..  publish   latest  {one[7:19]}  {two[7:19]}  {' ' * 8}  alice  20", lines[1])
    assert re.match(rf"20..-..-..T..:..  publish   latest  \(new\)         {one[7:19]}  11111111  alice  20", lines[2])
    assert len(lines) == 3


def test_a_repository_without_a_ledger_says_so(plain):
    plain.lua(ledger="")
    one = plain.publish("one", "latest")
    done = plain.run("history", "--remote", plain.image)
    assert "tells nothing" in done.out and "ledger = true" in done.out
    assert plain.history()["ends"] == [{"tag": "latest", "digest": one, "why": "unknown"}]
    assert "does not exist" in plain.run("history", "--remote", f"{plain.image}:nothing", exit=8).err
    assert "tags have a history" in plain.run("history", "--remote", f"{plain.image}@{one}", exit=2).err
    assert "is about a registry" in plain.run("history", "--remote", plain.image, "show", exit=2).err
    assert "from 1 to" in plain.run("history", "--remote", plain.image, "--limit", "5000", exit=2).err


def test_it_ends_where_an_image_was_deleted(plain):
    one = plain.publish("one", "latest")
    two = plain.publish("two", "latest")
    plain.publish("three", "latest")
    for digest in [entry["digest"] for entry in plain.list_of(two)] + [two]:
        plain.delete(digest)
    told = plain.history("latest")
    assert told["ends"] == [{"tag": "latest", "digest": two, "why": "gone"}] and len(told["moves"]) == 1
    out = plain.run("history", "--remote", f"{plain.image}:latest").out
    assert f"the image was deleted, and with it how the tag came to {two[:19]}" in out and one


def test_records_that_lead_in_a_circle_end(plain):
    one, two = plain.make("one"), plain.make("two")
    plain.registry.put(plain.name, "latest", one)
    plain.write(plain.record(one, {"latest": two}, time="2026-11-02T10:00:00Z"), one)
    plain.write(plain.record(two, {"latest": one}, time="2026-11-01T10:00:00Z"), two)
    told = plain.history("latest")
    assert [(move["from"], move["to"]) for move in told["moves"]] == [(two, one), (one, two)]
    assert told["ends"] == [{"tag": "latest", "digest": one, "why": "circle"}]
    assert "lead in a circle" in plain.run("history", "--remote", f"{plain.image}:latest").out


def test_clocks_that_disagree_do_not_end_it(plain):
    one, two, three = (plain.make(word) for word in ("one", "two", "three"))
    plain.registry.put(plain.name, "latest", three)
    plain.write(plain.record(three, {"latest": two}, time="2026-11-02T10:00:00Z"), three)
    plain.write(plain.record(two, {"latest": one}, time="2026-11-02T10:00:07Z"), two)  # its clock is 7 s ahead
    plain.write(plain.record(one, {"latest": ""}, time="2026-11-02T09:00:00Z"), one)
    assert plain.moves("latest") == [("latest", two, three), ("latest", one, two), ("latest", "", one)]
    other = plain.other_machine()
    assert plain.rollback("--steps", "2", "--dry-run", strake=other)["moves"][0]["to"] == one


@pytest.mark.parametrize("change, why", [
    (b"{", "JSON"), (b"[]", "no JSON object"), ("many blanks", "too large"),
    ({"version": 2}, "newer Strake"), ({"version": "1"}, "version"), ({"kind": "delete"}, "kind"),
    ({"time": "yesterday"}, "time"), ({"user": "a\x1b[2J"}, "control character"), ({"user": "x" * 600}, "too long"),
    ({"commit": "HEAD"}, "commit"), ({"moves": []}, "moves"), ({"moves": [{"tag": "../x", "from": ""}]}, "tag"),
    ({"moves": [{"tag": "a", "from": "sha256:1"}]}, "digest"), ({"repository": "ghcr.io/o/other"}, "another repository"),
    ({"digest": "sha256:" + "0" * 64}, "another image"),
])
def test_a_broken_record_is_told_and_skipped(plain, change, why):
    one = plain.publish("one", "latest")
    two = plain.publish("two", "latest")
    if change == "many blanks":
        change = b" " * 300000
    record = change if isinstance(change, bytes) else {**plain.record(two, {"latest": "sha256:" + "9" * 64},
                                                                      time="2029-01-01T00:00:00Z"), **change}
    bad = plain.write(record, two)
    told = plain.history("latest")
    assert [move["to"] for move in told["moves"]] == [two, one]
    assert [entry["record"] for entry in told["skipped"]] == [bad] and why in told["skipped"][0]["why"], told["skipped"]
    out = plain.run("history", "--remote", f"{plain.image}:latest").out
    assert "skipped: " in out and "\x1b" not in out
    done = plain.run("rollback", "--dry-run", strake=plain.other_machine())
    assert "skipped: " in done.err and one[:19] in done.out


@pytest.mark.parametrize("manifest, why", [
    ({"artifactType": "application/x"}, "artifactType"), ({"layers": []}, "layers"),
    ({"subject": {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 2}}, "subject"),
])
def test_an_artifact_that_is_no_record_is_told_and_skipped(plain, manifest, why):
    one = plain.publish("one", "latest")
    bad = plain.write(plain.record(one, {"latest": "sha256:" + "9" * 64}, time="2029-01-01T00:00:00Z"), one, **manifest)
    told = plain.history("latest")
    assert [move["to"] for move in told["moves"]] == [one]
    assert [entry["record"] for entry in told["skipped"]] == [bad] and why in told["skipped"][0]["why"]


def test_a_list_that_is_none_is_an_error(plain):
    plain.publish("one", "latest")
    two = plain.publish("two", "latest")
    plain.registry.put(plain.name, two.replace(":", "-"), "latest")
    done = plain.run("history", "--remote", f"{plain.image}:latest", exit=8)
    assert "is no such list" in done.err


# ---- a rollback on a machine whose record is empty -------------------------------------------------------------


def test_a_machine_without_a_record_goes_back_by_the_ledger(shop):
    one = shop.publish("one", "latest", "main", "v1.0.0")
    two = shop.publish("two", "latest", "main", "v2.0.0", "sha-2222222")
    other = shop.other_machine()
    done = shop.run("rollback", strake=other)
    assert f"known from   the ledger of {shop.image}" in done.out
    assert re.search(rf"from {two[:19]} .*published 20.* by alice\n +to +{one[:19]} .*published 20.* by alice", done.out)
    assert "v2.0.0  it names one release" in done.out
    assert {tag: shop.registry.digest(shop.name, tag) for tag in ("latest", "main", "v1.0.0", "v2.0.0")} == {
        "latest": one, "main": one, "v1.0.0": one, "v2.0.0": two}
    assert [move["kind"] for move in shop.history("latest")["moves"]] == ["rollback", "publish", "publish"]
    assert "existed before it" in shop.run("rollback", exit=2, strake=shop.other_machine()).err


def test_steps_lead_back_through_rollbacks_and_releases(shop):
    digests = [shop.publish(word, "latest") for word in ("one", "two", "three", "four")]

    def back(*args) -> str:
        document = shop.rollback(*args, strake=shop.other_machine())
        assert document["source"] == "ledger"
        return document["moves"][0]["to"]
    assert back("--steps", "2") == digests[1]
    five = shop.publish("five", "latest", strake=shop.other_machine())
    assert back("--dry-run") == digests[1]
    assert back("--dry-run", "--steps", "2") == digests[0]
    assert back() == digests[1]
    assert back() == digests[0]  # a second one goes further back
    assert "existed before it" in shop.run("rollback", exit=2, strake=shop.other_machine()).err
    assert shop.registry.digest(shop.name, "latest") == digests[0] != five
    too_far = shop.rollback("--steps", "9", exit=2, strake=shop.other_machine())["error"]
    assert "leads only" in too_far["message"] or "existed before it" in too_far["message"]


def test_to_and_commit_need_no_tag_there(shop):
    one = shop.publish("one", "latest", "main", "v1.0.0", "sha-1111111")
    two = shop.publish("two", "latest", "main", "v2.0.0", "sha-2222222")
    done = shop.rollback("--to", "v1.0.0", strake=shop.other_machine())
    assert {move["ref"].rpartition(":")[2] for move in done["moves"]} == {"latest", "main"} and done["source"] == "ledger"
    shop.rollback("--commit", "2222222", strake=shop.other_machine())
    assert shop.registry.digest(shop.name, "latest") == shop.registry.digest(shop.name, "main") == two
    shop.rollback("--tag", "main", strake=shop.other_machine())
    assert (shop.registry.digest(shop.name, "latest"), shop.registry.digest(shop.name, "main")) == (two, one)


def test_a_named_tag_goes_back_by_the_ledger(shop):
    one = shop.publish("one", "latest", "main")
    two = shop.publish("two", "latest", "main")
    shop.rollback("--tag", "main", strake=shop.other_machine())
    assert (shop.registry.digest(shop.name, "latest"), shop.registry.digest(shop.name, "main")) == (two, one)


def test_what_others_published_since_is_not_the_target_s_release(shop):
    one = shop.publish("one", "latest", "main")
    shop.publish("two", "latest", "main")
    shop.publish("f1", "feature")
    shop.publish("f2", "feature")
    done = shop.rollback(strake=shop.other_machine())
    assert {move["ref"].rpartition(":")[2]: move["to"] for move in done["moves"]} == {"latest": one, "main": one}


def test_without_a_target_the_last_release_of_the_repository_is_meant(plain):
    plain.publish("one", "latest", "main")
    plain.publish("two", "latest", "main")
    feature = plain.publish("f1", "feature")
    plain.publish("f2", "feature")
    (plain.folder / "strake.lua").unlink()
    done = plain.rollback("--dry-run", plain.image, strake=plain.other_machine())
    assert {move["ref"].rpartition(":")[2]: move["to"] for move in done["moves"]} == {"feature": feature}


def test_a_record_that_others_overtook_gives_way_to_the_ledger_where_that_is_said(shop):
    shop.publish("one", "latest")
    two = shop.publish("two", "latest")
    three = shop.publish("three", "latest", strake=shop.other_machine())
    error = shop.rollback(exit=8)["error"]
    assert error["kind"] == "conflict" and "--ledger" in error["hint"]
    done = shop.rollback("--ledger")
    assert (done["moves"][0]["from"], done["moves"][0]["to"], done["source"]) == (three, two, "ledger")


def test_without_a_ledger_it_is_told_where_was_looked(plain):
    plain.lua(ledger="")
    plain.publish("one", "latest")
    plain.publish("two", "latest")
    done = plain.run("rollback", exit=2, strake=plain.other_machine())
    assert f"no record on this machine, and no ledger of {plain.image}, says" in done.err
    assert f"no ledger of {plain.image} says" in plain.run("rollback", "--ledger", exit=2).err


def test_several_repositories_go_back_as_one_unit_by_their_ledgers(plain):
    other = f"{plain.image}-mirror"
    text = (plain.folder / "strake.lua").read_text()
    (plain.folder / "strake.lua").write_text(text.replace(f"'{plain.image}'", f"{{ '{plain.image}', '{other}' }}"))
    digests = [plain.make(word) for word in ("one", "two")]
    for digest in digests:
        plain.run("publish", f"{plain.image}@{digest}", "-t", f"{plain.image}:latest", "-t", f"{other}:latest")
    done = plain.rollback("app", strake=plain.other_machine())
    assert {move["ref"]: move["to"] for move in done["moves"]} == dict.fromkeys([f"{plain.image}:latest", f"{other}:latest"],
                                                                                digests[0])


def test_what_the_ledger_forges_is_looked_up(plain):
    plain.publish("one", "latest")
    two = plain.publish("two", "latest")
    forged = "sha256:" + "9" * 64
    plain.write(plain.record(two, {"latest": forged}, time="2029-01-01T00:00:00Z"), two)
    error = plain.rollback(exit=8, strake=plain.other_machine())["error"]
    assert forged in error["message"] and plain.registry.digest(plain.name, "latest") == two
