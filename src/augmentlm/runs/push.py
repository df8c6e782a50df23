"""A run's data set on the hub, private unless told otherwise."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from augmentlm.errors import InputError
from augmentlm.hub.release import CARD, Published, Release, publish
from augmentlm.runs.outputs import REJECTED
from augmentlm.runs.shelf import up_to_date

_NAME = re.compile(r"(?:[\w.-]+/)?[\w.-]{1,96}")


def push(folder: Path, name: str, *, private: bool = True, token: str | None = None) -> Published:
    """Bring the data set of a run to the hub as `name` or `owner/name`, with the user's token unless another is given.
    The same rows make no second commit. Raises what `release_of` and `publish` raise.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name for a data set.", hint="Write NAME or OWNER/NAME, without blanks.")
    owner, _, short = name.rpartition("/")
    return publish(release_of(folder, short), owner or None, private=private, token=token)


def release_of(folder: Path, name: str) -> Release:
    """The data set of a run with its card, its report and its rejects; its version counts and names the rows.

    The card must have been written (`reports.dataset.keep_current`). It tells of the rows in the journal, so the files
    are those too, also of a run that was killed. Raises `InputError`, also while the run is being worked on.
    """
    if not (folder / CARD).is_file():
        raise InputError("The data set has no card yet.", hint="Show its report first.")
    run, data = up_to_date(folder)
    found = [folder / name for name in (CARD, "report.html", "report.json", REJECTED)]
    found += sorted(path for path in data.rglob("*") if path.is_file()) if data.is_dir() else [data]
    files = {path.relative_to(folder).as_posix(): path for path in found if path.is_file()}
    hasher = hashlib.sha256()
    for place, path in sorted(files.items()):
        hasher.update(f"{place}\0".encode() + path.read_bytes())
    return Release("dataset", name, files, f"rows-{len(run.accepted)}-{hasher.hexdigest()[:8]}")
