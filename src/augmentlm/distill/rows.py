"""A JSONL file that grows a row at a time and outlives a kill at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from augmentlm.errors import InputError


def read(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a file, none when there is no file. What a kill left half-written at its end is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", hint="Check its rights.") from error
    return list(_parsed(path, text[: text.rfind("\n") + 1]))


def append(path: Path, row: dict[str, Any]) -> None:
    """Put a row at the end, in place of a torn one that stands there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
            file.write(json.dumps(row, ensure_ascii=False).encode(errors="replace") + b"\n")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}.", hint="Choose another folder.") from error


@contextmanager
def exclusive(folder: Path) -> Generator[None, None, None]:
    """Keep other processes from growing the files of `folder` while the block runs. Raises `InputError` at once when
    one does already; a process that was killed holds nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"Another process is working in {folder}.", hint="Wait for it, or choose another folder."
        ) from error
    except OSError as error:
        raise InputError(f"{folder} can't be written: {error.strerror}.", hint="Choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


def json_object(line: str) -> dict[str, Any] | None:
    """The JSON object in a line, None when it holds anything else."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _parsed(path: Path, text: str) -> Iterator[dict[str, Any]]:
    # Not `splitlines`: strings in JSON may hold other line ends, such as U+2028.
    for number, line in enumerate(text.split("\n")[:-1], 1):
        row = json_object(line)
        if row is None:
            raise InputError(f"Line {number} of {path} is not a JSON object.", hint="Remove it; it will be made again.")
        yield row
