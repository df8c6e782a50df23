"""Limits for strangers: what one request may be on a machine that many share."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from augmentlm.engines.base import Completion, Engine, Request
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError
from augmentlm.machine import Plan
from augmentlm.weights import Progress

_HINT = "Run AugmentLM on your own computer for more."


@dataclass(frozen=True)
class Limits:
    """Per request: characters of its messages, tokens of its answer; rows that one call may ask for."""

    characters: int = 8_000
    tokens: int = 512
    rows: int = 8


class LimitedPool(EnginePool):
    """A pool whose engines refuse what is over the limits, and write no more tokens than they allow."""

    def __init__(self, limits: Limits, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits

    @contextmanager
    def lease(
        self, plan: Plan, *, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> Generator[Engine, None, None]:
        """As the pool does; the engine raises `InputError` for a request that is too large."""
        with super().lease(plan, progress=progress, stop=stop) as engine:
            yield _Limited(engine, self._limits)


@dataclass(frozen=True)
class _Limited:
    engine: Engine
    limits: Limits

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        with closing(self.engine.stream(self._within(request), stop)) as pieces:
            yield from pieces

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        if sum(not request.candidate for request in requests) > self.limits.rows:
            raise InputError(f"Here one call makes up to {self.limits.rows} results.", hint=_HINT)
        with closing(self.engine.generate([self._within(request) for request in requests], stop)) as rows:
            yield from rows

    def close(self) -> None:
        self.engine.close()

    def _within(self, request: Request) -> Request:
        if sum(len(message.content) for message in request.messages) > self.limits.characters:
            raise InputError(f"Here a text may have up to {self.limits.characters:,} characters.", hint=_HINT)
        tokens = min(request.sampling.max_tokens, self.limits.tokens)
        return replace(request, sampling=replace(request.sampling, max_tokens=tokens))
