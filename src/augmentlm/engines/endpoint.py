"""The engine on a server: anything that speaks OpenAI's chat completions, such as vLLM, TGI or llama.cpp."""

from __future__ import annotations

import asyncio
import json
import os
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from augmentlm.engines import chat_api
from augmentlm.engines.answer_text import AnswerText
from augmentlm.engines.background import Halted, Put, in_background
from augmentlm.engines.base import Completion, Finish, Request
from augmentlm.engines.chat_api import KEY_VARIABLE, BusyError, RefusedError
from augmentlm.errors import AugmentLMError, EngineError, InputError

AT_ONCE = 4
"""Requests that are under way together. Small servers have about as many slots; free tiers allow few more."""

RETRIES = 4
FIRST_WAIT = 1.0
"""Seconds before a request that met a busy server is sent again; doubled each time."""

LONGEST_WAIT = 60.0
"""A server that asks for a longer pause gets no second request: the error says so instead."""

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0
"""How long a server may say nothing: a busy one lets requests queue before the first token."""

POLL_SECONDS = 0.1
_MOST_ERROR_BYTES = 65_536


class EndpointEngine:
    """One model of an OpenAI-compatible server; `base_url` may be given with or without `/v1`.

    The key is `api_key`, else $AUGMENTLM_API_KEY, else a dummy; a hub token is never sent. A server has no adapters
    to switch: one that serves a LoRA gives it a model name of its own.

    Token counts are the server's own. Where it reports none, or is left before it does because the text is over, pieces
    of text are counted instead (most send a token a piece) and 0 prompt tokens. `Completion.seed` is None where the
    server doesn't take a seed.

    A busy server (429, 5xx, a lost connection) is asked again a few times, unless text has been shown already. Raises
    `InputError` for an address or key that can't be used, and `EngineError` when the server can't be reached, refuses
    the key, doesn't know the model or answers in another language.
    """

    def __init__(self, base_url: str, model: str, api_key: str | None = None) -> None:
        self._base = chat_api.base_address(base_url)
        self._model = model
        self._key = (api_key or os.environ.get(KEY_VARIABLE) or "").strip()
        if not all("!" <= char <= "~" for char in self._key):
            raise InputError("The key holds characters that no key has.", hint="Copy it again, without blanks.")
        self._not_taken: frozenset[str] = frozenset()

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        """Pieces of text as they are made; the last item is the `Completion`."""

        async def work(put: Put, halted: Halted) -> None:
            async with self._client() as client:
                put(await self._answer(client, request, halted, put))

        yield from in_background(work, stop)

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        """Rows as they finish, a few at a time. A row that the server refuses is reported after the others."""
        waiting = deque(enumerate(requests))
        refused: list[RefusedError] = []
        failed: list[AugmentLMError] = []
        answered = 0

        async def work(put: Put, halted: Halted) -> None:
            async def serve() -> None:
                nonlocal answered
                # A server that refuses the first rows all alike would refuse the rest.
                while waiting and not failed and (answered or len(refused) < AT_ONCE):
                    index, request = waiting.popleft()
                    try:
                        completion = await self._answer(client, request, halted)
                    except RefusedError as error:
                        refused.append(error)
                    except AugmentLMError as error:
                        failed.append(error)
                    else:
                        answered += 1
                        put((index, completion))

            async with self._client() as client:
                await asyncio.gather(*(serve() for _ in range(AT_ONCE)))

        yield from in_background(work, stop)
        if failed:
            raise failed[0]
        if refused:
            first = refused[0]
            count = f"{len(refused)} of {len(requests)} requests failed. " if len(requests) > 1 else ""
            raise EngineError(f"{count}{first.message}", hint=first.hint) from first

    def close(self) -> None:
        """Nothing is held between requests."""

    def _client(self) -> httpx.AsyncClient:
        try:
            return httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._key or 'none'}", "Content-Type": "application/json"},
                timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
                verify=_certificates(),
                trust_env=not chat_api.is_loopback(self._base),
            )
        except (ImportError, ValueError) as error:
            raise EngineError(
                f"The proxy can't be used: {error}", hint="Look at HTTPS_PROXY, HTTP_PROXY and ALL_PROXY."
            ) from error

    async def _answer(
        self, client: httpx.AsyncClient, request: Request, halted: Halted, show: Callable[[str], None] | None = None
    ) -> Completion:
        """Read one answer, and leave the server at once when `halted`."""
        draft = _Draft(request.sampling.seed, request.is_over)
        if halted():
            return draft.completion("cancelled")
        reading = asyncio.ensure_future(self._read(client, request, draft, show))
        while not reading.done():
            if halted() and not reading.cancelling():
                reading.cancel()
            await asyncio.wait({reading}, timeout=POLL_SECONDS)
        finish = "cancelled" if reading.cancelled() else reading.result()
        if (rest := draft.text.end()) and show:
            show(rest)
        return draft.completion(finish)

    async def _read(
        self, client: httpx.AsyncClient, request: Request, draft: _Draft, show: Callable[[str], None] | None
    ) -> Finish:
        tries = 0
        without = self._not_taken
        while True:
            body = chat_api.body(self._model, request, without)
            draft.restart(body.get("seed"))
            try:
                finish = await self._attempt(client, body, draft, show)
            except RefusedError as error:
                if without.issuperset(error.fields):
                    raise
                without |= frozenset(error.fields)
            except BusyError as error:
                wait = FIRST_WAIT * 2**tries * random.uniform(0.75, 1.25) if error.wait is None else error.wait
                tries += 1
                if tries > RETRIES or wait > LONGEST_WAIT or (show and draft.text.pieces):
                    raise
                await asyncio.sleep(wait)
            else:
                self._not_taken = without
                return finish

    async def _attempt(
        self, client: httpx.AsyncClient, body: dict[str, Any], draft: _Draft, show: Callable[[str], None] | None
    ) -> Finish:
        try:
            async with client.stream("POST", f"{self._base}/chat/completions", content=json.dumps(body)) as response:
                if response.status_code != httpx.codes.OK:
                    raise chat_api.fault(
                        response.status_code,
                        await _beginning(response),
                        self._base,
                        self._model,
                        has_key=bool(self._key),
                        wait=chat_api.retry_after(response.headers),
                    )
                return await _listen(response, draft, show)
        except EngineError as error:
            if self._key and self._key in error.message:  # some servers repeat it in what they say about it
                error.message = error.message.replace(self._key, "***")
                error.args = (f"{error.message} {error.hint}".strip(),)
            raise
        except httpx.ConnectTimeout as error:
            raise self._unreachable("it doesn't answer") from error
        except httpx.TimeoutException as error:
            raise EngineError(
                f"The server at {self._base} has said nothing for {SILENCE_SECONDS:.0f} seconds.",
                hint="It may be overloaded; try again later.",
                retryable=True,
            ) from error
        except (httpx.ConnectError, httpx.ProxyError) as error:
            raise self._unreachable(chat_api.root(error)) from error
        except httpx.TransportError as error:
            if isinstance(error, httpx.RemoteProtocolError) and "connect" not in str(error):
                raise chat_api.not_compatible("it doesn't speak HTTP") from error
            raise BusyError(f"The connection to {self._base} was lost.", hint="Try again.") from error
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise EngineError(f"{self._base} can't be used: {error}.", hint=chat_api.EXAMPLE) from error

    def _unreachable(self, why: str) -> EngineError:
        return EngineError(
            f"The server at {self._base} can't be reached: {why}.",
            hint="Check the address, and whether the server is running.",
            retryable=True,
        )


