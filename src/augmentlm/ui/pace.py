"""How far the weights are, and how long they will take."""

from __future__ import annotations

import time

from augmentlm.ui import markup
from augmentlm.ui.texts import say
from augmentlm.weights import Told, Work


class Pace:
    """The pace of one download and of the conversion that may follow it, each counted from the first word of it: a
    part may be here from an earlier try."""

    def __init__(self) -> None:
        self._work: Work | None = None
        self._began = 0.0
        self._from = 0

    def bar(self, told: Told, label: str, language: str) -> str:
        """A progress bar with its label, and how long it will take."""
        now = time.monotonic()
        if self._work != told.work:
            self._work, self._began, self._from = told.work, now, told.done
        elapsed, came = now - self._began, told.done - self._from
        if came > 0 and elapsed > 1 and told.done < told.total:
            left = markup.duration(elapsed / came * (told.total - told.done), language)
            label = f"{label} · {say(language, 'common.left', time=left)}"
        return markup.bar(label, told.done, told.total)
