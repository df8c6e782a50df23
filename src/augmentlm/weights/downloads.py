"""HTTP downloads that go on where they broke off, and that can be stopped at any moment."""

from __future__ import annotations

import queue
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from augmentlm import __version__
from augmentlm.errors import WeightsError
from augmentlm.weights.disk import append, check, rest, size_of

CONNECT_SECONDS = 4.0
FIRST_ANSWER_SECONDS = 8.0
"""For everything until a line's first answer: names that are not resolved, all addresses of a host, a silent server."""
READ_SECONDS = 15.0
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each new attempt on a line that worked a moment ago."""

_BUSY = {408, 425, 429, 500, 502, 503, 504}
_BUSY_ATTEMPTS = 2
_POLL_SECONDS = 0.1
_QUEUE_BLOCKS = 256
_PAGE_BYTES = 20_000_000

T = TypeVar("T")


class SourceError(WeightsError):
    """One place can't give a file; another may. `status` and `code` are the server's answer, if there was one."""

    def __init__(
        self, message: str, *, hint: str = "", status: int = 0, code: str = "", unreachable: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.unreachable = unreachable


@dataclass(frozen=True)
class Address:
    """Where something is and what is sent along. `headers` and `auth` go to its host alone (httpx drops credentials on
    a redirect to another one) and are never part of a message."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or self.url


@dataclass(frozen=True)
class Page:
    """A small text, what kind it is, and its address after redirects."""

    text: str
    kind: str
    url: str


@dataclass(frozen=True)
class _Head:
    status: int
    headers: Mapping[str, str]
    url: str


class _BrokenOffError(Exception):
    """No answer, one that ended too early, or a request to come back later: another attempt may succeed."""

    def __init__(self, why: str, *, unreachable: bool = False, status: int = 0) -> None:
        super().__init__(why)
        self.unreachable = unreachable
        self.status = status


class Line:
    """A way to one source. Until something has come through, a failure is believed at once; later it is tried again."""

    def __init__(self, stop: threading.Event, certificates: str | None = None) -> None:
        self._stop = stop
        self._certificates = certificates
        self._works = False

    def page(self, address: Address) -> Page:
        """A small text. Raises `SourceError`."""
        return self._patiently(address, lambda: self._page(address), lambda: 0)

    def piece(self, address: Address, start: int, count: int) -> bytes:
        """Some bytes out of a file. Raises `SourceError`, with status 200 where the server only sends whole files."""
        return self._patiently(address, lambda: self._piece(address, start, count), lambda: 0)

    def download(self, address: Address, partial: Path, size: int | None, heard: Callable[[int], None]) -> None:
        """Complete the file `partial`; `heard` is told its bytes. Raises `SourceError`; what has come is kept."""
        self._patiently(address, lambda: self._complete(address, partial, size, heard), lambda: size_of(partial))

    def _patiently(self, address: Address, attempt: Callable[[], T], here: Callable[[], int]) -> T:
        failures = 0
        while True:
            before = here()
            try:
                return attempt()
            except _BrokenOffError as error:
                failures = 1 if here() > before else failures + 1
                patience = len(PAUSES) if self._works else _BUSY_ATTEMPTS if error.status else 0
                if failures > patience:
                    what = "can't be reached" if error.unreachable else "did not send everything"
                    raise SourceError(
                        f"{address.host} {what} ({error}).",
                        hint="Check the network and try again: a download goes on where it stopped.",
                        status=error.status,
                        unreachable=error.unreachable,
                    ) from error
                self._stop.wait(PAUSES[failures - 1])
                check(self._stop)

    def _page(self, address: Address) -> Page:
        head, body = self._read(address, {}, _PAGE_BYTES)
        return Page(body.decode(errors="replace"), head.headers.get("content-type", ""), head.url)

    def _piece(self, address: Address, start: int, count: int) -> bytes:
        head, body = self._read(address, {"Range": f"bytes={start}-{start + count - 1}"}, count)
        if head.status != 206 or len(body) != count:
            raise SourceError(f"{address.host} sends no pieces of files.", status=head.status)
        return body

    def _read(self, address: Address, headers: Mapping[str, str], limit: int) -> tuple[_Head, bytes]:
        with self._asked(address, headers) as (head, blocks):
            _refuse_errors(head, address)
            body = bytearray()
            for block in blocks:
                body += block
                if len(body) > limit:
                    raise SourceError(f"{address.host} sends more than was asked for.", status=head.status)
        return head, bytes(body)

    def _complete(self, address: Address, partial: Path, size: int | None, heard: Callable[[int], None]) -> None:
        have = size_of(partial)
        if size is not None and have >= size:
            if have == size:
                return
            partial.unlink()
            have = 0
        with self._asked(address, {"Range": f"bytes={have}-"} if have else {}) as (head, blocks):
            if head.status == 416 and size is None:
                if _total(head) == have:  # it had come completely
                    return
                partial.unlink(missing_ok=True)
                raise _BrokenOffError("its file has changed")
            _refuse_errors(head, address)
            expected = _total(head) if size is None else size
            if (total := _total(head)) not in (None, expected):
                raise SourceError(f"{address.host} has another file: {total:,} bytes instead of {expected:,}.")
            start = 0 if head.status == 200 else have  # a server that knows no ranges begins anew
            append(partial, rest(blocks, have - start), self._stop, lambda now: _heard(now, expected, address, heard))
        if expected is not None and size_of(partial) < expected:
            raise _BrokenOffError("the connection was cut")

    @contextmanager
    def _asked(self, address: Address, headers: Mapping[str, str]) -> Iterator[tuple[_Head, Iterator[bytes]]]:
        reader = _Reader(address, headers, self._certificates)
        reader.start()
        try:
            head = self._next(reader, None if self._works else FIRST_ANSWER_SECONDS)
            yield head, iter(lambda: self._next(reader), None)
        finally:
            reader.left.set()

    def _next(self, reader: _Reader, seconds: float | None = None) -> Any:
        deadline = time.monotonic() + seconds if seconds else float("inf")
        while True:
            check(self._stop)
            try:
                item = reader.inbox.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise _BrokenOffError("no answer", unreachable=True) from None
                continue
            if isinstance(item, Exception):
                raise _translated(item, reader.address) from item
            self._works = self._works or isinstance(item, bytes)
            return item


