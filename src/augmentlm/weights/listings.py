"""Which files a repository on the hub has at a commit: as the hub says, or as the user's shared cache remembers."""

from __future__ import annotations

import json
import logging
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from augmentlm.weights import hub_files
from augmentlm.weights.disk import digest, size_of
from augmentlm.weights.downloads import Line, SourceError

log = logging.getLogger(__name__)

CARD = "README.md"

_WANTED = re.compile(r"[^/\\:]+\.(safetensors|json|txt)|tokenizer\.model")
"""Weights, configuration and tokenizer at the top of the repository. Pickles and Python files can run code: they are
never downloaded. Of the rest only the card is."""


@dataclass(frozen=True)
class RepositoryFile:
    """`digest` is `sha256:…` for large files and `git:…`, the SHA-1 of a git blob, for small ones."""

    name: str
    bytes: int
    digest: str

    def is_right(self, path: Path, stop: threading.Event) -> bool:
        kind, _, expected = self.digest.partition(":")
        if size_of(path) != self.bytes:
            return False
        if kind == "git":
            return digest(path, stop, "sha1", b"blob %d\0" % self.bytes) == expected
        return digest(path, stop) == expected


@dataclass(frozen=True)
class Listing:
    """A commit of a repository, and the files of it that are used here."""

    commit: str
    files: tuple[RepositoryFile, ...]


def from_hub(repo: str, revision: str, line: Line) -> Listing:
    """What the hub says now. Raises `SourceError`."""
    address = hub_files.address(f"api/models/{repo}/revision/{quote(revision, safe='')}?blobs=true")
    try:
        page = line.page(address)
    except SourceError as error:
        raise hub_files.explained(error, repo) from error
    try:
        values = json.loads(page.text)
        files = [(file["rfilename"], file) for file in values["siblings"]]
        if values.get("id", repo) != repo:
            log.warning("%s is now called %s.", repo, values["id"])
        wanted = [
            _file(name, file["size"], file["blobId"], file.get("lfs"))
            for name, file in files
            if name == CARD or _is_wanted(name)
        ]
        return _usable(repo, values["sha"], wanted)
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{address.host} does not say which files {repo} has.") from error


def from_shared_cache(repo: str, revision: str) -> Listing | None:
    """What another program of this user has downloaded, if it remembered the listing (huggingface_hub does)."""
    from huggingface_hub import constants, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError
    from huggingface_hub.file_download import repo_folder_name

    reference = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo, repo_type="model"), "refs", revision)
    try:
        commit = reference.read_text(encoding="ascii").strip() if reference.is_file() else revision
        tree = get_cached_repo_tree(repo, revision=commit)
    except CachedRepoTreeNotFoundError:
        return None
    # Without the card, which programs that only run a model don't download.
    wanted = [_file(file.path, file.size, file.blob_id, file.lfs) for file in tree if _is_wanted(file.path)]
    return _usable(repo, commit, wanted)


def _is_wanted(name: str) -> bool:
    return _WANTED.fullmatch(name) is not None


def _file(name: str, size: int, blob: str, lfs: Any) -> RepositoryFile:
    return RepositoryFile(name, int(size), f"sha256:{lfs['sha256']}" if lfs else f"git:{blob}")


def _usable(repo: str, commit: str, files: list[RepositoryFile]) -> Listing:
    if not any(file.name.endswith(".safetensors") for file in files):
        raise SourceError(
            f"{repo} has no safetensors weights.",
            hint="Pickles can run code when they are opened, so they are not downloaded.",
        )
    return Listing(commit, tuple(files))
