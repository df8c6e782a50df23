"""Both texts of a blind duel at one pace, so that the faster model can't be told by its speed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Level:
    """How many pieces of each text are shown: of the faster one no more than the slower one has.

    Once the slower one is done the other goes on at the pace that both had until then, rather than appearing at once.
    """

    _shown: float = 0.0
    _began: float | None = None
    _met: tuple[float, float] | None = None

    def shown(self, counts: tuple[int, int], over: tuple[bool, bool], now: float) -> tuple[int, int]:
        """The pieces to show of texts that have `counts` pieces so far; `now` is in seconds and never goes back."""
        if self._began is None and min(counts) > 0:
            self._began = now
        running = [count for count, done in zip(counts, over, strict=True) if not done]
        if not any(over):
            self._shown = max(self._shown, float(min(counts)))
        else:
            if self._met is None:
                self._met = now, self._pace(now)
            since, pace = self._met
            self._met = now, pace
            most = min(running) if running else max(counts)
            self._shown = max(self._shown, min(float(most), self._shown + pace * (now - since)))
        return min(counts[0], int(self._shown)), min(counts[1], int(self._shown))

    def _pace(self, now: float) -> float:
        """Pieces a second so far; a reader's pace when there was nothing to measure."""
        elapsed = now - self._began if self._began is not None else 0.0
        return self._shown / elapsed if elapsed > 0.5 and self._shown else USUAL_PACE


USUAL_PACE = 12.0
"""Pieces a second when one text was over before the other began."""
