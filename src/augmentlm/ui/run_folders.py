"""Where the runs of the Dataset tab lie, and by which names the page knows them."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from augmentlm.runs.journal import is_run
from augmentlm.weights import home

KEPT_SECONDS = 3 * 3600
"""How long a visitor's run is kept where strangers visit, after the last that was done with it."""


class RunFolders:
    """The user's own folder of runs, or where strangers visit one that is `thrown_away`."""

    def __init__(self, local: bool) -> None:
        self.thrown_away = None if local else Path(tempfile.mkdtemp(prefix="augmentlm-"))

    def root(self) -> Path:
        """Where a new run may lie: where strangers visit, in a folder whose name nobody can guess."""
        if not self.thrown_away:
            return self._base
        forget_old(self.thrown_away)
        return self.thrown_away / secrets.token_hex(16)

    def find(self, name: Any) -> Path | None:
        """The folder of the run of that name, None when there is none."""
        if not isinstance(name, str) or not name:
            return None
        folder = self._base / name
        inside = folder.resolve().is_relative_to(self._base.resolve())
        return folder if inside and is_run(folder) else None

    def name(self, folder: Path) -> str:
        return folder.relative_to(self._base).as_posix()

    @property
    def _base(self) -> Path:
        return self.thrown_away or home() / "runs"


def forget_old(root: Path) -> None:
    """Delete the visitors' runs in which nothing has happened for hours."""
    for folder in root.iterdir():
        with suppress(FileNotFoundError):  # a run at work, or another visitor's, takes files away meanwhile
            changes = [path.stat().st_mtime for path in folder.rglob("*") if path.is_file()]
            last = max(changes, default=folder.stat().st_mtime)
            if time.time() - last > KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
