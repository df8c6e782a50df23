"""The nearest of many texts by meaning: embeddings of what must not come again in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augmentlm.measures.embed import Embed

if TYPE_CHECKING:
    import numpy as np

_FIRST_ROWS = 256


class Alike:
    """Texts with their embeddings, each embedded once: those added wait until they are first looked through."""

    def __init__(self, threshold: float, embed: Embed) -> None:
        self._threshold = threshold
        self._embed = embed
        self._names: list[str] = []
        self._waiting: list[str] = []
        self._rows: np.ndarray | None = None  # with room for more, so that a new one seldom moves the others
        self._count = 0
        self._looked_up: tuple[str, np.ndarray] | None = None

    def add(self, text: str, name: str) -> None:
        """Remember a text. `name` is what the evidence calls it."""
        self._names.append(name)
        if self._looked_up and self._looked_up[0] == text:  # most are added when they were found to be new
            self._take_up()
            self._put(self._looked_up[1][None])
        else:
            self._waiting.append(text)

    def find(self, text: str) -> tuple[float, str] | None:
        """The cosine and the name of the nearest text if it is above the threshold."""
        self._take_up()
        vector = self._embed([text])[0]
        self._looked_up = text, vector
        if self._rows is None:
            return None
        nearness = self._rows[: self._count] @ vector
        best = int(nearness.argmax())
        score = float(nearness[best])
        return (score, self._names[best]) if score > self._threshold else None

    def _take_up(self) -> None:
        if self._waiting:
            self._put(self._embed(self._waiting))
            self._waiting = []

    def _put(self, vectors: np.ndarray) -> None:
        import numpy as np

        end = self._count + len(vectors)
        if self._rows is None or end > len(self._rows):
            grown = np.empty((max(_FIRST_ROWS, 2 * end), vectors.shape[1]), dtype=vectors.dtype)
            if self._rows is not None:
                grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        self._rows[self._count : end] = vectors
        self._count = end
