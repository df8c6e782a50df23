"""Progress on a terminal: of weights, one line that is redrawn; of rows, a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from augmentlm.weights.disk import Work, size

__all__ = ["DownloadProgress", "RowProgress", "duration", "size"]

_REDRAW_SECONDS = 0.1
_QUIET_STEPS = 4  # without a terminal: a line at each quarter
_QUIET_SECONDS = 10.0  # between two lines about the same work: a row a line would be thousands


class DownloadProgress:
    """Called with bytes done and bytes in all; a new total begins a new download. Leaving it clears the line.

    It also shows the conversion that may follow. Without a terminal, the line in the log that announces it is enough.
    """

    def __init__(self, out: TextIO, *, now: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._now = now
        self._terminal = out.isatty()
        self._job: tuple[Work, int] = ("download", -1)
        self._started = self._drawn = 0.0
        self._start_bytes = self._step = 0
        self._open = False

    def __call__(self, done: int, total: int, work: Work = "download") -> None:
        now = self._now()
        if (work, total) != self._job:
            self._job, self._started, self._start_bytes, self._step = (work, total), now, done, 0
            if done < total and not self._terminal and work == "download":
                self._line(f"Downloading {size(total)}.")
        elif self._terminal:
            if now - self._drawn >= _REDRAW_SECONDS or done >= total:
                self._drawn = now
                self._redraw(done, now)
            if done >= total:
                self.close()
        elif work == "download" and (step := _QUIET_STEPS * done // max(total, 1)) > self._step:
            self._step = step
            self._line(f"{size(done)} of {size(total)}" + ("." if done < total else ": done."))

    def _redraw(self, done: int, now: float) -> None:
        work, total = self._job
        elapsed, came = now - self._started, done - self._start_bytes
        left = f", {duration(elapsed / came * (total - done))} left" if came > 0 and elapsed > 1 else ""
        what = "Converting the model" if work == "convert" else f"Downloading {size(done)} of {size(total)}"
        self._out.write(f"\r\x1b[K{what} ({100 * done // max(total, 1)} %{left})")
        self._out.flush()
        self._open = True

    def _line(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def close(self) -> None:
        if self._open:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def duration(seconds: float) -> str:
    """Time for people: "8 s", "3 min", "2 h 5 min"."""
    whole = max(1, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class RowProgress:
    """A line on stderr now and then: which work, how many rows (`noun`), how long it will take."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._work = ""
        self._started = self._said = 0.0
        self._begun_at = 0

    def __call__(self, work: str, done: int, total: int) -> None:
        now = time.monotonic()
        if work != self._work:
            self._work, self._started, self._begun_at = work, now, done
        elif now - self._said < _QUIET_SECONDS and done < total:
            return
        self._said = now
        made, seconds = done - self._begun_at, now - self._started
        left = f", {duration(seconds / made * (total - done))} left" if made and done < total else ""
        print(f"augmentlm: {work}: {done} of {total} {self._noun}{left}", file=sys.stderr, flush=True)
