"""The cache service of GitHub Actions, version 2, as far as BuildKit uses it: three calls that hand out places, and
the blobs of Azure behind them."""

import base64
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def make_token() -> str:
    """A token as a job gets it; nobody checks its signature."""
    now = int(time.time())
    access = json.dumps([{"Scope": "refs/heads/main", "Permission": 3}])
    parts = [{"alg": "HS256", "typ": "JWT"}, {"nbf": now - 60, "exp": now + 3600, "ac": access}]
    return ".".join([*(_encode(json.dumps(part).encode()) for part in parts), _encode(b"signed-by-nobody")])


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status: int, body: bytes = b"", headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "x-ms-request-id": "1", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self):
        asked, cache = json.loads(self.body()), self.server.cache
        if self.headers["Authorization"] != f"Bearer {cache.token}":
            self.answer(401)
            return
        call = getattr(cache, self.path.rsplit("/", 1)[1], None)
        status, said = call(asked) if call else (404, {})
        self.answer(status, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def do_PUT(self):
        url, data, cache = urlsplit(self.path), self.body(), self.server.cache
        query = parse_qs(url.query)
        if query.get("comp") == ["block"]:
            cache.blocks[url.path, query["blockid"][0]] = data
        elif query.get("comp") == ["blocklist"]:
            names = re.findall(r"<(?:Latest|Uncommitted)>([^<]+)<", data.decode())
            cache.blobs[url.path] = b"".join(cache.blocks[url.path, name] for name in names)
        else:
            cache.blobs[url.path] = data
        self.answer(201)

    def do_GET(self):
        data = self.server.cache.blobs.get(urlsplit(self.path).path)
        if data is None:
            self.answer(404)
            return
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("x-ms-range") or self.headers.get("Range") or "")
        if not wanted:
            self.answer(200, data)
            return
        first = int(wanted[1])
        last = min(int(wanted[2] or len(data) - 1), len(data) - 1)
        self.answer(206, data[first:last + 1], {"Content-Range": f"bytes {first}-{last}/{len(data)}"})


class ActionsCache:
    """Listens on a free port until stop(). `env` is what a job has that may use it."""

    def __init__(self):
        self.token = make_token()
        self.blocks, self.blobs, self.entries = {}, {}, {}
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.cache = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.env = {"ACTIONS_RUNTIME_TOKEN": self.token, "ACTIONS_RESULTS_URL": self.url}
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def CreateCacheEntry(self, asked: dict):
        with self.lock:
            if asked["key"] in self.entries:
                return 409, {"code": "already_exists", "msg": "already exists"}
            path = f"/blobs/{len(self.entries)}"
            self.entries[asked["key"]] = {"path": path, "done": False}
        return 200, {"ok": True, "signed_upload_url": f"{self.url}{path[1:]}?sig=x"}

    def FinalizeCacheEntryUpload(self, asked: dict):
        with self.lock:
            entry = self.entries[asked["key"]]
            entry["done"] = entry["path"] in self.blobs
        return 200, {"ok": entry["done"], "entry_id": "1"}

    def GetCacheEntryDownloadURL(self, asked: dict):
        with self.lock:
            done = [key for key, entry in self.entries.items() if entry["done"]]
            for wanted in [asked["key"], *asked["restore_keys"]]:
                for key in reversed(done):
                    if key.startswith(wanted):
                        return 200, {"ok": True, "matched_key": key,
                                     "signed_download_url": f"{self.url}{self.entries[key]['path'][1:]}?sig=x"}
        return 200, {"ok": False}

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
