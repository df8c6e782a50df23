"""A deterministic engine for tests and documentation: it answers from a function, word by word."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator, Sequence

from augmentlm.engines.base import Completion, Finish, Request
from augmentlm.tasks import Message

Script = Callable[[Request], str]


def echo(request: Request) -> str:
    """The default script: the user's text with a word in front."""
    return f"Scripted: {request.messages[-1].content}"


class ScriptedEngine:
    """Answers with `script(request)`, a word a token, waiting `delay` seconds before each."""

    def __init__(self, script: Script = echo, delay: float = 0.0) -> None:
        self.script = script
        self.delay = delay

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        started = time.perf_counter()
        written: list[str] = []
        first = 0.0
        finish: Finish = "stop"
        for word in _words(self.script(request)):
            if stop.wait(self.delay) if self.delay else stop.is_set():
                finish = "cancelled"
                break
            if len(written) == request.sampling.max_tokens:
                finish = "length"
                break
            first = first or time.perf_counter() - started
            written.append(word)
            yield word
            if request.is_over and request.is_over("".join(written)):
                break
        yield Completion(
            text="".join(written),
            finish=finish,
            prompt_tokens=_count(request.messages),
            completion_tokens=len(written),
            ttft_s=first,
            seconds=time.perf_counter() - started,
            seed=request.sampling.seed,
        )

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        for index, request in enumerate(requests):
            *_, completion = self.stream(request, stop)
            assert isinstance(completion, Completion)
            yield index, completion

    def close(self) -> None:
        """Nothing is held."""


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _count(messages: Sequence[Message]) -> int:
    return sum(len(_words(message.content)) for message in messages)
