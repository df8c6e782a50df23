"""Rows that an engine takes no part in: a text that is too long, or one that a server's content filter stops.

Such a row fails every time, so work that ended at it would never come to its end. It is told from an engine that takes
part in nothing, whose fault passes or can be mended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from augmentlm.engines.chat_api import is_about_row
from augmentlm.errors import EngineError, InputError
from augmentlm.tasks import Pair, Task, TaskInput

FIRST_WAIT = 1.0
"""Seconds before a row is asked for again; doubled each time."""

PLAIN = "Name three fruits."
"""A text that nothing speaks against."""

_PLAIN_PAIRS = (Pair(PLAIN, "Apple, pear, plum."), Pair("Name two birds.", "Wren, robin."))

Row = TypeVar("Row", bound=Hashable)
Made = TypeVar("Made")


def plain_input(task: Task) -> TaskInput:
    """What a task is given to see whether its engine works at all."""
    return list(_PLAIN_PAIRS) if task == "pair" else PLAIN


@dataclass(frozen=True)
class Refusal:
    """What stands in the place of a row's text: why the engine took no part in it."""

    failure: EngineError | InputError

    @property
    def reason(self) -> str:
        return str(self.failure)


@dataclass
class Patience:
    """How often a row is asked for again, after pauses that grow, when it fails alone by a fault that is not its own.

    Without tries such a fault is raised at once. `worked` says whether the engine ever made anything: one that never
    did is not waited for.
    """

    tries: int
    worked: bool = False


def made_or_refused(
    rows: Sequence[Row],
    make: Callable[[Sequence[Row]], Generator[tuple[Row, Made], None, None]],
    plain: Callable[[Row], Iterable[object]],
    stop: threading.Event,
    patience: Patience | None = None,
) -> Generator[tuple[Row, Made | Refusal], None, None]:
    """Each row with what `make` made of it, as they come, or with a `Refusal` when it fails even alone.

    After a failure the rows that lack are asked for again in smaller parts, which grow while all goes well. `plain`
    asks what a row asks, about a plain text: what the engine raises there is not the row's fault, so it is raised, and
    nothing is told of the rows that lack. With `patience` a row that fails again and again where a plain text goes well
    is refused too, whatever the fault. Ends early when `stop` is set.
    """
    patience = patience or Patience(tries=0)
    waiting, size, tries = list(rows), len(rows), 0
    while waiting and not stop.is_set():
        batch, done = waiting[:size], set[Row]()
        failure: EngineError | InputError | None = None
        try:
            with closing(make(batch)) as made:
                for row, each in made:
                    done.add(row)
                    yield row, each
        except (EngineError, InputError) as error:
            if not (is_about_row(error) or patience.tries):
                raise
            failure = error
        if done:
            patience.worked, tries = True, 0
        is_alone = len(batch) == 1 and not done
        if failure is None:
            done.update(batch)  # what an engine left out without a word is for the caller to notice
            size *= 2
        elif stop.is_set():
            return
        elif not patience.worked and _may_be_the_engine(failure, is_alone):
            _ask(plain(batch[0]))
            patience.worked = True
        elif not is_alone:
            size = max(1, len(batch) // 2)
        elif tries < patience.tries and not is_about_row(failure):
            stop.wait(FIRST_WAIT * 2**tries)
            tries += 1
        else:
            _ask(plain(batch[0]))
            if stop.is_set():
                return
            done.add(batch[0])
            tries = 0
            yield batch[0], Refusal(failure)
        waiting = [row for row in waiting if row not in done]


def _may_be_the_engine(failure: EngineError | InputError, is_alone: bool) -> bool:
    """Whether fewer rows would fare no better, as far as the failure tells: it is no row's, and not one of memory."""
    if is_about_row(failure):
        return False
    return is_alone or not (isinstance(failure, EngineError) and failure.retryable)


def _ask(plain: Iterable[object]) -> None:
    for _ in plain:
        pass
