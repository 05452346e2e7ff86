"""Messages through the program and real ntfy servers: never lost, never deciding a result."""

import json
import re
import time

import pytest

from harness.process import free_port
from harness.servers import Ntfy

PASSWORD = "topsecret"


@pytest.fixture
def topic(request) -> str:
    return re.sub("[^a-z0-9]+", "-", request.node.name.lower())[-60:].strip("-")


@pytest.fixture
def telling(strake, project, buildkit, base):
    """telling(notifiers, …) makes a project with these lines in its strake.lua."""

    class Telling:
        def __init__(self, lines, dockerfile="FROM {base}\nCMD true\n"):
            self.folder = project({
                "Dockerfile": dockerfile.format(base=base),
                "strake.lua": f"builder 'b' {{ type = 'buildctl', address = '{buildkit.address}' }}\n"
                              "target 'app' { }\n" + lines})

        def run(self, *args, exit=0, **more):
            done = strake(*args, cwd=self.folder, **more)
            assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
            return done

        def events(self, *args, exit=0, **more):
            file = self.folder.parent / "events"
            self.run(*args, "--events", file, exit=exit, **more)
            return [json.loads(line) for line in file.read_text().splitlines()]

        def messages(self):
            return self.run("history", "show", "last", "--json").json()["runs"][0]["messages"]
    return Telling


def notifier(url: str, more: str = "", name: str = "phone") -> str:
    return f"notifier '{name}' {{ type = 'ntfy', url = '{url}', {more} }}\n"


def of_type(events: list, *types) -> list:
    return [event for event in events if event["type"] in types]


def authorised(server: Ntfy, topic: str, count: int = 1) -> list:
    import base64
    word = base64.b64encode(f"dev:{PASSWORD}".encode()).decode()
    return server.messages(topic, {"Authorization": f"Basic {word}"}, count=count, seconds=3)


@pytest.fixture(scope="module")
def token(closed_ntfy) -> str:
    return re.search(r"tk_\w+", closed_ntfy.admin("token", "add", "dev")).group()


# ---- sent --------------------------------------------------------------------------------------------------


def test_a_message_has_its_title_priority_and_click(telling, ntfy, topic):
    told = telling(notifier(f"{ntfy.url}/{topic}"))
    done = told.run("notify", "--json", "--title", "Größe", "--priority", "5", "--click", "https://example.org/x", "it is out")
    assert done.json()["schema"] == "strake.notify/1"
    message, = ntfy.messages(topic)
    assert (message["title"], message["message"], message["priority"], message["click"]) == \
           ("Größe", "it is out", 5, "https://example.org/x")


def test_only_the_notifier_that_is_named_is_told(telling, ntfy, topic):
    told = telling(notifier(f"{ntfy.url}/{topic}-a", name="a") + notifier(f"{ntfy.url}/{topic}-b", name="b"))
    told.run("notify", "--to", "b", "for b")
    told.run("notify", "for both")
    assert [message["message"] for message in ntfy.messages(f"{topic}-b", count=2)] == ["for b", "for both"]
    assert [message["message"] for message in ntfy.messages(f"{topic}-a")] == ["for both"]


@pytest.mark.parametrize("on, titles", [
    ("'run.*'", ["run.started", "Run done"]), ("'run.failed'", []), ("'run.done', 'target.done'", ["target.done", "Run done"]), ("", [])])
def test_a_notifier_is_told_what_it_asked_for(telling, ntfy, topic, on, titles):
    told = telling(notifier(f"{ntfy.url}/{topic}", f"on = {{ {on} }}"))
    told.run("build")
    assert sorted(message["title"] for message in ntfy.messages(topic, count=len(titles))) == sorted(titles)


def test_a_failed_run_is_told_with_its_error_and_a_higher_priority(telling, ntfy, topic):
    told = telling(notifier(f"{ntfy.url}/{topic}", "on = { 'run.*' }"), "FROM {base}\nRUN false\n")
    told.run("build", exit=5)
    message = next(one for one in ntfy.messages(topic, count=2) if one["title"] != "run.started")
    assert (message["title"], message["priority"]) == ("Run failed", 4)
    assert "false" in message["message"] or "exit" in message["message"]


