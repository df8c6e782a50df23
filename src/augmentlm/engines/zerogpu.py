"""The engine for ZeroGPU Spaces: weights are loaded when the Space starts, and a GPU is there only inside a call.

`spaces.GPU` runs a function in a forked process that has the GPU for at most its duration; arguments and results travel
pickled. Outside of ZeroGPU the decorator does nothing, so all of this runs on any machine. Import this before torch.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import spaces

from augmentlm import catalog
from augmentlm.engines.base import Completion, Engine, Request
from augmentlm.engines.limits import LimitedPool, Limits
from augmentlm.engines.loading import load as load_usual
from augmentlm.engines.transformers import TransformersEngine
from augmentlm.errors import AugmentLMError, EngineError
from augmentlm.machine import Plan
from augmentlm.weights import Progress, fetch_model

TOKENS_PER_SECOND = 25
"""What a 7B model in bf16 surely writes on a slice of an H200. Who asks for less time comes sooner in the queue."""

START_SECONDS = 10
"""Moving the weights to the GPU at the beginning of a call."""

LONGEST_SECONDS = 110
"""A visitor who is not logged in has two minutes a day."""

LOOK_SECONDS = 0.25
"""How soon a batch that was stopped leaves the GPU, which counts against the visitor's time."""

_engines: dict[str, TransformersEngine] = {}


def preload(names: Sequence[str], *, device: str = "cuda", progress: Progress | None = None) -> None:
    """Fetch and load these catalog models in bf16, before the app is launched: later there is no GPU to load to.

    Raises as `fetch_model` does, and `EngineError`.
    """
    for name in names:
        model = catalog.model(name)
        assert model.chat is not None
        weights = fetch_model(model, progress=progress)
        _engines[model.artifact.name] = TransformersEngine(weights, model.chat, quantization="bf16", device=device)


def zero_pool(limits: Limits) -> LimitedPool:
    """A pool that takes the preloaded models for what runs on transformers, and llama.cpp on the CPU for the rest."""

    def fetch(plan: Plan, progress: Progress, stop: threading.Event) -> Any:
        return None if plan.engine == "transformers" else fetch_model(plan.model, progress=progress, stop=stop)

    def make(plan: Plan, weights: Any, progress: Progress, stop: threading.Event) -> Engine:
        if plan.engine == "transformers":
            return ZeroGpuEngine(plan.model.artifact.name)
        return load_usual(plan, weights, progress, stop)

    # The card has room for all that was preloaded, and is not here to be asked.
    return LimitedPool(limits, fetch=fetch, make=make, free_bytes=lambda device: 2**40)


class ZeroGpuEngine:
    """A preloaded model, each call of which borrows a GPU. Raises `EngineError` for one that was not preloaded."""

    def __init__(self, artifact: str) -> None:
        if artifact not in _engines:
            raise EngineError(f"{artifact} was not loaded when this Space started.", hint="Choose another model.")
        self._artifact = artifact

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        """Pieces of text as they are made; the last item is the `Completion`."""
        with closing(_borrowed(lambda: stream_on_gpu(self._artifact, request))) as pieces:
            text = ""
            for piece in pieces:
                yield piece
                if isinstance(piece, Completion):
                    return
                text += piece
                if stop.is_set():  # the event does not reach the other process: leaving the call ends it
                    yield _cancelled(request, text)
                    return

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        """Rows as they finish. Of those that are stopped nothing comes back from the other process."""
        missing = dict(enumerate(requests))
        if not stop.is_set():
            with closing(_borrowed(lambda: generate_on_gpu(self._artifact, tuple(requests)))) as rows:
                for row in rows:
                    if row:
                        del missing[row[0]]
                        yield row
                    if stop.is_set():
                        break
        for index, request in missing.items():
            yield index, _cancelled(request)

    def close(self) -> None:
        """Nothing: the weights stay for the next call."""


def seconds_of_stream(artifact: str, request: Request) -> int:
    """How long one text needs a GPU at most."""
    return min(LONGEST_SECONDS, START_SECONDS + request.sampling.max_tokens // TOKENS_PER_SECOND)


def seconds_of_rows(artifact: str, requests: tuple[Request, ...]) -> int:
    """How long a batch needs a GPU at most: its rows are written side by side."""
    longest = max((request.sampling.max_tokens for request in requests), default=0)
    return min(LONGEST_SECONDS, START_SECONDS + 2 * longest // TOKENS_PER_SECOND)


@spaces.GPU(duration=seconds_of_stream)
def stream_on_gpu(artifact: str, request: Request) -> Iterator[str | Completion | AugmentLMError]:
    """One text, where there is a GPU. An error comes as the last item: of what is raised the platform sends the class's
    name alone."""
    try:
        yield from _engines[artifact].stream(request, threading.Event())
    except AugmentLMError as error:
        yield error


@spaces.GPU(duration=seconds_of_rows)
def generate_on_gpu(
    artifact: str, requests: tuple[Request, ...]
) -> Iterator[tuple[int, Completion] | AugmentLMError | None]:
    """Many texts, where there is a GPU; None whenever no row has ended for a moment: a call can be left at a yield. An
    error comes as the last item."""
    came: queue.SimpleQueue[Any] = queue.SimpleQueue()
    left = threading.Event()
    end = object()

    def write() -> None:
        try:
            for row in _engines[artifact].generate(requests, left):
                came.put(row)
        finally:
            came.put(end)

    with ThreadPoolExecutor(1) as writer:  # waited for: the GPU is not given back in the middle of a step
        writing = writer.submit(write)
        try:
            while (row := _next(came)) is not end:
                yield row
            writing.result()  # raises what it ran into
        except AugmentLMError as error:
            yield error
        finally:
            left.set()


def _next(came: queue.SimpleQueue[Any]) -> Any:
    try:
        return came.get(timeout=LOOK_SECONDS)
    except queue.Empty:
        return None


def _cancelled(request: Request, text: str = "") -> Completion:
    return Completion(text, "cancelled", 0, 0, 0.0, 0.0, request.sampling.seed)


def _borrowed(call: Callable[[], Any]) -> Generator[Any, None, None]:
    """What a call on the GPU yields; an error that it ends with is raised, and the platform's refusals (quota, queue,
    time) as a sentence."""
    import gradio as gr

    try:
        with closing(call()) as made:
            for item in made:
                if isinstance(item, AugmentLMError):
                    raise item
                yield item
    except gr.Error as error:
        raise EngineError(f"The shared GPU was not given: {error.message}", retryable=True) from error
