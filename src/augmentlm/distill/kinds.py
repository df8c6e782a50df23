"""Is a new instruction of its seed's kind? Told by which family of the held-out set it lies nearest to.

A family is four siblings: instructions of one kind with different content. An instruction is near a family when its
embedding is near the mean of the siblings'. Measured on the held-out set: of 288 written expansions 98 in 100 are
taken for their own family's kind, and 0.6 in 100 for that of a foreign one. What embeddings see is subject and kind
together: a text that keeps the seed's subject and asks for something else about it passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from augmentlm.distill.sets import family_of, read_rows, text_of
from augmentlm.measures.embed import Embed

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 0.05
"""How much nearer (cosine) a family of another category may be: categories touch, and a good text may lie between."""


class Kinds:
    """The families of the held-out set as unit vectors. `centres` is (families, d)."""

    def __init__(self, centres: np.ndarray, families: Sequence[str], categories: Sequence[str]) -> None:
        self._centres = centres
        self._families = list(families)
        self._categories = list(categories)

    @classmethod
    def of(cls, data: Path, embed: Embed) -> Kinds:
        """Read from the folder `data` (its `expand/`, which holds the families' instructions)."""
        import numpy as np

        members: dict[str, list[str]] = {}
        category: dict[str, str] = {}
        for row in read_rows(data / "expand", "dev"):
            members.setdefault(family_of(row["id"]), []).append(text_of(row, "instruction"))
            category[family_of(row["id"])] = str(row.get("category"))
        # One instruction says little of a kind: what stands alone is nobody's family.
        members = {family: texts for family, texts in members.items() if len(texts) > 1}
        category = {family: category[family] for family in members}
        vectors = embed([text for texts in members.values() for text in texts])
        ends = np.cumsum([len(texts) for texts in members.values()])[:-1]
        means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends)])
        return cls(means / np.linalg.norm(means, axis=1, keepdims=True), list(members), list(category.values()))

    def knows(self, family: str | None) -> bool:
        return family in self._families

    def same(self, vectors: np.ndarray, families: Sequence[str]) -> list[bool]:
        """For each text (a row of `vectors`), whether it is of the kind of the family named beside it.

        It is when no family of another category is nearer than its own by more than `TOLERANCE`.
        """
        import numpy as np

        nearness = vectors @ self._centres.T
        found = []
        for row, family in zip(nearness, families, strict=True):
            own = self._families.index(family)
            foreign = np.array([category != self._categories[own] for category in self._categories])
            found.append(bool(not foreign.any() or row[own] >= row[foreign].max() - TOLERANCE))
        return found
