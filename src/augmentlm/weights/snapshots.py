"""An artifact that is a whole repository on the hub: its `main` is looked up once, locked, and used from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from augmentlm.catalog import Artifact
from augmentlm.weights import hub_files, listings
from augmentlm.weights.disk import Meter, need, read_json, settle, size_of, write_json
from augmentlm.weights.downloads import Line, SourceError
from augmentlm.weights.listings import Listing, RepositoryFile


@dataclass(frozen=True)
class Snapshot:
    """A repository in a folder of its own. The lock stands beside it and outlives it; delete the lock to move on."""

    artifact: Artifact
    home: Path

    @property
    def folder(self) -> Path:
        return self.home / self.artifact.name

    @property
    def path(self) -> Path:
        return self.folder

    @property
    def lock_file(self) -> Path:
        return self.home / f"{self.artifact.name}.lock.json"

    @property
    def locked(self) -> Listing | None:
        """The commit that is used; None before the first download."""
        values = read_json(self.lock_file)
        if values.get("repo") != self.artifact.hub.repo:
            return None
        try:
            return Listing(values["commit"], tuple(RepositoryFile(**file) for file in values["files"]))
        except (KeyError, TypeError):  # somebody has edited it
            return None

    @property
    def total(self) -> int:
        return sum(file.bytes for file in self._files())

    def is_complete(self) -> bool:
        files = self._files()
        return bool(files) and all(size_of(self.folder / file.name) == file.bytes for file in files)

    def bytes_here(self) -> int:
        return sum(size_of(self.folder / file.name) or size_of(self._partial(file)) for file in self._files())

    def is_right(self, stop: threading.Event) -> bool:
        return self.is_complete() and all(file.is_right(self.folder / file.name, stop) for file in self._files())

    def prepare(self, stop: threading.Event) -> None:
        """Lock the commit, unless that has been done. Raises `WeightsError`."""
        if self.locked is None:
            write_json(self.lock_file, {"repo": self.artifact.hub.repo, **asdict(self._look_up(stop))})

    def download(self, meter: Meter, stop: threading.Event) -> None:
        """Raises `WeightsError`, `StoppedError`. What has come is kept, file by file, for the next time."""
        need(self.folder, self.total - self.bytes_here())
        line = Line(stop)
        for file in self._files():
            path, partial = self.folder / file.name, self._partial(file)
            if size_of(path) == file.bytes:
                continue
            before = self.bytes_here() - size_of(partial)
            self._fetch(file, partial, lambda came, before=before: meter(before + came), line, stop)
            settle(partial, path)

    def _fetch(
        self, file: RepositoryFile, partial: Path, heard: Callable[[int], None], line: Line, stop: threading.Event
    ) -> None:
        repo, commit = self.artifact.hub.repo, self.locked.commit
        found = hub_files.cached(repo, commit, file.name)
        if found is not None and file.is_right(found, stop):
            hub_files.take(found, partial, heard, stop)
            return
        hub_files.refuse_offline(self.artifact.hub.repo)
        hub_files.download(repo, commit, file.name, partial, file.bytes, heard, line)
        if not file.is_right(partial, stop):
            partial.unlink()
            raise SourceError(
                f"What came for {file.name} of {repo} has a wrong digest and was deleted.",
                hint="Try again: the other files are kept.",
            )

    def _look_up(self, stop: threading.Event) -> Listing:
        """The current commit; without the hub, the one that this user's other programs have downloaded."""
        repo, revision = self.artifact.hub.repo, self.artifact.hub.revision or "main"
        try:
            hub_files.refuse_offline(self.artifact.hub.repo)
            return listings.from_hub(repo, revision, Line(stop))
        except SourceError as error:
            shared = listings.from_shared_cache(repo, revision) if error.unreachable else None
            if shared is None:
                raise
            return shared

    def _files(self) -> tuple[RepositoryFile, ...]:
        return self.locked.files if self.locked else ()

    def _partial(self, file: RepositoryFile) -> Path:
        return self.folder / f"{file.name}.part"
