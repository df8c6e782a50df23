"""The one noun users hold: `load(task)` gives an `Augmenter` to call, to stream from and to run over many inputs."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from augmentlm import catalog, tasks
from augmentlm.catalog import Model, Sampling
from augmentlm.checks import Finding, assess
from augmentlm.checks.novelty import NEAR_COPY
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.pool import EnginePool, default_pool
from augmentlm.errors import DoesNotFitError, InputError, MissingExtraError
from augmentlm.machine import Purpose, inspect, plan
from augmentlm.results import Result, TextStream
from augmentlm.sources import LocalModel, RemoteModel, remote
from augmentlm.tasks import TASKS, Message, Task, TaskInput, check_input, parse, render
from augmentlm.tries import TRIES, Row, tried
from augmentlm.weights import Progress, is_cached
from augmentlm.weights.pulled import find

__all__ = ["Augmenter", "Result", "TextStream", "load"]

_TRIED_AGAIN = frozenset({"refine", "expand", "pair"})


def load(
    task: Task,
    model: str | None = None,
    *,
    engine: str | None = None,
    quantization: str | None = None,
    purpose: Purpose = "person",
    endpoint: str | None = None,
    api_key: str | None = None,
    pool: EnginePool | None = None,
    progress: Progress | None = None,
) -> Augmenter:
    """An augmenter for a task, on the best model that fits this machine or on the one named.

    `model` is a name of the catalog, or `OWNER/NAME[@REVISION]` for a LoRA adapter on the hub whose base is in the
    catalog; such an adapter is fetched at once. `purpose="batch"` is for many rows: without a GPU they get an engine
    that works on them together and takes longer to load. With `endpoint` (the base URL of an OpenAI-compatible server)
    `model` is the server's name for it. Weights are fetched and loaded at the first use; `progress` hears of the bytes.
    Raises `UnknownModelError`, `InputError` (unknown task, no adapter on a base here), `DoesNotFitError`,
    `MissingExtraError`, and for an adapter `WeightsError`.
    """
    if task not in TASKS:
        raise InputError(f"There is no task called {task!r}.", hint=f"Choose one of {', '.join(TASKS)}.")
    if endpoint:
        return Augmenter(task, remote(endpoint, model, api_key))
    entry = find(model, progress=progress) if model else best_model(task, engine, quantization)
    if task not in entry.tasks:
        able = ", ".join(candidate.name for candidate in catalog.models_for(task))
        raise InputError(f"{entry.name} can't do {task}.", hint=f"These can: {able}.")
    chosen = plan(entry, inspect(), engine=engine, quantization=quantization, purpose=purpose)
    return Augmenter(task, LocalModel(entry, chosen, pool or default_pool(), progress))


def best_model(task: Task, engine: str | None = None, quantization: str | None = None) -> Model:
    """The largest published model that is downloaded and runs on a GPU here, in the way asked for if one was; otherwise
    the task's usual one, and on a machine where that runs in no way a smaller one of its family."""
    machine = inspect()
    published = [
        entry
        for entry in catalog.models_for(task)
        if entry.family in ("hub-7b", "hub-1.5b") and is_cached(entry.artifact)
    ]
    for entry in sorted(published, key=lambda entry: -entry.shape.parameters) if machine.gpus else ():
        # It may have been downloaded for another machine, or the way asked for may be one of the usual model alone.
        with suppress(DoesNotFitError, MissingExtraError, InputError):
            if plan(entry, machine, engine=engine, quantization=quantization).device == "cuda":
                return entry
    usual = catalog.usual_model(task)
    smaller = [
        entry
        for entry in catalog.models_for(task)
        if entry.family == usual.family and entry.shape.parameters < usual.shape.parameters
    ]
    for entry in (usual, *sorted(smaller, key=lambda entry: -entry.shape.parameters)):
        with suppress(DoesNotFitError, MissingExtraError):  # what fits may need packages that are not here
            plan(entry, machine)
            return entry
    return usual