def test_what_was_sent_is_in_the_events_and_the_history(telling, ntfy, topic):
    told = telling(notifier(f"{ntfy.url}/{topic}", "on = { 'run.done' }"))
    sent = of_type(told.events("build"), "notify.sent", "notify.failed")
    assert [(event["type"], event["notifier"]) for event in sent] == [("notify.sent", "phone")]
    assert [(message["type"], message["notifier"]) for message in told.messages()] == [("notify.sent", "phone")]


# ---- a closed server ---------------------------------------------------------------------------------------


def test_a_token_opens_a_closed_server(telling, closed_ntfy, topic, token):
    told = telling(notifier(f"{closed_ntfy.url}/{topic}", "on = { 'run.done' }, token = secret.env 'NTFY_TOKEN'"))
    done = told.run("build", env={"NTFY_TOKEN": token})
    assert [message["title"] for message in authorised(closed_ntfy, topic)] == ["Run done"]
    assert token not in done.out + done.err


def test_a_password_opens_a_closed_server(telling, closed_ntfy, topic):
    told = telling(notifier(f"{closed_ntfy.url}/{topic}",
                            "on = { 'run.done' }, username = 'dev', password = secret.env 'NTFY_PASSWORD'"))
    done = told.run("build", env={"NTFY_PASSWORD": PASSWORD})
    assert [message["title"] for message in authorised(closed_ntfy, topic)] == ["Run done"]
    assert PASSWORD not in done.out + done.err


def test_a_run_with_many_messages_leaves_none_behind(telling, ntfy, topic):
    told = telling(notifier(f"{ntfy.url}/{topic}") +
                   "flow 'many' { run = function() for i = 1, 40 do notify('message ' .. i) end end }\n")
    told.run("run", "many")
    assert [message["message"] for message in ntfy.messages(topic, count=40)] == [f"message {i}" for i in range(1, 41)]


@pytest.mark.parametrize("secret", ["tk_thisisnotthetokenthatiswanted", None])
def test_a_refused_message_changes_no_result(telling, closed_ntfy, topic, secret):
    credentials = ", token = secret.env 'NTFY_TOKEN'" if secret else ""
    told = telling(notifier(f"{closed_ntfy.url}/{topic}", f"on = {{ 'run.done' }}{credentials}"))
    env = {"NTFY_TOKEN": secret} if secret else {}
    failed, = of_type(told.events("build", env=env), "notify.failed", "notify.sent")
    assert failed["type"] == "notify.failed" and failed["notifier"] == "phone" and failed["final"] is True
    assert failed["error"]["message"]
    run = told.run("history", "show", "last", "--json").json()["runs"][0]
    assert (run["status"], run["exit"]) == ("done", 0)
    assert [message["type"] for message in run["messages"]] == ["notify.failed"]
    again = told.events("notify", "another", exit=12, env=env)  # a refused one is not tried again
    assert len(of_type(again, "notify.failed")) == 1
    assert authorised(closed_ntfy, topic, count=0) == []


def test_a_message_that_was_the_command_is_its_failure(telling, closed_ntfy, topic):
    told = telling(notifier(f"{closed_ntfy.url}/{topic}"))
    error = told.run("notify", "--json", "hello", exit=12).json()["error"]
    assert (error["kind"], error["exit"]) == ("notify", 12)


def test_a_notifier_that_does_not_exist_is_a_mistake_of_the_configuration(telling, ntfy, topic):
    told = telling(notifier(f"{ntfy.url}/{topic}"))
    assert "phnoe" in told.run("notify", "--to", "phnoe", "hello", exit=3).err
    assert "notifier" in telling("").run("notify", "hello", exit=3).err
    told.run("notify", exit=2)


# ---- a server that is not there ----------------------------------------------------------------------------