@cache
def _certificates() -> ssl.SSLContext:
    """The authorities trusted for https, read once: it takes a tenth of a second."""
    return httpx.create_ssl_context()


@dataclass
class _Draft:
    """An answer while it is read."""

    seed: int | None
    is_over: Callable[[str], bool] | None = None
    text: AnswerText = field(default_factory=AnswerText)
    events: int = 0
    usage: tuple[int, int] | None = None
    ttft_s: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def restart(self, seed: int | None) -> None:
        self.seed, self.text, self.events, self.usage, self.ttft_s = seed, AnswerText(), 0, None, 0.0

    def completion(self, finish: Finish) -> Completion:
        prompt_tokens, completion_tokens = self.usage or (0, self.events)
        return Completion(
            text=str(self.text),
            finish=finish,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            ttft_s=self.ttft_s,
            seconds=time.perf_counter() - self.started,
            seed=self.seed,
        )


async def _listen(response: httpx.Response, draft: _Draft, show: Callable[[str], None] | None) -> Finish:
    """Take the answer down piece by piece."""
    finish: Finish | None = None
    begun = False
    async for line in chat_api.lines(response.aiter_bytes()):
        event = chat_api.read_line(line)
        begun = True
        if event.done:
            return finish or "stop"
        finish = event.finish or finish
        draft.usage = event.usage or draft.usage
        if event.text:
            draft.ttft_s = draft.ttft_s or time.perf_counter() - draft.started
            draft.events += 1
            shown = draft.text.add(event.text)
            if shown and show:
                show(shown)
            if draft.is_over and draft.is_over(str(draft.text)):
                return "stop"
    if not begun:
        raise chat_api.not_compatible("its answer is empty")
    if finish is None:
        raise BusyError("The server broke off in the middle of its answer.", hint="Try again.")
    return finish


async def _beginning(response: httpx.Response) -> bytes:
    """As much of an error's body as a message may take."""
    found = b""
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) > _MOST_ERROR_BYTES:
            break
    return found
