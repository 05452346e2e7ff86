"""The command line against registries that lie: each lie ends a command with exit 8 and a sentence about it, soon, and in
little memory. tests/integration/test_registry_*.py have the same of each method by itself."""

import base64
import json
import os
import resource
import socket
import time

import pytest

from harness.images import push_image, tar_of
from harness.liar import INDEX, MANIFEST, Answer, FakeRegistry, digest_of, error, manifest_answer

CONFIG = json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
IMAGE = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(CONFIG),
                               "size": len(CONFIG)}}).encode()


def run(strake, *args, exit=8, seconds=20.0, **more):
    begun = time.monotonic()
    done = strake(*args, **more)
    assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
    assert time.monotonic() - begun < seconds
    assert "plugin" not in done.err  # the fault is the registry's, and nobody else is named
    return done


def without_end(piece, seconds=0.0):
    while True:
        yield piece
        time.sleep(seconds)


# ---- what is there -----------------------------------------------------------------------------------------


@pytest.fixture
def image(registry, request):
    """A real image behind a liar, with two layers."""
    return push_image(registry, f"lies/{request.node.name.partition('[')[0].replace('_', '-')}", "1",
                      [tar_of([("one", os.urandom(200_000))]), tar_of([("two", os.urandom(1000))])])


@pytest.fixture
def lied(image, liar):
    """The same image by way of the liar."""
    liar.forget()
    yield image.replace(liar.registry.host, liar.host)
    liar.forget()


def digest_in(strake, ref):
    return strake("image", "show", "--json", ref).json()["digest"]


def layer_of(liar, ref):
    host, _, rest = ref.partition("/")
    repository, _, tag = rest.rpartition(":")
    _, _, body = liar.registry.get(f"/v2/{repository}/manifests/{tag}", MANIFEST)
    return json.loads(body)["layers"][0]["digest"]


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_other_bytes_than_the_digest_says(strake, tmp_path, lied, liar, path):
    digest = digest_in(strake, lied)
    liar.corrupt(path)
    ref = lied.rpartition(":")[0] + "@" + digest
    done = run(strake, "image", "copy", ref, f"oci:{tmp_path}/to:1")
    assert "sent other bytes" in done.err or "their digest is" in done.err
    assert not (tmp_path / "to" / "index.json").exists() or not json.loads(
        (tmp_path / "to" / "index.json").read_text())["manifests"]


def test_a_tag_whose_bytes_are_not_those_of_its_digest(strake, lied, liar):
    liar.corrupt("/manifests/1$")
    assert "sent bytes with digest" in run(strake, "image", "show", lied).err


def test_a_put_that_is_answered_and_ignored(strake, lied, liar):
    liar.ignore_put("/manifests/new$")
    done = run(strake, "image", "tag", lied, "new")
    assert "new" in done.err and not liar.registry.digest(lied.partition("/")[2].rpartition(":")[0], "new")


def test_a_put_that_is_ignored_at_the_end_of_a_copy(strake, image, liar):
    liar.forget()
    liar.ignore_put("/manifests/")
    try:
        run(strake, "image", "copy", image, f"{liar.host}/lies/ignored:1")
    finally:
        liar.forget()


def test_a_layer_with_a_coding_that_nobody_asked_for(strake, tmp_path, lied, liar):
    """Some servers call a .tar.gz that they store "Content-Encoding: gzip": the bytes are right as they are."""
    liar.on("GET", "/blobs/", lambda request, forward: (lambda answer: Answer(
        answer.status, [*answer.headers, ("Content-Encoding", "gzip")], answer.body))(forward()))
    digest = digest_in(strake, lied)
    done = run(strake, "image", "copy", "--json", lied, f"oci:{tmp_path}/to:1", exit=0)
    assert done.json()["digest"] == digest
    blob = tmp_path / "to" / "blobs" / "sha256" / layer_of(liar, lied)[7:]
    assert digest_of(blob.read_bytes()) == layer_of(liar, lied)


# ---- what has no end ---------------------------------------------------------------------------------------


