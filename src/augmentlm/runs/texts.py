"""Texts of one step, made with patience: kept the moment they come, asked for again when an engine stumbles."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from augmentlm.augmenter import Augmenter
from augmentlm.engines.chat_api import is_about_row
from augmentlm.errors import EngineError, InputError, StoppedError
from augmentlm.results import Result
from augmentlm.runs.journal import Text
from augmentlm.tasks import Message, TaskInput

RETRIES = 5
FIRST_WAIT = 1.0
"""Seconds before a row is asked for again; doubled each time."""

MOST_REFUSED = 4
"""After this many rows in a row that an engine would not work on, it is taken to refuse them all."""


@dataclass(frozen=True)
class Wanted:
    """A text to make. `key` is what it is kept under."""

    key: str
    value: TaskInput
    seed: int
    context: tuple[Message, ...] = ()


class Maker:
    """Makes texts with one augmenter. `answered` tells whether it ever gave one."""

    def __init__(self, augmenter: Augmenter, sampling: dict[str, object], stop: threading.Event) -> None:
        self._augmenter = augmenter
        self._sampling = sampling
        self._stop = stop
        self._answered = False
        self._refused = 0

    def make(self, wanted: Sequence[Wanted]) -> Iterator[Text]:
        """The texts as they finish. When memory runs out or a server stumbles, what is missing is asked for again in
        smaller parts, after a pause that grows; a row that fails even alone becomes a text with a reason code.

        Raises `StoppedError` when stopped, and what the engine raised when it gives nothing at all any more.
        """
        waiting = list(wanted)
        size, tries = len(waiting), 0
        while waiting:
            batch = waiting[:size]
            done: set[str] = set()
            failure: EngineError | InputError | None = None
            try:
                for row, result in self._batch(batch):
                    done.add(row.key)
                    yield _text(row, result)
            except (EngineError, InputError) as error:
                failure = error
            if self._stop.is_set():
                raise StoppedError from failure
            waiting = [row for row in waiting if row.key not in done]
            if done:
                self._answered, self._refused, tries = True, 0, 0
            if failure is None:
                size *= 2
            elif done or len(batch) > 1:
                if not (done or self._answered or _may_pass(failure)):
                    raise failure
                size = max(1, len(batch) // 2)
            elif self._answered and not is_about_row(failure) and tries < RETRIES:
                self._pause(FIRST_WAIT * 2**tries)
                tries += 1
            else:
                self._refused += 1
                # Where it never worked, or works no longer for anything, the fault is not this row's.
                if self._refused >= MOST_REFUSED or not (self._answered or is_about_row(failure)):
                    raise failure
                waiting.remove(batch[0])
                tries = 0
                yield self._refusal(batch[0], failure)

    def _batch(self, batch: Sequence[Wanted]) -> Iterator[tuple[Wanted, Result]]:
        results = self._augmenter.rows(
            [(row.value, row.seed) for row in batch],
            contexts=[row.context for row in batch],
            stop=self._stop,
            **self._sampling,
        )
        with closing(results):  # type: ignore[type-var]
            for result in results:
                if result.finish != "cancelled":
                    yield batch[result.index], result

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError

    def _refusal(self, row: Wanted, failure: EngineError | InputError) -> Text:
        code = "input" if isinstance(failure, InputError) else "refused"
        return Text(row.key, self._augmenter.task, "", "stop", 0, 0, 0.0, row.seed, code, str(failure))


def _may_pass(failure: EngineError | InputError) -> bool:
    """Whether fewer rows may get through where many did not."""
    return is_about_row(failure) or (isinstance(failure, EngineError) and failure.retryable)


def _text(row: Wanted, result: Result) -> Text:
    first = result.findings[0] if result.findings else None
    return Text(
        key=row.key,
        step=result.task,
        text=result.text,
        finish=result.finish,
        prompt_tokens=result.prompt_tokens,
        completion_tokens=result.completion_tokens,
        seconds=round(result.seconds, 3),
        seed=row.seed,
        code=first.code if first else "",
        evidence="; ".join(finding.evidence for finding in result.findings),
    )
