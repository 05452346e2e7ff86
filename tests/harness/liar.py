"""Registries that do what a test tells them to, for what no real one can be made to do: FakeRegistry answers by a
function, Liar forwards to a real one but for what it is told to do otherwise."""

import hashlib
import http.client
import json
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Headers(dict):
    """Names in any case."""

    def __init__(self, pairs):
        super().__init__((name.lower(), value) for name, value in pairs)

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


@dataclass
class Request:
    """What somebody asked, and what was answered (0: the connection was broken)."""

    method: str
    target: str  # path and query
    headers: Headers
    body: bytes
    connection: Any
    status: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict:
        return parse_qs(urlsplit(self.target).query)

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


@dataclass
class Answer:
    """`headers` is a dict or, for repeated ones, a list of pairs. `body` is bytes, or (bytes, how many of them to send
    before the connection breaks), or an iterator of bytes, sent in chunks for as long as somebody takes them."""

    status: int
    headers: Any = field(default_factory=list)
    body: Any = b""


RESET = Answer(0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"  # who tries TLS first gets an answer that shows plain http
    disable_nagle_algorithm = True

    def answer_any(self):
        request = Request(self.command, self.path, Headers(self.headers.items()), self._body(), self.connection)
        answer = self.server.faulty._answer(request)
        if answer is None:
            answer = RESET
        elif isinstance(answer, tuple):
            answer = Answer(*answer)
        request.status = answer.status
        self._send(answer) if answer.status else self._drop()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_CONNECT = answer_any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, answer: Answer) -> None:
        pairs = answer.headers.items() if isinstance(answer.headers, dict) else answer.headers
        names = {name.lower() for name, _ in pairs}
        body, cut = answer.body if isinstance(answer.body, tuple) else (answer.body, None)
        if "date" in names:
            self.send_response_only(answer.status)  # it lies about the time, too
        else:
            self.send_response(answer.status)
        for name, value in pairs:
            self.send_header(name, value)
        if isinstance(body, Iterator):
            self.send_header("Transfer-Encoding", "chunked")
        elif "content-length" not in names:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if isinstance(body, Iterator):
            self._send_chunks(body)
        elif self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self._drop()

    def _send_chunks(self, pieces) -> None:
        self.close_connection = True
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _drop(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args):
        """Requests are recorded, not printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away is part of the tests; what an answer raises is not."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Faulty:
    """What both have: every request is kept in `requests`. `tls` is the files of certificate and key, `client_ca` the
    authority of the clients it lets in."""

    def __init__(self, tls: tuple | None = None, client_ca=None):
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.faulty = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if client_ca:
                context.load_verify_locations(client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.stop()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def asked(self, method: str, target: str) -> list[Request]:
        """The requests of that method with `target` (a regular expression) in path and query."""
        with self.lock:
            return [one for one in self.requests if one.method == method and re.search(target, one.target)]

    def _answer(self, request: Request):
        raise NotImplementedError


class FakeRegistry(Faulty):
    """answer(request) gives an Answer, or its fields as a tuple, or None to break the connection."""

    def __init__(self, answer: Callable, tls: tuple | None = None, client_ca=None):
        self.answer = answer
        super().__init__(tls, client_ca)

    def _answer(self, request: Request):
        with self.lock:
            self.requests.append(request)
        return self.answer(request)


def error(status: int, code: str, message: str = "", headers: dict | None = None) -> tuple:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json", **(headers or {})}, body


def good_token(request: Request) -> tuple:
    return 200, {}, b'{"token":"good","expires_in":300}'


def manifest_answer(data: bytes, kind: str = MANIFEST, digest: str | None = None) -> tuple:
    return 200, {"Content-Type": kind, "Docker-Content-Digest": digest or digest_of(data)}, data


@dataclass
class _Rule:
    method: str
    path: re.Pattern
    act: Callable
    skip: int
    times: int | None


class Liar(Faulty):
    """The first rule that fits a request decides about it: its function gets the request and `forward`, which asks the
    real registry, and returns the answer (RESET breaks the connection)."""

    def __init__(self, registry):
        self.registry = registry
        self.rules: list[_Rule] = []
        super().__init__()

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

    def tag_puts(self) -> list[str]:
        """Tags in the order in which somebody put them, by digest ones left out."""
        return [one.path.rpartition("/")[2] for one in self.asked("PUT", r"/manifests/(?!sha256:)")]

    # ---- answering -----------------------------------------------------------------------------------------

    def _rule_for(self, request: Request) -> Callable | None:
        for rule in self.rules:
            if rule.method != request.method or not rule.path.search(request.target):
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
            headers = {name: value for name, value in request.headers.items() if name not in _HOP}
            real.request(request.method, request.target, request.body or None,
                         {**headers, "Content-Length": str(len(request.body))})
            answer = real.getresponse()
            kept = [pair for pair in answer.getheaders() if pair[0].lower() not in _HOP or
                    (request.method == "HEAD" and pair[0].lower() == "content-length")]
            return Answer(answer.status, kept, answer.read())
        finally:
            real.close()

    def _answer(self, request: Request):
        with self.lock:
            self.requests.append(request)
            act = self._rule_for(request)
        return act(request, lambda: self._forward(request)) if act else self._forward(request)