class Door:
    """An ntfy that is started and stopped on one port."""

    def __init__(self, folder):
        self.folder, self.port, self.server = folder, free_port(), None
        self.url = f"http://127.0.0.1:{self.port}"

    def open(self):
        port = self.port

        class Placed(Ntfy):
            def __init__(self, folder):
                import harness.servers as servers
                kept, servers.free_port = servers.free_port, lambda: port
                try:
                    super().__init__(folder)
                finally:
                    servers.free_port = kept
        self.server = Placed(self.folder)
        return self.server

    def close(self):
        if self.server:
            self.server.stop()
            self.server = None


@pytest.fixture
def door(tmp_path):
    made = Door(tmp_path / "door")
    yield made
    made.close()


def due(strake) -> None:
    """Let what waits be due now, as it is half a minute later."""
    import sqlite3
    with sqlite3.connect(strake.home / "state/strake/history.db") as history:
        history.execute("UPDATE outbox SET not_before_us = 0")


def waiting(strake) -> int:
    import sqlite3
    with sqlite3.connect(strake.home / "state/strake/history.db") as history:
        return history.execute("SELECT count(*) FROM outbox").fetchone()[0]


def test_a_message_waits_for_its_server_and_is_sent_by_the_next_command(telling, door, strake, topic):
    told = telling(notifier(f"{door.url}/{topic}", "on = { 'run.done' }"))
    failed, = of_type(told.events("build"), "notify.failed", "notify.sent")
    assert failed["type"] == "notify.failed" and failed["final"] is False
    assert waiting(strake) == 1
    server = door.open()
    due(strake)
    told.run("notify", "now")
    assert sorted(message["message"] for message in server.messages(topic, count=3)) == ["build", "notify", "now"]
    assert waiting(strake) == 0


def test_another_project_sends_it_too(telling, door, strake, topic):
    """The outbox is the machine's: the secret comes from where the first one said."""
    told = telling(notifier(f"{door.url}/{topic}", "on = { 'run.done' }"))
    told.run("build")
    server = door.open()
    due(strake)
    telling("").run("build")
    assert [message["message"] for message in server.messages(topic)] == ["build"]


def test_a_message_is_not_sent_twice_by_two_commands_at_once(telling, door, strake, topic):
    told = telling(notifier(f"{door.url}/{topic}", "on = { 'run.done' }"))
    told.run("build")
    server = door.open()
    due(strake)
    other = telling("")
    children = [strake.popen("build", cwd=other.folder) for _ in range(4)]
    for child in children:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, out + err
    time.sleep(0.2)
    assert len(server.messages(topic)) == 1


def test_what_expired_is_dropped_and_told(telling, door, strake, topic):
    told = telling(notifier(f"{door.url}/{topic}", "on = { 'run.done' }"))
    told.run("build")
    first = told.run("history", "--json").json()["runs"][0]["run"]
    import sqlite3
    with sqlite3.connect(strake.home / "state/strake/history.db") as history:
        history.execute("UPDATE outbox SET expires_us = 1")
    server = door.open()
    told.run("notify", "later")
    assert "build" not in [message["message"] for message in server.messages(topic, count=2)]
    shown = told.run("history", "show", first, "--json").json()["runs"][0]
    assert [(message["type"], message["final"]) for message in shown["messages"]] == \
           [("notify.failed", False), ("notify.failed", True)]
    assert waiting(strake) == 0


def test_a_server_that_is_silent_holds_nobody_up_for_long(telling, strake, topic):
    import socket
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        told = telling(notifier(f"http://127.0.0.1:{silent.getsockname()[1]}/{topic}", "on = { 'run.done' }"))
        started = time.monotonic()
        told.run("build")
        assert time.monotonic() - started < 30
    assert waiting(strake) == 1


def test_the_secret_of_a_waiting_message_is_not_on_disk(telling, door, strake, topic):
    told = telling(notifier(f"{door.url}/{topic}", "on = { 'run.done' }, token = secret.env 'NTFY_TOKEN'"))
    told.run("build", env={"NTFY_TOKEN": "tk_waitingsecretvalue"})
    assert waiting(strake) == 1
    for file in (strake.home / "state/strake").rglob("*"):
        assert not file.is_file() or b"tk_waitingsecretvalue" not in file.read_bytes(), file
