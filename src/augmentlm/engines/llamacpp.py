"""The engine for GGUF files: several rows at once on llama.cpp, each told apart by its own thread and queue."""

from __future__ import annotations

import queue
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augmentlm.catalog import Chat
from augmentlm.engines.base import Completion, Finish, Request
from augmentlm.engines.chatml import Segment, segments
from augmentlm.engines.llama_server import LlamaServer
from augmentlm.engines.slots import POLL_SECONDS, Slots
from augmentlm.engines.stems import Stems
from augmentlm.errors import AugmentLMError, EngineError, InputError
from augmentlm.machine import LLAMACPP_SLOTS, WORKING_CONTEXT
from augmentlm.tasks import Message

CLOSE_SECONDS = 30
"""How long `close` waits for rows that are being worked on. They end after one step of llama.cpp."""


class LlamaCppEngine:
    """A GGUF file, loaded once, with any number of LoRA adapters on it. Each of `slots` rows has 8,192 tokens.

    `adapters` maps catalog names to GGUF LoRA files; a request names one of them or none. Rows of one adapter are
    worked on together, others in turn, in the order of asking.

    What all inputs of a task begin with (its stem: the chat's opening and the task's own words) is read once a slot.

    The same request with the same seed streams the same text again on the same machine, as long as it runs alone.
    Beside other rows and in a batch numbers are rounded differently, which may tip a choice between two nearly equal
    tokens.

    Raises `EngineError` when a file is missing or damaged, or memory runs out.
    """

    def __init__(
        self, path: Path, chat: Chat, *, slots: int = LLAMACPP_SLOTS, adapters: Mapping[str, Path] | None = None
    ) -> None:
        self._chat = chat
        self._adapters = list(adapters or {})
        self._slots = Slots(slots)
        self._server = LlamaServer(path, slots, list((adapters or {}).values()))
        self._stems = Stems(self._server, self._slots, end=chat.stop_ids[0])
        self._fixed: dict[Segment, list[int]] = {}
        self._closed = threading.Event()
        self._workers: set[threading.Thread] = set()
        # At the end of the process too: a thread that is still in llama.cpp then would bring the process down.
        self._finalizer = weakref.finalize(self, _close, self._closed, self._workers, self._server)

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        """Pieces of text as they are made; the last item is the `Completion`."""
        row = self._begin(_Row(0, request, queue.SimpleQueue()), stop)
        try:
            while not row.finish:
                news = _next(row.news, stop)
                if piece := row.add(news) if news else row.cancel():
                    yield piece
            yield row.completion()
        finally:
            row.left.set()

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        """Rows as they finish. One that can't be worked on doesn't keep the others: its error is raised at the end."""
        waiting = deque(enumerate(requests))
        running: dict[int, _Row] = {}
        news_of_all: queue.SimpleQueue[_News] = queue.SimpleQueue()
        failure: AugmentLMError | None = None
        try:
            while waiting or running:
                while waiting and len(running) < self._slots.count:
                    index, request = waiting.popleft()
                    row = _Row(index, request, news_of_all, in_batch=len(requests) > 1)
                    running[index] = self._begin(row, stop)
                news = _next(news_of_all, stop)
                for row in [running[news.index]] if news else list(running.values()):
                    try:
                        _ = row.add(news) if news else row.cancel()
                    except AugmentLMError as error:
                        failure = failure or error
                        del running[row.index]
                    if row.finish:
                        del running[row.index]
                        yield row.index, row.completion()
            if failure:
                raise failure
        finally:
            for row in running.values():
                row.left.set()

    def close(self) -> None:
        """Free the weights and the port. Work in other threads ends with an `EngineError` at its next step."""
        self._finalizer()

    def _begin(self, row: _Row, stop: threading.Event) -> _Row:
        if stop.is_set():
            row.cancel()
            return row
        worker = threading.Thread(target=self._work, args=(row, stop), name="augmentlm-row", daemon=True)
        self._workers.add(worker)
        worker.start()
        return row

    def _work(self, row: _Row, stop: threading.Event) -> None:
        """One row from its words to its last token, in a thread of its own, telling `row.news`."""
        ended, written = False, ""
        is_over = row.request.is_over

        def given_up() -> bool:
            return row.left.is_set() or stop.is_set() or self._closed.is_set()

        def hear(chunk: dict[str, Any]) -> bool:
            nonlocal ended, written
            choice = {} if "error" in chunk else chunk["choices"][0]
            written += choice.get("text", "")
            over = bool(is_over and not choice.get("finish_reason") and is_over(written))
            if over:  # said here and not by the reader, so that llama.cpp is left at once
                choice["finish_reason"] = "stop"
            ended = "error" in chunk or bool(choice["finish_reason"])
            row.news.put(_News(row.index, time.perf_counter(), chunk))
            return over or given_up()

        try:
            if not given_up():
                prompt, stem = self._encode(row.request.messages)
                body = self._body(row, prompt)
                kind = (row.request.adapter, *stem)
                with self._slots.place(row.request.adapter, kind, given_up) as slot:
                    if slot is not None and row.in_batch:
                        self._stems.forget(slot)
                    elif slot is not None:
                        self._stems.read(slot, kind, stem, prompt[len(stem)], body["lora"], given_up)
                    if slot is not None and not given_up():
                        self._server.complete(body | {"id_slot": slot}, hear)
            if self._closed.is_set() and not ended:
                raise _unloaded()
            if not ended and not given_up():
                raise EngineError("llama.cpp ended in the middle of a text.", hint="Try again.", retryable=True)
        except BaseException as error:  # raised again where the row is read; a thread has nobody else to tell
            row.news.put(_News(row.index, time.perf_counter(), error))
        finally:
            self._workers.discard(threading.current_thread())

    def _body(self, row: _Row, prompt: list[int]) -> dict[str, Any]:
        """What llama.cpp is asked. Its own samplers, such as min-p, are left out: settings mean the same everywhere."""
        request, sampling = row.request, row.request.sampling
        if request.adapter is not None and request.adapter not in self._adapters:
            raise EngineError(f"The adapter {request.adapter} is not loaded.", hint="Name it when the engine is made.")
        room = WORKING_CONTEXT - len(prompt)
        if room < 1:
            raise InputError(
                f"The text has {len(prompt):,} tokens; {WORKING_CONTEXT:,} fit the model's window.", hint="Shorten it."
            )
        greedy = sampling.temperature == 0
        return {
            "prompt": prompt,
            "max_tokens": min(sampling.max_tokens, room),
            "samplers": ["top_k"] if greedy else ["top_k", "temperature", "top_p"],
            "top_k": 1 if greedy else sampling.top_k,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": row.seed % 0xFFFFFFFF,  # 32 bits without the highest number, which asks for a random seed
            # All of them always: llama.cpp applies every adapter to a request that names none.
            "lora": [
                {"id": number, "scale": float(name == request.adapter)} for number, name in enumerate(self._adapters)
            ],
            **({"logprobs": 1} if request.candidate is not None else {}),
            "stream": True,
            "return_progress": True,
            "timings_per_token": True,
        }

    def _encode(self, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
        """A chat up to where the assistant writes, and its stem, up to the user's words in the last message.

        Special tokens come from the markup alone, never from a message.
        """
        ids: list[int] = []
        stem: list[int] = []
        for segment in segments(messages, self._chat):
            if not segment.fixed:
                stem = list(ids)
                ids += self._server.tokenise(segment.text, special=False)
                continue
            if segment not in self._fixed:
                self._fixed[segment] = self._server.tokenise(segment.text, special=segment.markup)
            ids += self._fixed[segment]
        return ids, stem


@dataclass(frozen=True)
class _News:
    """A chunk of llama.cpp's answer, or what kept it from answering; `time` in seconds of the performance counter."""

    index: int
    time: float
    content: dict[str, Any] | BaseException


@dataclass
class _Row:
    """One request as its reader knows it. `left` tells the worker that nobody reads any more."""

    index: int
    request: Request
    news: queue.SimpleQueue[_News]
    in_batch: bool = False
    started: float = field(default_factory=time.perf_counter)
    left: threading.Event = field(default_factory=threading.Event)
    pieces: list[str] = field(default_factory=list)
    likelihoods: list[tuple[int, float]] = field(default_factory=list)
    finish: Finish | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ttft_s: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        seed = self.request.sampling.seed
        self.seed = secrets.randbelow(2**31) if seed is None else seed

    def add(self, news: _News) -> str:
        """The text in a piece of news. Raises what the worker ran into."""
        if isinstance(news.content, BaseException):
            raise news.content
        chunk = news.content
        if "error" in chunk:
            raise EngineError(f"llama.cpp stopped: {chunk['error'].get('message', chunk)}", retryable=True)
        self.seconds = news.time - self.started
        if "prompt_progress" in chunk:
            self.prompt_tokens = chunk["prompt_progress"]["total"]
            return ""
        self.ttft_s = self.ttft_s or self.seconds
        self.completion_tokens = chunk["timings"]["predicted_n"]
        choice = chunk["choices"][0]
        self.finish = choice["finish_reason"]
        if self.request.candidate is not None:
            written = sum(map(len, self.pieces))
            self.likelihoods += [(written, token["logprob"]) for token in (choice["logprobs"] or {}).get("content", ())]
        self.pieces.append(choice["text"])
        return choice["text"]

    def cancel(self) -> str:
        self.left.set()
        self.finish = "cancelled"
        self.seconds = time.perf_counter() - self.started
        return ""

    def completion(self) -> Completion:
        assert self.finish is not None
        return Completion(
            text="".join(self.pieces),
            finish=self.finish,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            ttft_s=self.ttft_s,
            seconds=self.seconds,
            seed=self.seed,
            likelihoods=tuple(self.likelihoods),
        )


def _next(news: queue.SimpleQueue[_News], stop: threading.Event) -> _News | None:
    """The next piece of news, or None once `stop` is set."""
    while not stop.is_set():
        try:
            return news.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
    return None


def _close(closed: threading.Event, workers: set[threading.Thread], server: LlamaServer) -> None:
    closed.set()
    for worker in list(workers):
        worker.join(CLOSE_SECONDS)
    server.close()


def _unloaded() -> EngineError:
    return EngineError("The model was unloaded.", hint="Start again.", retryable=True)
