"""The chat completions API as OpenAI-compatible servers speak it: addresses, request bodies, events and refusals."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from augmentlm.engines.base import Finish, Request
from augmentlm.errors import AugmentLMError, EngineError, InputError
from augmentlm.tasks import clean

KEY_VARIABLE = "AUGMENTLM_API_KEY"
EXAMPLE = "Give its base address, such as http://127.0.0.1:8000/v1."

OPTIONAL = ("stream_options", "top_k", "seed")
"""Fields that not every server takes: one that refuses a field by name gets the request again without it."""

BUSY = frozenset({408, 429, 500, 502, 503, 504})
REFUSED = frozenset({400, 413, 422})

_FINISHES: dict[str, Finish] = {"stop": "stop", "eos_token": "stop", "stop_sequence": "stop", "length": "length"}
_MOST_MESSAGE_CHARS = 300
_MOST_LINE_BYTES = 1_000_000


class BusyError(EngineError):
    """The server can't answer now. `wait` is how many seconds it asks to be left alone, if it says."""

    def __init__(self, message: str, *, hint: str = "", wait: float | None = None) -> None:
        super().__init__(message, hint=hint, retryable=True)
        self.wait = wait


class RefusedError(EngineError):
    """The server takes no part in this request; another one may pass. `fields` are optional ones it named."""

    def __init__(self, message: str, *, hint: str = "", fields: Collection[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.fields = fields


def is_about_row(failure: AugmentLMError) -> bool:
    """Whether what an engine raised may be the fault of one row, and others may go well: its text is too long, or a
    server takes no part in it."""
    return isinstance(failure, InputError) or isinstance(failure.__cause__, RefusedError)


@dataclass(frozen=True)
class Event:
    """What one server-sent event tells: more text, why the text ended, (prompt, completion) tokens, or the end."""

    text: str = ""
    finish: Finish | None = None
    usage: tuple[int, int] | None = None
    done: bool = False


def base_address(given: str) -> str:
    """The address of the API without a slash at its end; `/v1` is added where no version stands in the path.

    Raises `InputError` for anything but a plain http or https address: credentials and queries get into logs.
    """
    try:
        parts = urlsplit(given.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError("The endpoint's address is not a web address.", hint=EXAMPLE) from error
    if parts.scheme not in ("http", "https") or not host:
        raise InputError("The endpoint's address must begin with http:// or https://.", hint=EXAMPLE)
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "The endpoint's address holds a name or password.", hint=f"Leave it out; the key goes in ${KEY_VARIABLE}."
        )
    if parts.query or parts.fragment:
        raise InputError("The endpoint's address holds more than a path.", hint=EXAMPLE)
    if not re.fullmatch(r"[!-~]+", parts.netloc + parts.path):
        raise InputError("The endpoint's address holds characters that an address can't have.", hint=EXAMPLE)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    if not re.search(r"/v\d\w*(/|$)", path):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_loopback(address: str) -> bool:
    """Whether an address is on this machine, where no proxy helps."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def body(model: str, request: Request, without: Collection[str]) -> dict[str, Any]:
    """The request in JSON. `top_k` is not in OpenAI's own API, but most servers take it."""
    sampling = request.sampling
    fields = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return {name: value for name, value in fields.items() if value is not None and name not in without}


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines of a stream of bytes. (httpx's own also cut at U+2028 and others, which JSON strings may hold.)"""
    kept = b""
    async for chunk in chunks:
        *whole, kept = (kept + chunk).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r")
        if len(kept) > _MOST_LINE_BYTES:
            raise not_compatible("it sends a line without end")
    if kept:
        yield kept


def read_line(line: bytes) -> Event:
    """One line of the answer; raises `RefusedError` for an error the server reports in it."""
    name, colon, value = line.partition(b":")
    if name in (b"", b"event", b"id", b"retry"):  # blank lines and comments keep the connection alive
        return Event()
    if not colon or name not in (b"data", b"error"):
        raise not_compatible("its answer is not a stream of events")
    value = value.strip()
    if value == b"[DONE]":
        return Event(done=True)
    try:
        chunk = json.loads(value)
    except ValueError as error:
        raise not_compatible("its events are not JSON") from error
    if name == b"error" or (isinstance(chunk, dict) and chunk.get("error")):
        raise RefusedError(f"The server broke off: {said(value) or 'it reports an error'}")
    return _event(chunk)


def _event(chunk: Any) -> Event:
    try:
        usage = chunk.get("usage")
        counts = (int(usage["prompt_tokens"]), int(usage["completion_tokens"])) if usage else None
        if not chunk["choices"]:
            return Event(usage=counts)
        choice = chunk["choices"][0]
        text, reason = choice["delta"].get("content") or "", choice.get("finish_reason")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise not_compatible("its events are no chat completions") from error
    if not isinstance(text, str):
        raise not_compatible("its text is not text")
    if reason and reason not in _FINISHES:
        raise RefusedError(f"The server ended the answer early: {clean(str(reason))[:_MOST_MESSAGE_CHARS]}")
    return Event(text, _FINISHES[reason] if reason else None, counts)


def said(answer: bytes) -> str:
    """The message in an error's body, in the forms that servers use; empty when there is none."""
    try:
        found = json.loads(answer)
    except ValueError:
        return ""
    for name in ("error", "message", "detail"):
        if isinstance(found, dict):
            found = found.get(name) or found
    if isinstance(found, list):  # FastAPI's: where it is, and what is wrong
        found = "; ".join(
            f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('msg', '')}"
            for each in found
            if isinstance(each, dict)
        )
    text = " ".join(clean(found).split()) if isinstance(found, str) else ""
    return text if len(text) <= _MOST_MESSAGE_CHARS else text[: _MOST_MESSAGE_CHARS - 1] + "…"


def fault(status: int, answer: bytes, base: str, model: str, *, has_key: bool, wait: float | None) -> EngineError:
    """The error for an answer that is not 200: a sentence with what the server said."""
    message = said(answer)
    tail = f": {message}{'' if message[-1] in '.!?…' else '.'}" if message else f" (HTTP {status})."
    if status in (401, 403):
        what = "refuses the key" if has_key else "wants a key"
        return EngineError(f"The server at {base} {what}{tail}", hint=f"Give its key, or set ${KEY_VARIABLE}.")
    if status == 404 and "model" in message.lower():
        return EngineError(
            f"The server at {base} has no model {model!r}{tail}", hint=f"{base}/models lists the names it knows."
        )
    if status in REFUSED:
        named = [field for field in OPTIONAL if re.search(rf"\b{field}\b", message)]
        return RefusedError(f"The server at {base} refused the request{tail}", fields=named)
    if status == 429:
        pause = f"It asks for a pause of {wait:.0f} seconds." if wait else "Wait, or check your limits there."
        return BusyError(f"The server at {base} takes no more requests now{tail}", hint=pause, wait=wait)
    if status in BUSY:
        return BusyError(f"The server at {base} failed{tail}", hint="Try again later.", wait=wait)
    return EngineError(f"{base} doesn't answer like an OpenAI-compatible server{tail}", hint=EXAMPLE)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to be left alone, which it gives as a number or as a date."""
    value = headers.get("retry-after", "").strip()
    try:
        return float(value) if value.isdigit() else max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def root(error: BaseException) -> str:
    """Why a connection failed, in the words of the system: httpx and anyio wrap them several times."""
    while cause := error.__cause__ or error.__context__:
        error = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no secure connection comes about ({error.reason})"
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno).lower()
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".").lower()


def not_compatible(why: str) -> EngineError:
    """The error for a server that answers well, but in another language."""
    return EngineError(f"The server is not OpenAI-compatible: {why}.", hint=EXAMPLE)
