"""Rows that an engine takes no part in: a text that is too long, or one that a server's content filter stops.

Such a row fails every time, so a run that ended at it would never come to its end. It is told from an engine that takes
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

PLAIN = "Name three fruits."
"""A text that nothing speaks against."""

Row = TypeVar("Row", bound=Hashable)
Made = TypeVar("Made")


@dataclass(frozen=True)
class Refusal:
    """What stands in the place of a row's text: why the engine took no part in it."""

    reason: str


def made_or_refused(
    rows: Sequence[Row],
    make: Callable[[Sequence[Row]], Generator[tuple[Row, Made], None, None]],
    plain: Callable[[Row], Iterable[object]],
    stop: threading.Event,
) -> Generator[tuple[Row, Made | Refusal], None, None]:
    """Each row with what `make` made of it, as they come, or with a `Refusal` when it fails even alone.

    After a failure that is a row's, the others are asked for again: the first alone, then twice as many each time.
    `plain` asks what a row asks, about a plain text: where that fails too, the fault is not the row's. Raises what the
    engine raises for all other faults, and then nothing is told of the rows that lack; ends early when `stop` is set.
    """
    waiting, size = list(rows), len(rows)
    while waiting and not stop.is_set():
        batch, done = waiting[:size], set[Row]()
        failure: EngineError | InputError | None = None
        try:
            with closing(make(batch)) as made:
                for row, each in made:
                    done.add(row)
                    yield row, each
        except (EngineError, InputError) as error:
            if not is_about_row(error):
                raise
            failure = error
        if failure is None:
            done.update(batch)  # what an engine left out without a word is for the caller to notice
            size *= 2
        elif len(batch) > 1 or done:
            size = 1
        else:
            for _ in plain(batch[0]):
                pass
            if stop.is_set():
                return
            done.add(batch[0])
            yield batch[0], Refusal(str(failure))
        waiting = [row for row in waiting if row not in done]