def test_a_tag_list_that_pages_for_ever(strake):
    def answer(request):
        count = len(fake.requests)
        return 200, {"Link": f'</v2/app/tags/list?last={count}>; rel="next"'}, b'{"tags":["t%d"]}' % count
    with FakeRegistry(answer) as fake:
        assert "does not end" in run(strake, "image", "list", f"{fake.host}/app").err
    assert len(fake.requests) <= 1000


@pytest.mark.parametrize("args,kind", [(("list", "{}/app"), "application/json"), (("show", "{}/app:1"), MANIFEST),
                                       (("show", "{}/app:1"), INDEX)])
def test_json_without_end(strake, args, kind):
    answer = lambda request: (200, {"Content-Type": kind}, without_end(b'{"tags":[' + b"[" * 65536))
    with FakeRegistry(answer) as fake:
        assert "larger than" in run(strake, "image", *[word.format(fake.host) for word in args]).err


def test_a_manifest_of_a_gibibyte_costs_no_memory(strake):
    answer = lambda request: (200, {"Content-Type": MANIFEST}, without_end(b" " * (1 << 20)))
    with FakeRegistry(answer) as fake:
        child = strake.popen("image", "show", f"{fake.host}/app:1")
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 8 and "larger than 8 MiB" in child.stderr.read()
        child.stdout.close()
        child.stderr.close()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the child counts what it was forked from
    assert usage.ru_maxrss < max(256 * 1024, own + 1024)  # KiB


def test_json_that_is_nested_deeply(strake):
    deep = b'{"schemaVersion":2,"manifests":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with FakeRegistry(lambda request: manifest_answer(deep, INDEX)) as fake:
        run(strake, "image", "show", f"{fake.host}/app:1")


@pytest.mark.parametrize("args", [("list", "{}/app"), ("show", "{}/app:1"), ("tag", "{}/app:1", "new")])
def test_a_silent_registry(strake, args):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = "127.0.0.1:%d" % silent.getsockname()[1]
        done = run(strake, "image", *[word.format(host) for word in args], "--timeout", "500ms")
    assert "not done within 500 ms" in done.err and host in done.err


@pytest.mark.parametrize("args", [("list", "{}/app"), ("show", "{}/app:1")])
def test_a_dripping_registry(strake, args):
    answer = lambda request: (200, {"Content-Type": MANIFEST}, without_end(b" ", 0.05))
    with FakeRegistry(answer) as fake:
        done = run(strake, "image", *[word.format(fake.host) for word in args], "--timeout", "700ms")
    assert "not done within 700 ms" in done.err


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_that_lead_in_circles(strake, status):
    with FakeRegistry(lambda request: (status, {"Location": request.target}, b"")) as fake:
        assert "redirects" in run(strake, "image", "show", f"{fake.host}/app:1").err
    assert len(fake.requests) == 11


# ---- what is something else --------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [("list", "{}/app"), ("show", "{}/app:1"), ("tag", "{}/app:1", "new"),
                                  ("copy", "{}/app:1", "oci:to:1")])
def test_a_web_page_with_status_200(strake, tmp_path, args):
    page = lambda request: (200, {"Content-Type": "text/html"}, b"<html><script>alert(1)</script>Log in</html>")
    with FakeRegistry(page) as fake:
        done = run(strake, "image", *[word.format(fake.host) for word in args], cwd=tmp_path)
    assert fake.host in done.err and "<script>" not in done.err and "internal" not in done.err


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b'"x"', b"{}", b'{"schemaVersion":1}', b'{"schemaVersion":2}',
                                  b'{"schemaVersion":2,"layers":{}}', b'{"schemaVersion":2,"manifests":7}', b"\xff\xfe{}",
                                  b'{"schemaVersion":2,"config":7,"layers":[]}', IMAGE + b"x", IMAGE[:-1],
                                  IMAGE.replace(b'"size": ', b'"size": -'), IMAGE.replace(b"sha256:", b"sha256:.."),
                                  b'{"schemaVersion":2,"manifests":[{"digest":"sha256:x","mediaType":"m","size":1}]}'])
