"""A win rate as it would be if both texts were of the same length: people and models alike prefer longer ones.

The method is that of length-controlled AlpacaEval (Dubois et al., arXiv 2404.04475, section 3) for a single pair of
models: a logistic regression of the vote on theta + phi · tanh(difference of the lengths / its standard deviation).
Its term for how hard an instruction is is left out. The rate is logistic(theta), where the difference is nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from augmentlm.measures.statistics import Z95

EVENTS = 20
"""Wins and losses that there must be of each: ten for each coefficient (Peduzzi et al., J. Clin. Epidemiol. 49, 1996).
"""
_STEPS = 50
_DONE = 1e-10
_SEPARATED = 15.0
"""A coefficient beyond this is on its way to infinity: the lengths alone tell the votes apart."""


@dataclass(frozen=True)
class LengthControlled:
    """The rate at equal lengths with its 95 % interval, and `phi`: above 0, longer texts were preferred."""

    share: float
    low: float
    high: float
    phi: float


def length_controlled(scores: Sequence[float], differences: Sequence[float]) -> LengthControlled | None:
    """From votes (1 a win, 0 a loss, ½ a tie) and how much longer, in characters, the left text was in each.

    None when that can't be told: with too few wins or losses, lengths that don't differ, or lengths that tell the
    votes apart without exception.
    """
    count = len(scores)
    if min(sum(score == 1 for score in scores), sum(score == 0 for score in scores)) < EVENTS:
        return None
    mean = sum(differences) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in differences) / count)
    if deviation == 0:
        return None
    fit = _logistic(scores, [math.tanh(value / deviation) for value in differences])
    if fit is None:
        return None
    theta, phi, error = fit
    low, middle, high = (1 / (1 + math.exp(-(theta + step * Z95 * error))) for step in (-1, 0, 1))
    return LengthControlled(middle, low, high, phi)


def _logistic(scores: Sequence[float], values: Sequence[float]) -> tuple[float, float, float] | None:
    """Intercept, slope and the intercept's standard error, by Newton's method; None when there is no maximum."""
    theta = phi = 0.0
    for _ in range(_STEPS):
        chances = [1 / (1 + math.exp(-(theta + phi * value))) for value in values]
        weights = [chance * (1 - chance) for chance in chances]
        # The information matrix ((a, b), (b, c)) and the gradient (g, h) of the log-likelihood.
        a = sum(weights)
        b = sum(weight * value for weight, value in zip(weights, values, strict=True))
        c = sum(weight * value * value for weight, value in zip(weights, values, strict=True))
        g = sum(score - chance for score, chance in zip(scores, chances, strict=True))
        h = sum((score - chance) * value for score, chance, value in zip(scores, chances, values, strict=True))
        determinant = a * c - b * b
        if determinant <= 1e-12 * a * c:
            return None
        step = (c * g - b * h) / determinant, (a * h - b * g) / determinant
        theta, phi = theta + step[0], phi + step[1]
        if max(abs(theta), abs(phi)) > _SEPARATED:
            return None
        if max(map(abs, step)) < _DONE:
            return theta, phi, math.sqrt(c / determinant)
    return None
