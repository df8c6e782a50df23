"""Where an augmenter's model runs: on this machine, leased from the pool, or behind a server."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from augmentlm.catalog import Model
from augmentlm.engines.base import Engine
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError
from augmentlm.machine import Plan
from augmentlm.tasks import Style
from augmentlm.weights import Progress, identity


@dataclass(frozen=True)
class LocalModel:
    """A catalog model on this machine, leased from the pool for each piece of work."""

    entry: Model
    plan: Plan
    pool: EnginePool
    progress: Progress | None

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def engine(self) -> str:
        return self.plan.engine

    @property
    def quantization(self) -> str:
        return self.plan.quantization

    @property
    def style(self) -> Style:
        return self.entry.style

    @property
    def adapter(self) -> str | None:
        return self.entry.name if self.entry.adapter else None

    @property
    def candidates(self) -> int:
        return self.entry.candidates

    @property
    def weights(self) -> dict[str, str]:
        return identity(self.entry)

    def lease(self, stop: threading.Event) -> AbstractContextManager[Engine]:
        return self.pool.lease(self.plan, progress=self.progress, stop=stop)


@dataclass(frozen=True)
class RemoteModel:
    """A model behind an OpenAI-compatible server: general, so it gets the task explained."""

    name: str
    server: Engine
    weights: dict[str, str]
    engine: str = "endpoint"
    quantization: str = "unknown"
    style: Style = "prompted"
    adapter: str | None = None
    candidates: int = 1

    def lease(self, stop: threading.Event) -> AbstractContextManager[Engine]:
        return nullcontext(self.server)


def remote(endpoint: str, model: str | None, api_key: str | None) -> RemoteModel:
    """What an OpenAI-compatible server calls `model`. Raises `InputError` without a name."""
    from augmentlm.engines.endpoint import EndpointEngine

    if not model:
        raise InputError("An endpoint needs the name of a model.", hint="Name it as the server does, such as qwen-max.")
    return RemoteModel(model, EndpointEngine(endpoint, model, api_key), {"endpoint": endpoint})
