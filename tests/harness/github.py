"""GitHub's registry and its packages API, before a real registry: what a version is, that only the API deletes one, and
what it refuses."""

import json
import re
import threading
from urllib.parse import unquote

from harness.liar import Answer, Liar, digest_of, error
from harness.servers import http

TOKEN = "ghp_classicTokenOfTheTests"


class Ghcr(Liar):
    """The registry at `host`, the API at `api`, both asking the real registry behind. `owners` says who is an
    organisation; `scopes` what the token may; `page` how many versions a page has at most."""

    def __init__(self, registry, owners=None, page: int = 100):
        super().__init__(registry)
        self.owners = owners or {"octo": "User", "corp": "Organization"}
        self.scopes = {"read:packages", "write:packages", "delete:packages"}
        self.page = page
        self.scheme = "http"
        self.visibility = "private"
        self.versions: dict[str, dict[str, int]] = {}  # repository -> digest -> id
        self.ids = 1000
        self.kept = threading.Lock()
        self.on("GET", "^/api/", lambda request, _: self._api(request))
        self.on("DELETE", "^/api/", lambda request, _: self._api(request))
        self.on("DELETE", "/manifests/", lambda *_: Answer(*error(405, "UNSUPPORTED", "The operation is unsupported.")))
        self.on("GET", "/referrers/", lambda *_: Answer(404, [], b"404 page not found\n"))
        self.on("PUT", "/manifests/", self._put)

    @property
    def api(self) -> str:
        return f"http://{self.host}/api"

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self.registry.port}"

    def block(self, password: str = 'secret.env "TOKEN"', more: str = "") -> str:
        return (f'registry "{self.host}" {{ type = "ghcr", api = "{self.api}", username = "octo", '
                f"password = {password}{more} }}\n")

    def calls(self, method: str) -> list:
        return self.asked(method, "^/api/")

    def _put(self, request, forward):
        answer = forward()
        if answer.status == 201:
            with self.kept:
                repository = re.match(r"/v2/(.+)/manifests/", request.path)[1]
                versions = self.versions.setdefault(repository, {})
                if digest_of(request.body) not in versions:
                    self.ids += 1
                    versions[digest_of(request.body)] = self.ids
            # ghcr.io does not say that it keeps a list of what refers to an image
            answer.headers = [pair for pair in answer.headers if pair[0].lower() != "oci-subject"]
        return answer

    def _tags(self, repository: str) -> dict[str, list]:
        """digest -> tags"""
        shown: dict[str, list] = {}
        for tag in self.registry.tags(repository) or []:
            shown.setdefault(self.registry.digest(repository, tag), []).append(tag)
        return shown

    def _list(self, repository: str) -> list:
        tags = self._tags(repository)
        with self.kept:
            known = dict(self.versions.get(repository, {}))
        return [{"id": number, "name": digest, "metadata": {"package_type": "container",
                                                            "container": {"tags": tags.get(digest, [])}}}
                for digest, number in sorted(known.items(), key=lambda item: -item[1])]

    def _api(self, request):
        if request.authorization != f"Bearer {TOKEN}":
            return self._no(401, "Bad credentials")
        if request.headers.get("accept") != "application/vnd.github+json":
            return self._no(415, "Must accept 'application/vnd.github+json'")
        if "user-agent" not in request.headers:
            return self._no(403, "Request forbidden by administrative rules.")
        found = re.fullmatch(r"/api/users/([^/]+)", request.path)
        if found:
            kind = self.owners.get(found[1])
            return self._yes({"login": found[1], "type": kind}) if kind else self._no(404, "Not Found")
        found = re.fullmatch(r"/api/(users|orgs)/([^/]+)/packages/container/([^/]+)(/versions(?:/(\d+))?)?", request.path)
        place = found and {"User": "users", "Organization": "orgs"}.get(self.owners.get(found[2]))
        if not found or place != found[1]:
            return self._no(404, "Not Found")
        repository = f"{found[2]}/{unquote(found[3])}"
        if not self.versions.get(repository) or "read:packages" not in self.scopes:
            return self._no(404, "Package not found.")
        if not found[4]:
            return self._yes({"name": unquote(found[3]), "visibility": self.visibility,
                              "html_url": f"https://github.com/users/{found[2]}/packages/container/package/{found[3]}"})
        if not found[5]:
            return self._page(request, self._list(repository))
        return self._delete(request, repository, int(found[5]))

    def _page(self, request, versions: list):
        each = min(int(request.query.get("per_page", ["30"])[0]), self.page)
        number = int(request.query.get("page", ["1"])[0])
        rest = versions[each * number:]
        links = [("Link", f'<{self.api}/x?page={number + 1}>; rel="next"')] if rest else []
        return self._yes(versions[each * (number - 1):each * number], links)

    def _delete(self, request, repository: str, number: int):
        versions = self._list(repository)
        version = next((one for one in versions if one["id"] == number), None)
        if request.method != "DELETE" or not version:
            return self._no(404, "Not Found")
        if "delete:packages" not in self.scopes:
            return self._no(403, "You need at least delete:packages scope to delete a package version.")
        tagged = [one for one in versions if one["metadata"]["container"]["tags"]]
        if tagged == [version]:
            return self._no(400, "You cannot delete the last tagged version of a package. You must delete the package instead.")
        status, _, _ = http("DELETE", f"{self._base}/v2/{repository}/manifests/{version['name']}")
        assert status in (202, 404), status
        with self.kept:
            del self.versions[repository][version["name"]]
        return Answer(204)

    def _headers(self) -> list:
        return [("Content-Type", "application/json; charset=utf-8"), ("X-OAuth-Scopes", ", ".join(sorted(self.scopes)))]

    def _yes(self, document, more: list | None = None):
        return Answer(200, self._headers() + (more or []), json.dumps(document).encode())

    def _no(self, status: int, message: str):
        return Answer(status, self._headers(), json.dumps({"message": message, "status": str(status)}).encode())
