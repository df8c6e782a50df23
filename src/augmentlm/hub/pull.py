"""Any model or adapter on the hub: safetensors, configuration and tokenizer, locked to a commit."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from augmentlm.catalog import Artifact, HubSource
from augmentlm.errors import InputError
from augmentlm.weights import Progress, fetch

_REPO = re.compile(r"[\w.-]+/[\w.-]+")


def pull(
    repo: str, revision: str | None = None, *, progress: Progress | None = None, stop: threading.Event | None = None
) -> Path:
    """The folder of a repository, fetched unless it is here.

    `revision` is a tag or commit; without one `main` is resolved at the first time and used from then on. Raises
    `InputError` for a name that can't be one, and `WeightsError` as `fetch` does.
    """
    if not _REPO.fullmatch(repo) or (revision is not None and not re.fullmatch(r"[\w.-]+", revision)):
        raise InputError(f"{repo!r} is not the name of a repository.", hint="Write OWNER/NAME or OWNER/NAME@REVISION.")
    name = repo.replace("/", "--") + (f"@{revision}" if revision else "")
    return fetch(Artifact(name, "repository", HubSource(repo, revision)), progress=progress, stop=stop)