def test_a_manifest_that_is_none(strake, body):
    with FakeRegistry(lambda request: manifest_answer(body, MANIFEST)) as fake:
        done = run(strake, "image", "show", f"{fake.host}/app:1")
    assert fake.host in done.err or "app" in done.err


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"tags":7}', b'{"tags":[7]}', b'{"tags":{}}', b"\x00"])
def test_a_list_of_tags_that_is_none(strake, body):
    with FakeRegistry(lambda request: (200, {"Content-Type": "application/json"}, body)) as fake:
        assert fake.host in run(strake, "image", "list", f"{fake.host}/app").err


def test_tags_that_nobody_could_ask_for_are_left_out(strake):
    tags = ["good", "../../etc", "a b", "", "x" * 129, "\u001b[31mred", "-x", "good"]
    with FakeRegistry(lambda request: (200, {}, json.dumps({"tags": tags}).encode())) as fake:
        done = run(strake, "image", "list", "--json", f"{fake.host}/app", exit=0)
    assert done.json()["tags"] == ["good"]


def test_a_secret_that_the_registry_sends_back_is_not_shown(strake):
    """In a message, in a header's place, and coded as it was sent."""
    auth = base64.b64encode(b"dev:very-secret-word").decode()

    def answer(request):
        if not request.authorization:
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return error(403, "DENIED", f"no, dev:very-secret-word ({request.authorization})\u001b[2J")
    with FakeRegistry(answer) as fake:
        (strake.home / "docker").mkdir()
        (strake.home / "docker" / "config.json").write_text(json.dumps({"auths": {fake.host: {"auth": auth}}}))
        for more in ((), ("--json",)):
            done = run(strake, "image", "show", *more, f"{fake.host}/app:1")
            shown = done.out + done.err
            assert "no, dev:" in shown and "very-secret-word" not in shown and auth not in shown and "\u001b[2J" not in shown


def test_a_wait_longer_than_there_is_time_for_is_named(strake):
    with FakeRegistry(lambda request: (429, {"Retry-After": "300"}, b"")) as fake:
        done = run(strake, "image", "show", "--timeout", "2s", f"{fake.host}/app:1")
    assert "asks to wait 5 min 0 s" in done.err and "--timeout" in done.err


# ---- references of every wrong shape -----------------------------------------------------------------------


@pytest.mark.parametrize("ref", [
    "", " ", ":", "@", "/", "app:", "app@", "app@sha256:", "app@sha256:xyz", "app:@sha256:" + "0" * 64, "APP", "127.0.0.1:1/APP:1",
    "app:-x", "app:a b", "app:" + "x" * 129, "-app", "app//x", "app/../x", "a..b", "a___b/c", "/app", "app/", "host:99999/app",
    "host:/app", "http://127.0.0.1:1/app", "docker://app", "app:1:2", "app@sha256:" + "0" * 64 + "@sha256:" + "0" * 64,
    "app@md5:" + "0" * 32, "sha256:" + "0" * 64, "0" * 64, "app:ta\u00e9g", "app\n", "oci:", "docker-archive:",
    "x" * 5000, "user:password@host/app"])
def test_a_reference_of_a_wrong_shape_is_asked_of_nobody(strake, ref):
    done = run(strake, "image", "show", "--", ref, exit=2, env={"https_proxy": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"})
    assert done.err.startswith(("error:", "strake:")) and len(done.err) < 2500


def test_in_tag_and_digest_the_digest_wins(strake, lied, liar):
    digest = digest_in(strake, lied)
    liar.forget()
    ref = lied.rpartition(":")[0] + ":nothing@" + digest
    assert run(strake, "image", "show", "--json", ref, exit=0).json()["digest"] == digest
    assert not [one for one in liar.requests if "nothing" in one.path]


@pytest.mark.parametrize("ref,asked", [("busybox", "registry-1.docker.io"), ("index.docker.io/library/busybox", "registry-1.docker.io"),
                                       ("user/app", "registry-1.docker.io"), ("quay.io/x/y", "quay.io")])
def test_who_is_asked_for_a_reference(strake, ref, asked):
    with FakeRegistry(lambda request: (403, {}, b"")) as proxy:
        run(strake, "image", "show", ref, env={"https_proxy": f"http://{proxy.host}"})
    assert {one.target for one in proxy.requests} == {f"{asked}:443"}
