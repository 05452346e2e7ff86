"""The plugin `ntfy`: against a real server, and against one that answers strangely."""

import base64
import json
import os
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.process import free_port
from harness.program import ROOT
from harness.servers import Ntfy

BUILD = ROOT / "build" / os.environ.get("STRAKE_TEST_PRESET", "dev")
DRIVE = BUILD / "tests" / "notifier_drive"
PLUGINS = BUILD / "lib" / "strake" / "plugins"
SECRET = {"secret": "PASSWORD"}


class Failed(Exception):
    """What the driver printed: kind, message, hint, detail."""

    def __init__(self, report):
        super().__init__(report.get("message"))
        # The code for "no connection" has no kind of its own: callers give it theirs.
        self.kind = {-27: "network", -25: "timeout", -26: "toobig"}.get(report["code"],
                                                                        report["kind"])
        self.text = report["message"]
        self.hint = report.get("hint", "")
        self.detail = report.get("detail", "")
        self.whole = json.dumps(report)


def drive(options, *command, password="correct horse"):
    env = {"PATH": os.environ["PATH"], "STRAKE_PLUGIN_PATH": str(PLUGINS), "PASSWORD": password}
    done = subprocess.run([DRIVE, "ntfy", json.dumps(options), *command], env=env,
                          capture_output=True, timeout=60, check=False)
    if done.returncode == 1 and done.stderr.startswith(b"{"):
        raise Failed(json.loads(done.stderr))
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().rstrip("\n")


def send(options, password="correct horse", **message):
    return drive(options, "send", json.dumps(message), password=password)


# ---- a real server -------------------------------------------------------------------------------


class Fleet(Ntfy):
    """alice may do all, bob may only write to `builds`; nobody else anything."""

    def __init__(self, folder):
        super().__init__(folder, users={"alice": "correct horse"})
        self.admin("user", "add", "bob", env={"NTFY_PASSWORD": "correct horse"})
        self.admin("access", "bob", "builds", "write-only")
        self.token = next(word for word in self.admin("token", "add", "alice").split()
                          if word.startswith("tk_"))

    def seen(self, topic):
        """What a subscriber sees, oldest first."""
        login = base64.b64encode(b"alice:correct horse").decode()
        return self.messages(topic, {"Authorization": f"Basic {login}"}, count=0)


@pytest.fixture(scope="module")
def ntfy(tmp_path_factory):
    server = Fleet(tmp_path_factory.mktemp("fleet"))
    yield server
    server.stop()


def alice(ntfy, topic="builds", **options):
    return {"url": ntfy.url, "topic": topic, "username": "alice", "password": SECRET, **options}


def test_a_message_arrives_with_all_that_it_has(ntfy):
    receipt = send(alice(ntfy, "whole", tags=["whale"]), id="m-1", title="Gebaut: k8s-tmux 🚢",
                   text="v1.2.3 in 41 s\nzweite Zeile", click="https://example.org/run/1",
                   priority=5, tags=["tada", "ci"])
    (message,) = ntfy.seen("whole")
    assert message["id"] == receipt
    assert message["title"] == "Gebaut: k8s-tmux 🚢"
    assert message["message"] == "v1.2.3 in 41 s\nzweite Zeile"
    assert message["click"] == "https://example.org/run/1"
    assert message["priority"] == 5
    assert message["tags"] == ["whale", "tada", "ci"]


def test_the_topic_may_be_the_end_of_the_url(ntfy):
    send({"url": f"{ntfy.url}/tail/", "username": "alice", "password": SECRET}, text="hello")
    assert [m["message"] for m in ntfy.seen("tail")] == ["hello"]


def test_a_token_is_enough(ntfy):
    send({"url": ntfy.url, "topic": "token", "token": SECRET}, password=ntfy.token, text="hello")
    assert [m["message"] for m in ntfy.seen("token")] == ["hello"]