class Augmenter:
    """A task on a model. Made by `load`; safe to use from several threads."""

    def __init__(self, task: Task, source: LocalModel | RemoteModel) -> None:
        self.task = task
        self._source = source

    @property
    def model(self) -> str:
        return self._source.name

    @property
    def engine(self) -> str:
        return self._source.engine

    @property
    def quantization(self) -> str:
        return self._source.quantization

    @property
    def weights(self) -> dict[str, str]:
        """What identifies the weights: digests by name, the commit of a repository, or the address of a server."""
        return self._source.weights

    def sampling(self, **wanted: Any) -> Sampling:
        """The task's usual sampling with what is wanted instead (`temperature`, …). Raises `InputError`."""
        return self._sampling(wanted)

    def warm_up(self, stop: threading.Event | None = None) -> None:
        """Fetch and load the weights now instead of at the first use."""
        with self._source.lease(stop or threading.Event()):
            pass

    def __call__(self, value: TaskInput, *, stop: threading.Event | None = None, **sampling: Any) -> Result:
        """One result for one input. `sampling` is `temperature`, `top_p`, `top_k`, `max_tokens`, `seed`."""
        stream = self.stream(value, stop=stop, **sampling)
        for _ in stream:
            pass
        return stream.result

    def stream(self, value: TaskInput, *, stop: threading.Event | None = None, **sampling: Any) -> TextStream:
        """The same, piece by piece. Input that can't be worked on raises `InputError` at once."""
        checked = check_input(self.task, value)
        event = stop or threading.Event()
        return TextStream(self._stream(checked, self._sampling(sampling), event), event.set)

    def batch(
        self,
        values: Sequence[TaskInput],
        n: int = 1,
        *,
        stop: threading.Event | None = None,
        is_over: Callable[[str], bool] | None = None,
        **sampling: Any,
    ) -> Iterator[Result]:
        """`n` results for each input, as they finish; `Result.index` says of which input.

        An input that can't be worked on comes back at once with the finding `input`; the others go on. Results of
        the same input are checked against each other too. One that a check speaks against is asked for again with
        another seed, after a near-copy warmer, up to `TRIES` times; the last comes back as it is. With a `seed`,
        sample k first uses seed + k. `is_over` ends a text of which no more is wanted (see `Request`); without it the
        task tells. What an engine raises comes last, after all that was made.
        """
        if n < 1:
            raise InputError(f"{n} results can't be made.", hint="Ask for one or more.")
        settings = self._sampling(sampling)
        rows: list[Row] = []
        for index, value in enumerate(values):
            try:
                checked = check_input(self.task, value)
            except InputError as error:
                yield self.without_text(value, Finding("input", str(error)), index)
                continue
            rows += [(index, checked, self._request(checked, settings, sample, is_over)) for sample in range(n)]
        if rows:
            yield from self._batch(rows, stop or threading.Event())

    def converse(
        self, chats: Sequence[Sequence[Message]], *, stop: threading.Event | None = None, **sampling: Any
    ) -> Iterator[tuple[int, Completion]]:
        """The model's next turn in each chat, as they finish, each with its index: for work that brings its own
        prompts. Nothing is parsed or checked."""
        settings = self._sampling(sampling)
        requests = [Request(tuple(chat), self._seeded(settings, sample=0), self._source.adapter) for chat in chats]
        event = stop or threading.Event()
        with self._source.lease(event) as engine, closing(engine.generate(requests, event)) as completions:
            yield from completions

    def rows(
        self,
        rows: Sequence[tuple[TaskInput, int]],
        *,
        contexts: Sequence[tuple[Message, ...]] | None = None,
        near_copy: float = NEAR_COPY,
        stop: threading.Event | None = None,
        **sampling: Any,
    ) -> Iterator[Result]:
        """One result for each (input, sampling seed), as they finish; `Result.index` says of which.

        `contexts` are the turns of the conversation before each input, for `respond`. Results are not checked against
        each other; `near_copy` is the highest ROUGE-L with their own input. Raises `InputError` for an input that can't
        be worked on.
        """
        settings = self._sampling(sampling)
        work = []
        for index, (value, seed) in enumerate(rows):
            checked = check_input(self.task, value)
            request = self._request(checked, replace(settings, seed=seed), 0)
            if contexts and contexts[index]:
                request = replace(request, messages=(*contexts[index], *request.messages))
            work.append((index, checked, request))
        with self._source.lease(stop or threading.Event()) as engine:
            requests = [request for _, _, request in work]
            with closing(engine.generate(requests, stop or threading.Event())) as completions:
                for place, completion in completions:
                    index, value, _ = work[place]
                    yield self._result(index, value, completion, {}, near_copy)

    def _stream(self, value: TaskInput, sampling: Sampling, stop: threading.Event) -> Iterator[str | Result]:
        # `closing`, because a reader who leaves early must not leave the model running.
        with (
            self._source.lease(stop) as engine,
            closing(engine.stream(self._request(value, sampling, 0), stop)) as pieces,
        ):
            for piece in pieces:
                yield self._result(0, value, piece, {}) if isinstance(piece, Completion) else piece

    def _batch(self, rows: list[Row], stop: threading.Event) -> Iterator[Result]:
        times = TRIES if self.task in _TRIED_AGAIN else 1
        with self._source.lease(stop) as engine:
            yield from tried(engine, rows, self._result, times=times, count=self._source.candidates, stop=stop)

    def _sampling(self, wanted: dict[str, Any]) -> Sampling:
        given = {name: value for name, value in wanted.items() if value is not None}
        try:
            sampling = replace(catalog.default_sampling(self.task), **given)
        except TypeError as error:
            raise InputError(f"Unknown sampling setting: {error}.") from error
        if sampling.temperature < 0 or not 0 < sampling.top_p <= 1 or sampling.top_k < 0 or sampling.max_tokens < 1:
            raise InputError(
                "The sampling settings are out of range.",
                hint="temperature ≥ 0, 0 < top_p ≤ 1, top_k ≥ 0 and max_tokens ≥ 1.",
            )
        return sampling

    def _request(
        self, value: TaskInput, sampling: Sampling, sample: int, is_over: Callable[[str], bool] | None = None
    ) -> Request:
        messages = render(self.task, value, self._source.style)
        over = is_over or partial(tasks.is_over, self.task)
        return Request(messages, self._seeded(sampling, sample), self._source.adapter, is_over=over)

    def _seeded(self, sampling: Sampling, sample: int) -> Sampling:
        # Every row gets a seed of its own, drawn here when none is given, so that each can be repeated.
        seed = secrets.randbelow(2**31) if sampling.seed is None else sampling.seed + sample
        return replace(sampling, seed=seed)

    def _result(
        self,
        index: int,
        value: TaskInput,
        completion: Completion,
        earlier: dict[str, str],
        near_copy: float = NEAR_COPY,
    ) -> Result:
        parsed = parse(self.task, completion.text)
        return Result(
            task=self.task,
            model=self.model,
            engine=self.engine,
            quantization=self.quantization,
            input=value,
            output=parsed.value,
            text=completion.text,
            finish=completion.finish,
            findings=assess(self.task, value, parsed, completion.finish, earlier, near_copy),
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            ttft_s=completion.ttft_s,
            seconds=completion.seconds,
            seed=completion.seed,
            index=index,
        )

    def without_text(self, value: TaskInput, why: Finding, index: int = 0) -> Result:
        """The result of an input that nothing was written for."""
        return Result(
            task=self.task,
            model=self.model,
            engine=self.engine,
            quantization=self.quantization,
            input=value,
            output=None,
            text="",
            finish="stop",
            findings=(why,),
            prompt_tokens=0,
            completion_tokens=0,
            ttft_s=0.0,
            seconds=0.0,
            seed=None,
            index=index,
        )
