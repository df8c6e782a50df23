"""The rows of a run on the page: how many there are, how fast they come, how long it will take."""

from __future__ import annotations

import time
from collections.abc import Iterable

from augmentlm.errors import StoppedError
from augmentlm.results import Result
from augmentlm.ui import markup
from augmentlm.ui.texts import say


class Tally:
    """Rows so far of `total`, which are made from `seeds` inputs.

    The clock runs from the beginning of the first row, not while weights are loaded.
    """

    def __init__(self) -> None:
        self.rows: list[Result] = []
        self.seeds = self.total = 0
        self._began: float | None = None
        self._last = 0.0

    def add(self, results: Iterable[Result]) -> list[Result]:
        """Count what came; gives back what of it is a row."""
        before = len(self.rows)
        for result in results:
            self._last = time.monotonic()
            if self._began is None:
                self._began = self._last - result.seconds
            # What Stop cut off before its first word is not a row.
            if result.text or result.finish != "cancelled":
                self.rows.append(result)
        return self.rows[before:]

    @property
    def seconds(self) -> float:
        return self._last - (self._began or self._last)

    def bar(self, language: str) -> str:
        """How far it is, with the time left; nothing before the first row."""
        done = len(self.rows)
        if not done:
            return ""
        label = say(language, "common.progress", done=done, total=self.total)
        left = self.seconds / done * (self.total - done)
        if left >= 1:
            label = f"{label} · {say(language, 'common.left', time=markup.duration(left, language))}"
        return markup.bar(label, done, self.total)

    def notes(self, problem: BaseException | None, language: str) -> str:
        """What there is to say when the run is over: an error, that it was stopped, how fast it was."""
        said = ""
        if isinstance(problem, StoppedError) or (problem is None and len(self.rows) < self.total):
            said = markup.note(say(language, "common.stopped"))
        elif problem is not None:
            said = markup.error(problem, language)
        return said + markup.meta([row for row in self.rows if row.completion_tokens], self.seconds, language)