def test_a_title_alone_is_the_message(ntfy):
    send(alice(ntfy, "title"), title="done", text="")
    (message,) = ntfy.seen("title")
    assert message["message"] == "done" and "title" not in message


def test_the_priority_of_the_notifier_wins(ntfy):
    send(alice(ntfy, "loud", priority=4), text="hello", priority=1)
    assert ntfy.seen("loud")[0]["priority"] == 4


@pytest.mark.parametrize("character", ["x", "ü", "€", "🚢"])
def test_a_long_message_is_cut_between_characters_and_is_no_attachment(ntfy, character):
    topic = f"long-{len(character.encode())}"
    send(alice(ntfy, topic), text="." + character * 5000)
    (message,) = ntfy.seen(topic)
    assert "attachment" not in message
    assert len(message["message"].encode()) in range(4092, 4096)
    assert message["message"].strip(".…") == character * (len(message["message"]) - 2)
    assert message["message"].endswith("…")


def test_a_message_of_the_full_length_is_not_cut(ntfy):
    send(alice(ntfy, "full"), text="x" * 4095)
    assert ntfy.seen("full")[0]["message"] == "x" * 4095


def test_a_wrong_password_is_final_and_stays_secret(ntfy):
    with pytest.raises(Failed) as failed:
        send(alice(ntfy), password="battery staple", text="hello")
    assert failed.value.kind == "auth"
    assert "40101" in failed.value.text and "unauthorized" in failed.value.text
    assert "no longer valid" in failed.value.hint
    assert "battery" not in failed.value.whole
    assert base64.b64encode(b"alice:battery staple").decode() not in failed.value.whole


def test_a_missing_login_says_how_to_give_one(ntfy):
    with pytest.raises(Failed) as failed:
        send({"url": ntfy.url, "topic": "builds"}, text="hello")
    assert failed.value.kind == "auth"
    assert "40301" in failed.value.text
    assert "secret.env" in failed.value.hint


def test_a_user_without_the_right_to_publish_is_told_so(ntfy):
    with pytest.raises(Failed) as failed:
        send({"url": ntfy.url, "topic": "other", "username": "bob", "password": SECRET}, text="hello")
    assert failed.value.kind == "auth"
    assert "ntfy access" in failed.value.hint


def test_ping_sends_nothing(ntfy):
    assert drive(alice(ntfy, "quiet"), "ping") == f"{ntfy.url} answers"
    assert ntfy.seen("quiet") == []


def test_ping_of_a_user_that_only_writes_is_no_failure(ntfy):
    detail = drive({"url": ntfy.url, "topic": "builds", "username": "bob", "password": SECRET}, "ping")
    assert "may not be read" in detail


def test_ping_finds_a_wrong_password(ntfy):
    with pytest.raises(Failed) as failed:
        drive(alice(ntfy), "ping", password="wrong")
    assert failed.value.kind == "auth"


def test_limits_that_pass_are_tried_again_and_others_are_not(tmp_path):
    hasty = Ntfy(tmp_path / "requests", settings={"visitor-request-limit-burst": 2,
                                                  "visitor-request-limit-replenish": "1h"})
    daily = Ntfy(tmp_path / "messages", settings={"visitor-message-daily-limit": 2})
    try:
        for _ in range(2):
            send({"url": hasty.url, "topic": "x"}, text="hello")
            send({"url": daily.url, "topic": "x"}, text="hello")
        with pytest.raises(Failed) as failed:
            send({"url": hasty.url, "topic": "x"}, text="hello")
        assert failed.value.kind == "network" and "42901" in failed.value.text
        with pytest.raises(Failed) as failed:
            send({"url": daily.url, "topic": "x"}, text="hello")
        assert failed.value.kind == "notify" and "42908" in failed.value.text
        assert "quota" in failed.value.hint
    finally:
        hasty.stop()
        daily.stop()


# ---- a server that answers strangely -------------------------------------------------------------


