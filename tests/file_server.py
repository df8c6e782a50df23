"""A server on 127.0.0.1 that is a package index, a model hub and the files of both, and that can misbehave."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BLOCK = 16_384


@dataclass
class Served:
    """What a path answers. `cuts` are bytes after which the next answers break off; `pace` seconds before a block."""

    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    busy: int = 0
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    pace: float = 0.0
    silent: bool = False


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]


class FileServer:
    def __init__(self) -> None:
        self.served: dict[str, Served] = {}
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, body: bytes | str = b"", **ways: Any) -> Served:
        self.served[path] = Served(body.encode() if isinstance(body, str) else body, **ways)
        return self.served[path]

    def paths(self, ending: str = "") -> list[str]:
        return [asked.path for asked in self.asked if asked.path.endswith(ending)]

    def ranges(self, ending: str) -> list[str]:
        """The Range header of each request for a path, empty where there was none."""
        return [asked.headers.get("range", "") for asked in self.asked if asked.path.endswith(ending)]

    def wheel(self, project: str, version: str, members: Mapping[str, bytes], *, html: bool = False) -> Served:
        """Publish a wheel with these members on the index below /simple."""
        name = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
        body = zipped(members)
        sha256 = hashlib.sha256(body).hexdigest()
        if html:
            page = f'<html><body><a href="../../files/{name}#sha256={sha256}">{name}</a></body></html>'
            self.put(f"/simple/{project}/", page, headers={"Content-Type": "text/html"})
        else:
            sdist = {"filename": f"{project}-{version}.tar.gz", "url": "../../files/sdist", "hashes": {}}
            file = {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256}, "size": len(body)}
            page = json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": [sdist, file]})
            kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
            self.put(f"/simple/{project}/", page, headers=kind)
        return self.put(f"/files/{name}", body)

    def repository(self, repo: str, commit: str, files: Mapping[str, bytes], *, large: tuple[str, ...] = ()) -> None:
        """Publish a commit of a repository as its `main`. `large` files have an LFS digest, as on the hub."""
        siblings, tree = [], []
        for name, body in files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
            sha256 = hashlib.sha256(body).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(body), "blobId": blob}
            leaf: dict[str, Any] = {"type": "file", "path": name, "size": len(body), "oid": blob}
            if name in large:
                entry["lfs"] = {"sha256": sha256, "size": len(body), "pointerSize": 134}
                leaf["lfs"] = {"oid": sha256, "size": len(body), "pointerSize": 134}
            siblings.append(entry)
            tree.append(leaf)
            headers = {"X-Repo-Commit": commit, "ETag": f'"{sha256 if name in large else blob}"'}
            self.put(f"/{repo}/resolve/{commit}/{name}", body, headers=headers)
        info = json.dumps({"id": repo, "sha": commit, "siblings": siblings})
        for revision in ("main", commit):
            self.put(f"/api/models/{repo}/revision/{revision}", info, headers={"Content-Type": "application/json"})
            self.put(f"/api/models/{repo}/tree/{revision}", json.dumps(tree))

    @contextmanager
    def running(self) -> Iterator[FileServer]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def zipped(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return out.getvalue()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append(Asked(self.command, path, headers))
            served = server.served.get(path, Served(status=404))
            if served.silent:
                server.closing.wait()
                return
            if served.busy:
                served.busy -= 1
                served = Served(status=503)
            self._answer(served, headers.get("range", ""))

        do_HEAD = do_GET  # noqa: N815

        def _answer(self, served: Served, wanted: str) -> None:
            whole = len(served.body)
            first, last, status = 0, whole - 1, served.status
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
            if match and served.ranges and status == 200:
                first, last, status = int(match[1]), min(int(match[2] or last), last), 206
                if first >= whole:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{whole}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
            self.send_response(status)
            for name, value in served.headers.items():
                self.send_header(name, value)
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{last}/{whole}")
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            if self.command == "GET":
                self._send(served, served.body[first : last + 1])

        def _send(self, served: Served, body: bytes) -> None:
            cut = served.cuts.pop(0) if served.cuts else len(body)
            try:
                for start in range(0, min(cut, len(body)), BLOCK):
                    if served.pace:
                        time.sleep(served.pace)
                    self.wfile.write(body[start : min(start + BLOCK, cut)])
            except ConnectionError:  # the reader has left
                self.close_connection = True
            if cut < len(body):
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: failures show in the tests."""

    return Handler
