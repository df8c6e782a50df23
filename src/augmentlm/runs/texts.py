"""Texts of one step, made with patience: kept the moment they come, asked for again when an engine stumbles."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from augmentlm.augmenter import Augmenter
from augmentlm.engines.refused import Patience, Refusal, made_or_refused, plain_input
from augmentlm.errors import InputError, StoppedError
from augmentlm.results import Result
from augmentlm.runs.journal import Text
from augmentlm.tasks import Message, TaskInput

RETRIES = 5
"""How often a row that fails alone is asked for again, where the fault may pass."""

_PLAIN_SEED = 1


@dataclass(frozen=True)
class Wanted:
    """A text to make. `key` is what it is kept under."""

    key: str
    value: TaskInput
    seed: int
    context: tuple[Message, ...] = ()


class Maker:
    """Makes texts with one augmenter."""

    def __init__(
        self, augmenter: Augmenter, sampling: dict[str, object], stop: threading.Event, near_copy: float
    ) -> None:
        self._augmenter = augmenter
        self._sampling = sampling
        self._near_copy = near_copy
        self._stop = stop
        self._patience = Patience(RETRIES)

    def make(self, wanted: Sequence[Wanted]) -> Iterator[Text]:
        """The texts as they finish. When memory runs out or a server stumbles, what is missing is asked for again in
        smaller parts, after a pause that grows; a row that fails even alone becomes a text with a reason code.

        Raises `StoppedError` when stopped, and what the engine raised when it gives nothing at all any more.
        """
        rows = {row.key: row for row in wanted}

        def make(keys: Sequence[str]) -> Generator[tuple[str, Result], None, None]:
            batch = [rows[key] for key in keys]
            results = self._rows([(row.value, row.seed) for row in batch], [row.context for row in batch])
            with closing(results):  # type: ignore[type-var]
                for result in results:
                    if result.finish != "cancelled":
                        yield keys[result.index], result

        def plain(key: str) -> Iterator[Result]:
            # The system message goes along: a server that takes none refuses no row, but the run.
            system = tuple(message for message in rows[key].context if message.role == "system")
            return self._rows([(plain_input(self._augmenter.task), _PLAIN_SEED)], [system])

        with closing(made_or_refused(list(rows), make, plain, self._stop, self._patience)) as found:
            for key, each in found:
                yield self._refusal(rows[key], each) if isinstance(each, Refusal) else _text(rows[key], each)
        if self._stop.is_set():
            raise StoppedError

    def _rows(
        self, rows: Sequence[tuple[TaskInput, int]], contexts: Sequence[tuple[Message, ...]] | None = None
    ) -> Iterator[Result]:
        return self._augmenter.rows(
            rows, contexts=contexts, near_copy=self._near_copy, stop=self._stop, **self._sampling
        )

    def _refusal(self, row: Wanted, refusal: Refusal) -> Text:
        code = "input" if isinstance(refusal.failure, InputError) else "refused"
        return Text(row.key, self._augmenter.task, "", "stop", 0, 0, 0.0, row.seed, code, refusal.reason)


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