class Strange:
    """Answers every request with what it was told, and keeps what was sent."""

    def __init__(self):
        self.status, self.body, self.headers, self.pause = 200, b"{}", {}, 0
        self.seen = []
        strange = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length", 0))
                strange.seen.append((self.path, dict(self.headers), self.rfile.read(length)))
                time.sleep(strange.pause)
                self.send_response(strange.status)
                for name, value in strange.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(strange.body)))
                self.end_headers()
                self.wfile.write(strange.body)

            do_GET = do_POST = answer

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that gave up is what is tested
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def strange():
    server = Strange()
    yield server
    server.stop()


@pytest.mark.parametrize(("status", "body", "kind", "words"), [
    (500, b"<html>oops</html>", "network", "does not answer as ntfy does (500)"),
    (502, b"", "network", "(502)"),
    (503, b'{"code":50301,"http":503,"error":"busy"}', "network", "busy (50301)"),
    (429, b"slow down", "network", "(429)"),
    (429, b'{"code":42905,"http":429,"error":"bandwidth"}', "notify", "bandwidth (42905)"),
    (429, b'{"code":42909,"http":429,"error":"auth failures"}', "auth", "auth failures (42909)"),
    (413, b'{"code":41301,"http":413,"error":"too large"}', "notify", "too large (41301)"),
    (404, b"not found", "notify", "(404)"),
    (400, b'{"code":40000,"http":400,"error":"%s"}' % (b"x" * 9000), "notify", "xxx"),
    (200, b"<html>a portal</html>", "notify", "does not answer as ntfy does (200)"),
    (200, b'{"id":7}', "notify", "does not answer as ntfy does"),
    (200, b"x" * 100000, "toobig", ""),
])
def test_what_an_answer_means(strange, status, body, kind, words):
    strange.status, strange.body = status, body
    with pytest.raises(Failed) as failed:
        send({"url": strange.url, "topic": "x"}, text="hello")
    assert failed.value.kind == kind
    assert words in failed.value.text
    assert len(failed.value.text) < 400


def test_one_message_is_one_request(strange):
    strange.status = 503
    with pytest.raises(Failed):
        send({"url": strange.url, "topic": "x"}, text="hello")
    assert len(strange.seen) == 1


def test_a_redirect_is_told_not_followed(strange):
    strange.status, strange.headers = 301, {"Location": "https://ntfy.example.org/"}
    with pytest.raises(Failed) as failed:
        send({"url": strange.url, "topic": "x"}, text="hello")
    assert failed.value.kind == "notify"
    assert "https://ntfy.example.org/" in failed.value.text
    assert "option 'url'" in failed.value.hint


def test_a_silent_server_is_a_timeout(strange):
    strange.pause = 3
    with pytest.raises(Failed) as failed:
        send({"url": strange.url, "topic": "x", "timeout_ms": 300}, text="hello")
    assert failed.value.kind == "timeout"


def test_a_server_that_is_not_there_is_tried_again_later():
    with pytest.raises(Failed) as failed:
        send({"url": f"http://127.0.0.1:{free_port()}", "topic": "x"}, text="hello")
    assert failed.value.kind == "network"


def test_what_is_sent_is_what_the_server_documents(strange):
    strange.body = b'{"id":"abc"}'
    assert send({"url": f"{strange.url}/sub/x", "token": SECRET}, password="tk_1", id="run-7",
                title="t" * 400, text="hello", tags=["t" * 100] * 20) == "abc"
    path, headers, body = strange.seen[0]
    assert path == "/sub/"
    assert headers["Authorization"] == "Bearer tk_1"
    assert headers["Content-Type"] == "application/json"
    sent = json.loads(body)
    assert sent["topic"] == "x" and sent["sequence_id"] == "run-7" and "priority" not in sent
    assert len(sent["title"].encode()) == 250 and sent["title"].endswith("…")
    assert len(sent["tags"]) == 16 and all(len(tag.encode()) <= 64 for tag in sent["tags"])


