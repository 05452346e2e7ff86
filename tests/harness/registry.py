"""A registry that does what a test tells it to: for what no real one can be made to do."""

import hashlib
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Request:
    def __init__(self, handler, body):
        url = urlsplit(handler.path)
        self.method = handler.command
        self.path = url.path
        self.target = handler.path
        self.query = parse_qs(url.query)
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body
        self.connection = handler.connection

    @property
    def authorization(self):
        return self.headers.get("authorization")


class FakeRegistry:
    """answer(request) gives (status, headers, body), or None to break the connection. headers may be
    a dict or, for repeated ones, a list of pairs. Every request is kept in `requests`. `tls` is the
    files of certificate and key, `client_ca` the authority of the clients it lets in."""

    def __init__(self, answer, tls=None, client_ca=None):
        self.answer = answer
        self.requests = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(self, self.rfile.read(length))
                fake.requests.append(request)
                answered = fake.answer(request)
                if answered is None:
                    self.drop()
                    return
                status, headers, body = answered
                cut = None
                if isinstance(body, tuple):  # (bytes, how many of them to send)
                    body, cut = body
                self.send_response(status)
                pairs = headers.items() if isinstance(headers, dict) else headers
                names = {name.lower() for name, _ in pairs}
                for name, value in pairs:
                    self.send_header(name, value)
                if "content-length" not in names:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body if cut is None else body[:cut])
                if cut is not None:
                    self.drop()

            def drop(self):
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_CONNECT = handle_any

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A client that goes away is part of the tests."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if client_ca:
                context.load_verify_locations(client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.host = "127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.server.shutdown()
        self.server.server_close()

    def asked(self, method, path):
        """The requests of that method whose path begins so."""
        return [one for one in self.requests
                if one.method == method and one.path.startswith(path)]


def error(status, code, message="", headers=None):
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json", **(headers or {})}, body


def manifest_answer(data, kind=MANIFEST, digest=None):
    headers = {"Content-Type": kind, "Docker-Content-Digest": digest or digest_of(data)}
    return 200, headers, data