class _Reader(threading.Thread):
    """Reads one answer into a queue. It touches no file, so whoever is told to stop can leave it behind in a
    connection that hangs: it ends with the connection's time-out."""

    def __init__(self, address: Address, headers: Mapping[str, str], certificates: str | None) -> None:
        super().__init__(name="augmentlm-download", daemon=True)
        self.address = address
        self.inbox: queue.Queue[_Head | bytes | Exception | None] = queue.Queue(_QUEUE_BLOCKS)
        self.left = threading.Event()
        self._headers = {"User-Agent": f"augmentlm/{__version__}", "Accept-Encoding": "identity", **headers}
        self._certificates = certificates

    def run(self) -> None:
        import httpx

        try:
            with (
                httpx.Client(
                    verify=_trusted(self._certificates),
                    timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                    follow_redirects=True,
                    headers=self._headers,
                ) as client,
                client.stream(
                    "GET", self.address.url, headers=dict(self.address.headers), auth=self.address.auth
                ) as answer,
            ):
                self._put(_Head(answer.status_code, answer.headers, str(answer.url)))
                for block in answer.iter_raw():
                    if not self._put(block):
                        return
            self._put(None)
        except Exception as error:  # raised again where somebody waits for the answer
            self._put(error)

    def _put(self, item: _Head | bytes | Exception | None) -> bool:
        while not self.left.is_set():
            try:
                self.inbox.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def _refuse_errors(head: _Head, address: Address) -> None:
    if head.status in _BUSY:
        raise _BrokenOffError(f"it answered {head.status}", status=head.status)
    if head.status not in (200, 206):
        said = head.headers.get("x-error-code") or head.headers.get("x-error-message", "")
        raise SourceError(f"{address.host} answered {head.status}.", status=head.status, code=said)


def _total(head: _Head) -> int | None:
    """Bytes of the whole file, as far as the server tells."""
    if head.status == 200:
        length = head.headers.get("content-length", "")
        return int(length) if length.isdecimal() else None
    match = re.search(r"/(\d+)$", head.headers.get("content-range", ""))
    return int(match.group(1)) if match else None


def _heard(now: int, expected: int | None, address: Address, heard: Callable[[int], None]) -> None:
    if expected is not None and now > expected:
        raise SourceError(f"{address.host} sends more than the {expected:,} bytes of the file.")
    heard(now)


def _translated(error: Exception, address: Address) -> Exception:
    import httpx

    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return _BrokenOffError(str(error) or "no answer", unreachable=True)
    if isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol):
        return _BrokenOffError(str(error) or "no answer")
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL | ssl.SSLError | OSError):
        return SourceError(f"{address.host} can't be asked: {error}.")
    return error


@cache
def _trusted(certificates: str | None) -> ssl.SSLContext:
    """The system's certificate authorities (or those of SSL_CERT_FILE), those of the certifi package, and a file."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if certificates:
        context.load_verify_locations(certificates)
    return context
