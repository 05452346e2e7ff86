"""A registry that lies: forwards to a real one, but for what a test tells it to do otherwise."""

import http.client
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable

_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


@dataclass
class Request:
    """What somebody asked, and what was answered (0: the connection was broken)."""

    method: str
    path: str
    headers: dict
    body: bytes
    status: int = 0


@dataclass
class Answer:
    status: int
    headers: list = field(default_factory=list)
    body: bytes = b""


@dataclass
class _Rule:
    method: str
    path: re.Pattern
    act: Callable
    skip: int
    times: int | None


RESET = Answer(0)


class Liar:
    """Every request is recorded. The first rule that fits a request decides about it: its function gets the request and
    `forward`, which asks the real registry, and returns the answer (RESET breaks the connection)."""

    def __init__(self, registry):
        self.registry = registry
        self.requests: list[Request] = []
        self.rules: list[_Rule] = []
        self.lock = threading.Lock()
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            default_request_version = "HTTP/1.1"  # who tries TLS first gets an answer that shows plain http
            disable_nagle_algorithm = True

            def answer_any(self):
                liar._answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer_any

            def log_message(self, *args):
                """Requests are recorded, not printed."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A client that goes away is part of the tests."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    # ---- what a test says ----------------------------------------------------------------------------------

    def on(self, method: str, path: str, act: Callable, skip: int = 0, times: int | None = None) -> None:
        """Let `act(request, forward)` answer requests whose path has `path` (a regular expression) in it: after the
        first `skip` of them, `times` times (always by default)."""
        with self.lock:
            self.rules.append(_Rule(method, re.compile(path), act, skip, times))

    def refuse(self, method: str, path: str, status: int, skip: int = 0, times: int | None = None, body: bytes = b"",
               headers: list | None = None) -> None:
        self.on(method, path, lambda *_: Answer(status, headers or [], body), skip, times)

    def ignore_put(self, path: str, status: int = 201, skip: int = 0, times: int | None = None) -> None:
        """Confirm a PUT and keep nothing of it."""
        self.on("PUT", path, lambda request, forward: Answer(status, [("Location", request.path)]), skip, times)

    def reset(self, method: str, path: str, skip: int = 0, times: int | None = None, after: bool = False) -> None:
        """Break the connection: before the registry hears of the request, or `after` it has done it."""
        def act(request, forward):
            if after:
                forward()
            return RESET
        self.on(method, path, act, skip, times)

    def slow(self, method: str, path: str, seconds: float, skip: int = 0, times: int | None = None) -> None:
        def act(request, forward):
            time.sleep(seconds)
            return forward()
        self.on(method, path, act, skip, times)

    def corrupt(self, path: str, skip: int = 0, times: int | None = None) -> None:
        """Answer a GET with other bytes of the same length."""
        def act(request, forward):
            answer = forward()
            return Answer(answer.status, answer.headers, answer.body[:-1] + bytes([answer.body[-1] ^ 1]))
        self.on("GET", path, act, skip, times)

    def before(self, method: str, path: str, hook: Callable, skip: int = 0, times: int | None = 1) -> None:
        """Call `hook()` at the moment when such a request arrives, then forward it."""
        def act(request, forward):
            hook()
            return forward()
        self.on(method, path, act, skip, times)

    def forget(self) -> None:
        """Be honest again, and forget what was asked."""
        with self.lock:
            self.rules.clear()
            self.requests.clear()

    def asked(self, method: str, path: str) -> list[Request]:
        with self.lock:
            return [one for one in self.requests if one.method == method and re.search(path, one.path)]

    def tag_puts(self) -> list[str]:
        """Tags in the order in which somebody put them, by digest ones left out."""
        puts = self.asked("PUT", r"/manifests/(?!sha256:)")
        return [one.path.rpartition("/")[2] for one in puts]

    # ---- answering -----------------------------------------------------------------------------------------

    def _rule_for(self, request: Request) -> Callable | None:
        for rule in self.rules:
            if rule.method != request.method or not rule.path.search(request.path):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                return None
            if rule.times == 0:
                continue
            if rule.times is not None:
                rule.times -= 1
            return rule.act
        return None

    def _forward(self, request: Request) -> Answer:
        real = http.client.HTTPConnection("127.0.0.1", self.registry.port, timeout=30)
        try:
            real.request(request.method, request.path, request.body or None,
                         {**request.headers, "Content-Length": str(len(request.body))})
            answer = real.getresponse()
            headers = [pair for pair in answer.getheaders() if pair[0].lower() not in _HOP or
                       (request.method == "HEAD" and pair[0].lower() == "content-length")]
            return Answer(answer.status, headers, answer.read())
        finally:
            real.close()

    @staticmethod
    def _body_of(handler) -> bytes:
        if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        body = b""
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body

    def _answer(self, handler) -> None:
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
        request = Request(handler.command, handler.path, headers, self._body_of(handler))
        with self.lock:
            self.requests.append(request)
            act = self._rule_for(request)
        answer = act(request, lambda: self._forward(request)) if act else self._forward(request)
        request.status = answer.status
        if answer is RESET:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if any(name.lower() == "date" for name, _ in answer.headers):
            handler.send_response_only(answer.status)  # it lies about the time, too
        else:
            handler.send_response(answer.status)
        for name, value in answer.headers:
            handler.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in answer.headers):
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body)
