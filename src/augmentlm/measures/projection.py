"""Texts on a plane: t-SNE of their embeddings."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from augmentlm.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np

PERPLEXITY = 30.0
"""The value of van der Maaten and Hinton 2008 and of scikit-learn: about how many neighbours a point has."""

FEWEST = 6
"""Fewer points than this are no map."""


def tsne(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Places on a plane (n, 2) where near neighbours stay near (van der Maaten and Hinton, JMLR 9, 2008).

    Distances between groups, their sizes and the axes mean nothing. The same vectors give the same map on the same
    machine. Raises `MissingExtraError` without scikit-learn.
    """
    if find_spec("sklearn") is None:
        raise MissingExtraError(
            "The map needs scikit-learn, not installed here.", hint='Run `pip install -e ".[reports]"`.'
        )
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    return TSNE(metric="cosine", init="random", perplexity=perplexity, random_state=seed).fit_transform(vectors)