def test_an_id_that_is_no_sequence_id_is_left_out(strange):
    strange.body = b'{"id":"abc"}'
    send({"url": strange.url, "topic": "x"}, id="a b", text="hello")
    assert "sequence_id" not in json.loads(strange.seen[0][2])


def test_the_worst_message_stays_below_the_servers_limit(strange):
    strange.body = b'{"id":"abc"}'
    send({"url": strange.url, "topic": "x"}, text="\x01" * 9000, title="\x01" * 900,
         tags=["\x01" * 90] * 20)
    assert len(strange.seen[0][2]) < 32 * 1024 + 8 * 1024
    assert len(json.loads(strange.seen[0][2])["message"].encode()) <= 4095


# ---- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "words"), [
    ({}, "url"),
    ({"url": "ntfy.example.org/builds"}, "is no http or https URL"),
    ({"url": "ftp://ntfy.example.org/builds"}, "is no http or https URL"),
    ({"url": "https://ntfy.example.org"}, "names no topic"),
    ({"url": "https://ntfy.example.org/"}, "names no topic"),
    ({"url": "https://ntfy.example.org/builds?x=1"}, "has a query"),
    ({"url": "https://ntfy.example.org/not a topic"}, "is no http or https URL"),
    ({"url": "https://ntfy.example.org", "topic": "ä"}, "cannot be a topic"),
    ({"url": "https://ntfy.example.org", "topic": "x" * 65}, "cannot be a topic"),
    ({"url": "http://ntfy.example.org/builds"}, "is not encrypted"),
    ({"url": "https://ntfy.example.org/b", "username": "alice"}, "'password' is missing"),
    ({"url": "https://ntfy.example.org/b", "password": SECRET}, "'username' is missing"),
    ({"url": "https://ntfy.example.org/b", "username": "a", "password": SECRET, "token": SECRET},
     "one is enough"),
    ({"url": "https://ntfy.example.org/b", "priority": 6}, "priority"),
    ({"url": "https://ntfy.example.org/b", "topik": "b"}, "topik"),
])
def test_wrong_options_are_named(options, words):
    with pytest.raises(Failed) as failed:
        drive(options, "ping")
    assert failed.value.kind == "config"
    assert words in failed.value.text


# ---- through the program -------------------------------------------------------------------------


def notifier(url, more=""):
    return {"strake.lua": f'notifier "phone" {{ type = "ntfy", url = "{url}/cli", {more} }}\n'}


def test_notify_sends_to_the_notifiers_of_the_project(strake, project, ntfy):
    folder = project(notifier(ntfy.url, 'username = "alice", password = secret.env "PHONE_PASSWORD"'))
    result = strake("notify", "--title", "Container Build Success", "k8s-tmux v1.2.3", cwd=folder,
                    env={"PHONE_PASSWORD": "correct horse"})
    assert result.exit == 0, result.err
    (message,) = ntfy.seen("cli")
    assert (message["title"], message["message"]) == ("Container Build Success", "k8s-tmux v1.2.3")
    assert "correct horse" not in result.out + result.err


def test_notify_that_fails_is_exit_12_and_keeps_the_password(strake, project, ntfy):
    folder = project(notifier(ntfy.url, 'username = "alice", password = secret.env "PHONE_PASSWORD"'))
    result = strake("notify", "hello", cwd=folder, env={"PHONE_PASSWORD": "wrong horse"})
    assert result.exit == 12
    assert "unauthorized" in result.err
    assert "wrong horse" not in result.out + result.err


def test_a_misspelt_option_of_a_notifier_is_named(strake, project, ntfy):
    folder = project(notifier(ntfy.url, "topik = 'x'"))
    result = strake("notify", "hello", cwd=folder)
    assert result.exit == 12
    assert "topik" in result.err
