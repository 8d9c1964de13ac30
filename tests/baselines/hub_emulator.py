"""The Hub's endpoints for pulls and pushes, on this machine, with faults on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Files = dict[str, bytes]
_API = re.compile(r"/api/(model|dataset|space)s/([\w.-]+/[\w.-]+)(?:/(\w+)(?:/([^/?]+))?)?(?:/.*)?")
_BATCH = re.compile(r"/(?:\w+/)?[\w.-]+/[\w.-]+\.git/info/lfs/objects/batch")
_RESOLVE = re.compile(r"/(?:(dataset)s/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)")


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repo:
    """Commits (files of each) and branches or tags (name -> commit)."""

    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, files: Files, ref: str = "main") -> str:
        digest = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[digest], self.refs[ref] = dict(files), digest
        return digest

    def find(self, revision: str) -> str | None:
        return self.refs.get(revision, revision if revision in self.commits else None)

    @property
    def files(self) -> Files:
        return self.commits[self.refs["main"]]


@dataclass
class Hub:
    """What the server holds, how it fails, and what it was asked.

    With `large_files` tensors and tables are uploaded apart, as large files; else with the commit.
    `cut` breaks the connection after so many bytes of a file, once for each entry; `corrupt`
    changes a byte of a file while it is sent; `pause` waits before each 64 kB.
    """

    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    corrupt: set[str] = field(default_factory=set)
    pause: float = 0.0
    large_files: bool = False
    refuse_large: bool = False
    stored: dict[str, bytes] = field(default_factory=dict)
    down: bool = False
    writers: set[str] = field(default_factory=lambda: {"writer"})
    log: list[tuple[str, str]] = field(default_factory=list)
    endpoint: str = ""

    def add(self, repo: str, files: Files, kind: str = "model", **options) -> str:
        made = self.repos.setdefault((kind, repo), Repo(**options))
        return made.commit(files)

    def downloads(self) -> list[str]:
        """Names of the files that were sent, once for each time."""
        return [path.rsplit("/", 1)[-1] for method, path in self.log
                if method == "GET" and "/resolve/" in path]  # fmt: skip

    def uploads(self) -> list[str]:
        """Names of the files that were received."""
        return [path for method, path in self.log if method == "received"]


@contextlib.contextmanager
def running():
    """Serve an empty Hub on a free port."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def do_PUT(self):
        data = self._body()
        if self.state.refuse_large:
            self._json({"error": "storage"}, 403)
            return
        self.state.stored[self.path.rsplit("/", 1)[-1]] = data
        self.state.log.append(("PUT", self.path))
        self._start(200, 0, {})

    def _answer(self):
        body = self._body()
        path = self.path.split("?")[0]
        self.state.log.append((self.command, path))
        found = _API.fullmatch(path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if self.state.down:
                self._json({"error": "down"}, 503)
            elif path == "/api/repos/create":
                self._create(json.loads(body))
            elif path == "/api/validate-yaml":
                self._json({})
            elif _BATCH.fullmatch(path):
                self._batch(json.loads(body)["objects"])
            elif found:
                self._api(*found.groups(), body)
            elif found := _RESOLVE.fullmatch(path):
                self._resolve(*found.groups())
            else:
                self._json({"error": "unknown"}, 404)

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline(), 16):
                data += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        return data

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _may_write(self) -> bool:
        if self._token() in self.state.writers:
            return True
        self._json({"error": "no right"}, 403 if self._token() else 401)
        return False

    def _create(self, asked: dict) -> None:
        kind, name = asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"
        url = self._url(kind, name)
        if not self._may_write():
            return
        if (kind, name) in self.state.repos:
            self._json({"error": "exists", "url": url}, 409)
            return
        self.state.add(name, {}, kind, private=asked.get("visibility") == "private")
        self._json({"url": url, "name": name})

    def _find(self, kind: str, name: str, revision: str) -> tuple[Repo, str] | None:
        repo = self.state.repos.get((kind, name))
        if repo is None or (repo.private and not self._token()):
            self._json(
                {"error": "?"}, 404 if self._token() else 401, {"X-Error-Code": "RepoNotFound"}
            )
        elif repo.gated and self._token() not in self.state.writers:
            self._json(
                {"error": "gated"}, 403 if self._token() else 401, {"X-Error-Code": "GatedRepo"}
            )
        elif (commit := repo.find(revision)) is None:
            self._json({"error": "revision"}, 404, {"X-Error-Code": "RevisionNotFound"})
        else:
            return repo, commit
        return None

    def _api(
        self, kind: str, name: str, action: str | None, revision: str | None, body: bytes
    ) -> None:
        if action == "branch":
            self._branch(self.state.repos[kind, name], revision or "")
            return
        found = self._find(kind, name, revision or "main")
        if found is None:
            return
        repo, commit = found
        files = repo.commits[commit]
        if action in (None, "revision"):
            names = [{"rfilename": n} for n in files]
            self._json({"id": name, "sha": commit, "private": repo.private, "siblings": names})
        elif action == "tree":
            self._json([_entry(n, d) for n, d in files.items()])
        elif self._may_write() and action == "preupload":
            names = [file["path"] for file in json.loads(body)["files"]]
            self._json({"files": [self._how(n) for n in names]})
        elif action == "commit":
            self._commit(repo, dict(files), revision or "main", body, self._url(kind, name))

    def _branch(self, repo: Repo, name: str) -> None:
        if name in repo.refs:
            self._json({"error": "exists"}, 409)
        elif self._may_write():
            repo.refs[name] = repo.refs["main"]
            self._json({})

    def _how(self, name: str) -> dict:
        large = self.state.large_files and "lfs" in _entry(name, b"")
        return {"path": name, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}

    def _batch(self, objects: list[dict]) -> None:
        """Say where large files go; nothing for those that are stored already."""
        for wanted in objects:
            if wanted["oid"] not in self.state.stored:
                place = {"href": f"{self.state.endpoint}/stored/{wanted['oid']}"}
                wanted["actions"] = {"upload": place}
        self._json({"transfer": "basic", "objects": objects})

    def _url(self, kind: str, name: str) -> str:
        return f"{self.state.endpoint}/{'' if kind == 'model' else kind + 's/'}{name}"

    def _commit(self, repo: Repo, files: Files, ref: str, body: bytes, url: str) -> None:
        for line in body.splitlines():
            asked = json.loads(line)
            value = asked["value"]
            if asked["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
                self.state.log.append(("received", value["path"]))
            elif asked["key"] == "lfsFile":
                files[value["path"]] = self.state.stored[value["oid"]]
                self.state.log.append(("received", value["path"]))
            elif asked["key"] == "deletedFile":
                del files[value["path"]]
        pull = f"refs/pr/{len(repo.refs)}" if "create_pr=1" in self.path else ""
        commit = repo.commit(files, pull or ref)
        said = {"success": True, "commitUrl": f"{url}/commit/{commit}", "commitOid": commit}
        if pull:
            said["pullRequestUrl"] = f"{url}/discussions/{pull.rpartition('/')[2]}"
        self._json(said)

    def _resolve(self, kind: str | None, name: str, revision: str, path: str) -> None:
        found = self._find(kind or "model", name, revision)
        if found is None:
            return
        repo, commit = found
        data = repo.commits[commit].get(path)
        if data is None:
            self._json({"error": "entry"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        entry = _entry(path, data)
        digest = entry.get("lfs", entry)["oid"]
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        start = 0
        if wanted := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if path in self.state.corrupt:
            data = data[:-1] + bytes([data[-1] ^ 1])
        self._start(206 if wanted else 200, len(data) - start, headers)
        if self.command == "GET":
            self._send(path, data[start:])

    def _send(self, path: str, data: bytes):
        cuts = self.state.cut.get(path)
        end = cuts.pop(0) if cuts else len(data)
        for at in range(0, end, 65536):
            time.sleep(self.state.pause)
            self.wfile.write(data[at : min(end, at + 65536)])
            self.wfile.flush()
        if end < len(data):
            self.close_connection = True

    def _json(self, value, status: int = 200, headers: dict[str, str] | None = None):
        data = json.dumps(value).encode()
        self._start(status, len(data), {"Content-Type": "application/json", **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(data)

    def _start(self, status: int, length: int, headers: dict[str, str]):
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _entry(name: str, data: bytes) -> dict:
    """A file in a listing; tensors and tables are large files, known by their SHA-256."""
    entry = {"type": "file", "path": name, "size": len(data), "oid": git_sha1(data)}
    if name.endswith((".safetensors", ".parquet")):
        digest = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 134}
    return entry
