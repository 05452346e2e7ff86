"""A token server for a real registry: who logs in gets what the test says, as a signed token."""

import base64
import json
import ssl
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer:
    """`allowed` is {user: {repository: [actions]}}, for "" without credentials; `users` is {user: password}, and
    `refresh` {identity token: user}, for the OAuth2 way. `tls` is the files of certificate and key."""

    issuer = "tests"
    service = "registry.test"

    def __init__(self, folder: Path, users: dict, allowed: dict, refresh: dict | None = None, tls: tuple | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.users = users
        self.allowed = allowed
        self.refresh = refresh or {}
        self.asked: list[str] = []
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
                        "-subj", "/CN=tokens", "-days", "2"], cwd=folder, check=True, capture_output=True)
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send(*server.answer(self.path, self.headers.get("Authorization", "")))

            def do_POST(self):
                self.send(*server.answer_form(self.rfile.read(int(self.headers["Content-Length"])).decode()))

            def send(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                """Requests are recorded, not printed."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.realm = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def auth(self) -> dict:
        """What the registry's configuration says under `auth`."""
        return {"token": {"realm": self.realm, "service": self.service, "issuer": self.issuer,
                          "rootcertbundle": str(self.folder / "cert.pem")}}

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        self.asked.append(path)
        user = ""
        if authorization.startswith("Basic "):
            user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
            if self.users.get(user) != password:
                return 401, b'{"details":"incorrect username or password"}'
        return self.grant(user, urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).get("scope", []))

    def answer_form(self, body: str) -> tuple[int, bytes]:
        """The OAuth2 way: scopes come in one field."""
        self.asked.append(body)
        form = {name: values[0] for name, values in urllib.parse.parse_qs(body).items()}
        user = form.get("username", "")
        if form.get("grant_type") == "refresh_token":
            user = self.refresh.get(form["refresh_token"])
        elif form.get("grant_type") != "password" or self.users.get(user) != form.get("password"):
            user = None
        if user is None:
            return 401, b'{"error":"invalid_grant"}'
        return self.grant(user, form.get("scope", "").split())

    def grant(self, user: str, scopes: list) -> tuple[int, bytes]:
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            may = self.allowed.get(user, {}).get(name, [])
            granted = [action for action in actions.split(",") if action in may]
            access.append({"type": kind, "name": name, "actions": granted})
        return 200, json.dumps({"token": self.token(user, access), "expires_in": 300}).encode()

    def token(self, user: str, access: list) -> str:
        der = subprocess.run(["openssl", "x509", "-in", "cert.pem", "-outform", "DER"], cwd=self.folder, check=True,
                             capture_output=True).stdout
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": self.issuer, "sub": user, "aud": self.service, "exp": now + 300, "nbf": now - 10, "iat": now,
                  "jti": str(time.monotonic_ns()), "access": access}
        text = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", "key.pem"], cwd=self.folder, check=True,
                                   capture_output=True, input=text.encode()).stdout
        return f"{text}.{_b64(signature)}"
