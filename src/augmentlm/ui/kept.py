"""Finished runs of the page's own examples: the next visitor sees them again, and no GPU is borrowed for that.

Nothing that a visitor typed can get here: a run is kept under an example of the page, and only when the input was that
example and no option was touched. It is in memory alone, and one run of each example at most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

from augmentlm.results import Result
from augmentlm.ui.texts import LANGUAGES, say


def named(text: str, keys: Iterable[str]) -> str | None:
    """The name of the example under these keys that this is, in whatever language of the page; None for other texts."""
    names = {say(language, key): f"{key} ({language})" for key in keys for language in LANGUAGES}
    return names.get(text.strip())


class Kept:
    """One for all visitors, safe to use from several threads. Unless `on`, every run is made and none is kept."""

    def __init__(self, on: bool = False) -> None:
        self._on = on
        self._runs: dict[str, tuple[Result, ...]] = {}

    def run(
        self, example: str | None, seen: Collection[str], rows: int, make: Callable[[], Generator[Any, None, None]]
    ) -> Generator[Any, None, None]:
        """The kept results of an example; what `make` makes when there are none, or when this page has `seen` a run of
        it: seeds are drawn, so who asks once more gets something new. `example` is its name, None for all else.

        What was made is kept when it came to its end: all `rows` of it, and none cut off.
        """
        kept = self._runs.get(example) if example and example not in seen else None
        if kept:
            yield from (replace(result, kept=True) for result in kept)
            return
        made = []
        with closing(make()) as items:
            for item in items:
                if isinstance(item, Result):
                    made.append(item)
                yield item
        if self._on and example and len(made) == rows and all(row.finish == "stop" for row in made):
            self._runs.setdefault(example, tuple(made))
