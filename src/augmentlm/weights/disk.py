"""What files need on their way here: space, digests, names given only when they are whole, and progress."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Protocol

from augmentlm.errors import StoppedError, WeightsError

Work = Literal["download", "convert"]
"""What weights need before they can be loaded: they come here, and some are then made into another format."""


class Progress(Protocol):
    """Told how much is done and how much there is in all: bytes of a download, hundredths of a conversion."""

    def __call__(self, done: int, total: int, work: Work = "download", /) -> None: ...


class Told(NamedTuple):
    """What a `Progress` was told."""

    done: int
    total: int
    work: Work = "download"


_BLOCK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_ELSEWHERE = "Free some, or set AUGMENTLM_HOME to a folder on another disk."


class Meter:
    """Passes progress on, at most ten times a second; `done == total` is said once, by `finish`."""

    _SECONDS = 0.1

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total = total
        self._progress = progress
        self._most = 0
        self._told = float("-inf")

    def __call__(self, done: int) -> None:
        self._most = max(self._most, min(done, self.total - 1))
        now = time.monotonic()
        if self._progress and now - self._told >= self._SECONDS:
            self._told = now
            self._progress(self._most, self.total)

    def finish(self) -> None:
        if self._progress:
            self._progress(self.total, self.total)


def check(stop: threading.Event) -> None:
    """Raises `StoppedError` when the person pressed Stop."""
    if stop.is_set():
        raise StoppedError()


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when there is none, or none that this user may look at."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def digest(path: Path, stop: threading.Event, algorithm: str = "sha256", prefix: bytes = b"") -> str:
    """The digest of a file in hexadecimal; `prefix` is hashed before it."""
    hasher = hashlib.new(algorithm, prefix)
    with path.open("rb") as file:
        for block in blocks(file):
            check(stop)
            hasher.update(block)
    return hasher.hexdigest()


def append(path: Path, blocks: Iterable[bytes], stop: threading.Event, heard: Callable[[int], None]) -> None:
    """Write at the end of a file; `heard` is told its bytes. What was written stays, whatever happens."""
    with path.open("ab") as file:
        for block in blocks:
            check(stop)
            file.write(block)
            heard(file.tell())


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """A file that is open for reading, a megabyte at a time."""
    return iter(lambda: file.read(_BLOCK), b"")


def rest(blocks: Iterable[bytes], skip: int) -> Iterator[bytes]:
    """The blocks without their first `skip` bytes."""
    for block in blocks:
        yield block[max(0, skip) :]
        skip -= len(block)


def settle(partial: Path, target: Path) -> None:
    """Give a complete file its name: from now on it is there, even if the power fails."""
    sync(partial)
    partial.replace(target)
    if os.name == "posix":  # the new name is an entry of the folder, which is written back on its own
        sync(target.parent)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote; empty when there is nothing, or nothing that can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # where nothing can be read, writing says why
        return {}
    return values if isinstance(values, dict) else {}


def write_json(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    settle(partial, path)


def need(folder: Path, count: int) -> None:
    """Raises `WeightsError` unless `count` more bytes fit on the disk that holds `folder`."""
    free = shutil.disk_usage(folder).free
    if count > free:
        raise _too_full(folder, count, free)


@contextmanager
def explained(folder: Path, missing: Callable[[], int]) -> Iterator[None]:
    """Turns what the system says about a disk into a `WeightsError`. `missing` tells the bytes still to come."""
    try:
        yield
    except ConnectionError:  # not about a disk: the progress went into a pipe that was closed
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise _too_full(folder, missing(), shutil.disk_usage(folder).free) from error
        if error.errno in _FORBIDDEN:
            raise WeightsError(
                f"AugmentLM may not write to {error.filename or folder}: {error.strerror}.",
                hint="Set AUGMENTLM_HOME to a folder that it may write to.",
            ) from error
        raise WeightsError(
            f"{error.filename or folder} can't be used: {error.strerror or error}.",
            hint="Check the disk, or set AUGMENTLM_HOME to another folder.",
        ) from error


def _too_full(folder: Path, needed: int, free: int) -> WeightsError:
    return WeightsError(
        f"The disk is full: {needed:,} more bytes are needed in {folder} and {free:,} are free.", hint=_ELSEWHERE
    )


def size(count: float) -> str:
    """Bytes for people: "491 MB", "15.2 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
