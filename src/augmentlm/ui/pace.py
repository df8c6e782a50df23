"""How far a download is, and how long it will take."""

from __future__ import annotations

import time

from augmentlm.ui import markup
from augmentlm.ui.texts import say


class Pace:
    """The pace of one download, counted from the first word of it: a part may be here from an earlier try."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._from = 0

    def bar(self, key: str, progress: tuple[int, int], language: str) -> str:
        """A progress bar; `key` names its text, which takes `done` and `total`."""
        done, total = progress
        now = time.monotonic()
        if self._began is None:
            self._began, self._from = now, done
        label = say(language, key, done=markup.size(done), total=markup.size(total))
        elapsed, fetched = now - self._began, done - self._from
        if fetched > 0 and elapsed > 1 and done < total:
            left = markup.duration(elapsed / fetched * (total - done), language)
            label = f"{label} · {say(language, 'common.left', time=left)}"
        return markup.bar(label, done, total)
