"""The model hub as a source of files: addresses, the user's own cache, and refusals in words."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from augmentlm.weights.disk import append, blocks, need
from augmentlm.weights.downloads import Address, Line, SourceError

_TRUE = {"1", "ON", "YES", "TRUE"}
_unreachable: set[str] = set()


def endpoint() -> str:
    """The hub, or the mirror that HF_ENDPOINT names."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Whether the user said that nothing may be downloaded."""
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.upper() in _TRUE


def refuse_offline(name: str) -> None:
    """Raises `SourceError` at once when the user said so, instead of waiting for a network."""
    if is_offline():
        raise SourceError(
            f"{name} is not on this machine, and HF_HUB_OFFLINE says that nothing may be downloaded.",
            hint="Unset HF_HUB_OFFLINE (and TRANSFORMERS_OFFLINE) to download it.",
            unreachable=True,
        )


def was_unreachable() -> bool:
    """Whether this process has tried the hub in vain."""
    return endpoint() in _unreachable


def address(path: str) -> Address:
    """Something on the hub, with the user's token if there is one."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import OIDCError

    # Not `build_hf_headers`: it asks the hub for other things first.
    try:
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    except OIDCError as error:
        raise SourceError(f"The hub gave no token for this job: {error}.", hint="Unset HF_OIDC_RESOURCE.") from error
    return Address(f"{endpoint()}/{path}", {"Authorization": f"Bearer {token}"} if token else {})


def download(
    repo: str, revision: str, file: str, partial: Path, size: int, heard: Callable[[int], None], line: Line
) -> None:
    """Complete `partial` from a repository. Raises `SourceError`."""
    place = address(f"{repo}/resolve/{quote(revision, safe='')}/{quote(file)}")
    try:
        line.download(place, partial, size, heard)
    except SourceError as error:
        raise explained(error, repo) from error


def explained(error: SourceError, repo: str) -> SourceError:
    """What the hub means by refusing. Remembers when it can't be reached."""
    page = f"{endpoint()}/{repo}"
    match error.status, error.code:
        case _, "GatedRepo":
            message = f"{repo} is gated: its authors give access on request."
            hint = f"Ask for it at {page}, then log in with `hf auth login` or set HF_TOKEN."
        case _, "RevisionNotFound":
            message, hint = f"{repo} no longer has the revision that is wanted.", f"Look at {page}."
        case _, "EntryNotFound":
            message, hint = f"{repo} does not have the file that is wanted.", f"Look at {page}."
        case 401, "Invalid credentials in Authorization header":
            message = "The hub does not know your token."
            hint = "Log in anew with `hf auth login`, or unset HF_TOKEN."
        case 401 | 404, _:
            message = f"There is no repository {repo} on the hub, or it is private."
            hint = "If it is private, log in with `hf auth login` or set HF_TOKEN."
        case 403, _:
            message, hint = f"The hub does not let you read {repo}.", f"Look at {page} whether it is open to you."
        case 429, _:
            message = "The hub asks to wait: there were too many requests from here."
            hint = "Try again in a few minutes; with a token (`hf auth login`) it allows more."
        case _:
            if error.unreachable:
                _unreachable.add(endpoint())
            return error
    return SourceError(message, hint=hint, status=error.status, code=error.code)


def cached(repo: str, revision: str, file: str) -> Path | None:
    """The file in the cache that this user's other programs share, if it is there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, revision=revision)
    return Path(found).resolve() if isinstance(found, str) and os.access(found, os.R_OK) else None


def take(source: Path, partial: Path, heard: Callable[[int], None], stop: threading.Event) -> None:
    """Another name for a file on the same disk, a copy on another."""
    partial.unlink(missing_ok=True)
    try:
        partial.hardlink_to(source)
    except OSError:  # another disk, or one without hard links
        need(partial.parent, source.stat().st_size)
        with source.open("rb") as file:
            append(partial, blocks(file), stop, heard)
