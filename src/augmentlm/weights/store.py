"""An artifact is fetched, found, verified or removed, by one process at a time."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from augmentlm.catalog import Artifact, Model
from augmentlm.errors import InputError, WeightsError
from augmentlm.weights.disk import Meter, Progress, check, explained
from augmentlm.weights.listings import Listing
from augmentlm.weights.single_files import SingleFile
from augmentlm.weights.snapshots import Snapshot

if TYPE_CHECKING:
    from filelock import FileLock

_LOOK_SECONDS = 0.2


def home() -> Path:
    """The folder for all that AugmentLM keeps: AUGMENTLM_HOME, or the user's cache. It may not exist yet."""
    import platformdirs

    chosen = os.environ.get("AUGMENTLM_HOME")
    return (
        Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("augmentlm", appauthor=False)
    )


def fetch(artifact: Artifact, *, progress: Progress | None = None, stop: threading.Event | None = None) -> Path:
    """The artifact's file, or its folder when it is a repository; downloaded unless it is here already.

    When another process or thread is downloading it, this one waits and uses the result. `progress` hears of the bytes
    at most ten times a second. Raises `WeightsError` (no network, a refused download, a wrong digest, a full disk)
    and `StoppedError` once `stop` is set; the bytes that have come are kept, and the next call goes on from there.
    """
    stop = stop or threading.Event()
    place = _place(artifact)
    if not place.is_complete():
        with (
            explained(place.folder, lambda: place.total - place.bytes_here()),
            _alone(place, progress, stop),
        ):
            if not place.is_complete():
                place.prepare(stop)
                place.folder.mkdir(parents=True, exist_ok=True)
                place.download(Meter(place.total, progress), stop)
    Meter(place.total, progress).finish()
    return place.path


def look_up(artifact: Artifact, *, stop: threading.Event | None = None) -> Listing:
    """The commit of a repository that is used here, and its files; asks the hub, and locks the commit, at the first
    time. Raises as `fetch` does."""
    stop = stop or threading.Event()
    place = Snapshot(artifact, home() / "weights")
    if place.locked is None:
        with explained(place.folder, lambda: 0), _alone(place, None, stop):
            place.prepare(stop)
    listing = place.locked
    assert listing is not None
    return listing


def forget(artifact: Artifact) -> None:
    """Unlock the commit of a repository: the next download looks anew what its `main` is."""
    Snapshot(artifact, home() / "weights").lock_file.unlink(missing_ok=True)


def fetch_model(model: Model, *, progress: Progress | None = None, stop: threading.Event | None = None) -> Path:
    """Fetch a model's artifact and its further parts, and return where the artifact is. `progress` hears of them as one
    download. Raises as `fetch` does."""
    artifacts = (model.artifact, *model.parts)
    paths = []
    for index, artifact in enumerate(artifacts):
        before = sum(_place(earlier).total for earlier in artifacts[:index])
        after = sum(later.bytes or 0 for later in artifacts[index + 1 :])
        hears = None if is_cached(artifact) else _part_of(progress, before, after)
        paths.append(fetch(artifact, progress=hears, stop=stop))
    Meter(sum(_place(artifact).total for artifact in artifacts), progress).finish()
    return paths[0]


def identity(model: Model) -> dict[str, str]:
    """What the weights of a model are: digests by name, or the commit of a repository once it was downloaded."""
    if model.artifact.sha256:
        found = {model.artifact.name: f"sha256:{model.artifact.sha256}"}
    else:
        locked = Snapshot(model.artifact, home() / "weights").locked
        found = {model.artifact.name: f"commit:{locked.commit}" if locked else "not downloaded"}
    if model.adapter:
        files = sorted(model.adapter.path.glob("*.safetensors"))
        if not files:
            raise InputError(f"There are no weights in {model.adapter.folder}.", hint="Export the adapter first.")
        found["adapter"] = f"sha256:{hashlib.sha256(b''.join(path.read_bytes() for path in files)).hexdigest()}"
    return found


def _part_of(progress: Progress | None, before: int, after: int) -> Progress | None:
    """Tells of one of several downloads as a part of all; the end of all is told by whoever has begun them."""

    def hears(done: int, total: int) -> None:
        if progress and (done < total or after):
            progress(before + done, before + total + after)

    return hears


def is_cached(artifact: Artifact) -> bool:
    """Whether all of it is here. Looks at names and sizes only; `verify` reads the files."""
    return _place(artifact).is_complete()


def verify(artifact: Artifact) -> bool:
    """Whether all of it is here and has the right digest."""
    place = _place(artifact)
    with explained(place.folder, lambda: 0):
        return place.is_right(threading.Event())


def remove(artifact: Artifact) -> int:
    """Delete it, half a download too, and return the bytes deleted. Raises `WeightsError` while it is downloaded."""
    from filelock import Timeout

    place = _place(artifact)
    if not place.folder.exists():
        return 0
    with explained(place.folder, lambda: 0):
        try:
            lock = _lock(place)
            lock.acquire(blocking=False)
        except Timeout as error:
            raise WeightsError(
                f"{artifact.name} is being downloaded right now.", hint="Stop the download and try again."
            ) from error
        try:
            freed = sum(path.stat().st_size for path in place.folder.iterdir())
            shutil.rmtree(place.folder)
        finally:
            lock.release()
    return freed


def _place(artifact: Artifact) -> SingleFile | Snapshot:
    folder = home() / "weights"
    return Snapshot(artifact, folder) if artifact.format == "repository" else SingleFile(artifact, folder)


def _lock(place: SingleFile | Snapshot) -> FileLock:
    from filelock import FileLock

    return FileLock(place.folder.with_name(f".{place.folder.name}.lock"))


@contextmanager
def _alone(place: SingleFile | Snapshot, progress: Progress | None, stop: threading.Event) -> Iterator[None]:
    """Nobody else downloads or removes it meanwhile. A process that dies gives its lock back."""
    from filelock import Timeout

    lock = _lock(place)
    meter = None
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            if place.total:
                meter = meter or Meter(place.total, progress)
                meter(place.bytes_here())
            stop.wait(_LOOK_SECONDS)
            check(stop)
    try:
        yield
    finally:
        lock.release()
