"""A model hub on 127.0.0.1: what huggingface_hub asks of the real one to create, commit, tag and download, in memory.

Large files (by their ending, as on the hub) travel by git-lfs; `faults` make the next answers go wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

LARGE = (".safetensors", ".gguf", ".bin", ".png")

Content = bytes | Path


@dataclass
class Fault:
    """The next `times` requests whose "METHOD /path" matches are answered with `status`, or cut after `cut` bytes."""

    where: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    body: bytes | None = None
    times: int = 1


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    files: Mapping[str, Content]


FIRST = Commit("0" * 40, "initial commit", {".gitattributes": b"*.safetensors filter=lfs"})
FIRST_OF_A_SPACE = Commit(
    "0" * 40, "initial commit", {**FIRST.files, "README.md": b"---\ntitle: X\nsdk: gradio\n---\n"}
)


@dataclass
class Repo:
    kind: str
    id: str
    private: bool = False
    gated: bool = False
    sdk: str | None = None
    commits: list[Commit] = field(default_factory=lambda: [FIRST])
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> Commit:
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        oid = self.head.oid if revision == "main" else self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit.oid == oid), None)


class HubDouble:
    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.users = {"hf_double": "ada"}
        self.renamed: dict[str, str] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.waited: list[float] = []
        self.before: Callable[[str], None] = lambda asked: None
        self.url = ""

    def put(self, repo: str, files: Mapping[str, Content], *, kind: str = "model", **ways: Any) -> Repo:
        """A repository that is there already."""
        made = self.repos[kind, repo] = Repo(kind, repo, **ways)
        made.commits.append(Commit(oid_of(repo, files), "files", dict(files)))
        return made

    def repo(self, repo: str, kind: str = "model") -> Repo:
        return self.repos[kind, repo]

    def fail(self, where: str, status: int = 500, **ways: Any) -> Fault:
        self.faults.append(Fault(where, status, **ways))
        return self.faults[-1]

    def times(self, where: str) -> int:
        return sum(bool(re.search(where, asked)) for asked in self.asked)

    @contextmanager
    def running(self) -> Iterator[HubDouble]:
        from hub_routes import app

        server = uvicorn.Server(uvicorn.Config(app(self), "127.0.0.1", 0, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def size(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


_digests: dict[tuple[str, str], str] = {}


def digest(path: str, content: Content) -> tuple[str, str]:
    """How git keeps it, and its digest there."""
    kind = "lfs" if path.endswith(LARGE) else "git"
    if isinstance(content, bytes):
        return kind, hashlib.sha256(content).hexdigest() if kind == "lfs" else blob(content)
    key = (kind, str(content))
    if key not in _digests:
        with content.open("rb") as file:
            _digests[key] = (
                hashlib.file_digest(file, "sha256").hexdigest() if kind == "lfs" else blob(content.read_bytes())
            )
    return kind, _digests[key]


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def oid_of(seed: str, files: Mapping[str, Content]) -> str:
    return hashlib.sha1((seed + json.dumps({p: digest(p, c)[1] for p, c in files.items()})).encode()).hexdigest()


def front_matter(commit: Commit) -> re.Match[str] | None:
    content = commit.files.get("README.md", b"")
    with contextlib.suppress(UnicodeDecodeError):
        text = content.read_text("utf-8") if isinstance(content, Path) else content.decode()
        return re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    return None
