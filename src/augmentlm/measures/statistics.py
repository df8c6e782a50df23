"""Shares with an interval that says how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Z95 = 1.959963984540054
"""The normal quantile that leaves 2.5 % on either side."""


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score (J. Am. Stat. Assoc. 22, 1927): right near 0 and 1 too.

    `successes` may be a fraction, where a trial is a mean. Without trials the interval is everything, 0 to 1.
    """
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    scale = 1 + Z95**2 / trials
    middle = (share + Z95**2 / (2 * trials)) / scale
    half = Z95 / scale * math.sqrt(share * (1 - share) / trials + Z95**2 / (4 * trials**2))
    # At the ends the bound is exactly 0 or 1; rounding would leave a hair.
    return (0.0 if share == 0 else max(0.0, middle - half)), (1.0 if share == 1 else min(1.0, middle + half))


@dataclass(frozen=True)
class Rate:
    """How often something held. `passed` of `rows` rows; several rows of one prompt are one trial of the interval."""

    passed: int
    rows: int
    prompts: int
    share: float

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.share * self.prompts, self.prompts)

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {
            "share": round(self.share, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "passed": self.passed,
            "rows": self.rows,
            "prompts": self.prompts,
        }


def rate(outcomes: Iterable[tuple[str, bool]]) -> Rate | None:
    """The rate over (prompt id, held?) of every row, each prompt weighing the same; None when there are no rows.

    Samples of one prompt resemble each other, so the interval counts prompts: it is wide rather than too narrow.
    """
    by_prompt: dict[str, list[bool]] = {}
    for prompt, held in outcomes:
        by_prompt.setdefault(prompt, []).append(held)
    if not by_prompt:
        return None
    rows = [held for group in by_prompt.values() for held in group]
    share = sum(sum(group) / len(group) for group in by_prompt.values()) / len(by_prompt)
    return Rate(sum(rows), len(rows), len(by_prompt), share)
