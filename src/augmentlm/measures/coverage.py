"""How much of a set of texts another set reaches, by their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NEIGHBOURS = 5
"""k of Naeem et al.: a set drawn like the other covers 1 - 2**-k of it, 97 %, when the two are of the same size."""


def covered(real: np.ndarray, made: np.ndarray, k: int = NEIGHBOURS) -> list[bool]:
    """For each row of `real` (n, d), whether a row of `made` (m, d) lies within the ball of its k nearest of `real`.

    The mean of it is the coverage of Naeem et al. 2020 (arXiv 2002.09797, equation 9). Rows are normalised, distance
    is the angle's cosine. With k or fewer rows in `real`, the ball reaches to the furthest of the others.
    """
    import numpy as np

    if len(real) < 2 or not len(made):
        return [False] * len(real)
    among = real @ real.T
    np.fill_diagonal(among, -np.inf)  # no row is its own neighbour
    place = min(k, len(real) - 1)
    radius = -np.partition(-among, place - 1, axis=1)[:, place - 1]
    nearest = (real @ made.T).max(axis=1)
    return [bool(found) for found in nearest >= radius - 1e-6]


def nearest(texts: np.ndarray, others: np.ndarray) -> list[float]:
    """For each row of `texts` the cosine similarity with the nearest row of `others`; normalised rows."""
    return [float(value) for value in (texts @ others.T).max(axis=1)] if len(texts) and len(others) else []
