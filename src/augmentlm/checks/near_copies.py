"""The nearest of many texts: ROUGE-L against all that was accepted so far, as in Self-Instruct (arXiv 2212.10560)."""

from __future__ import annotations

from dataclasses import dataclass

from augmentlm.checks.novelty import NEAR_COPY, common_subsequence, tokens


@dataclass(frozen=True)
class Match:
    """The text that is nearest: `score` is ROUGE-L F1, between 0 and 1, `name` what it was added as."""

    score: float
    name: str


class NearCopies:
    """Texts that a candidate must not repeat: seeds and everything accepted.

    Not safe to use from several threads at once.
    """

    def __init__(self, threshold: float = NEAR_COPY) -> None:
        self._threshold = threshold
        self._rows: list[tuple[str, list[str], str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, text: str, name: str) -> None:
        """Remember a text. `name` is what the evidence calls it, such as "row 312"."""
        self._rows.append((text.strip(), tokens(text), name))

    def find(self, text: str) -> Match | None:
        """The nearest text whose ROUGE-L F1 is above the threshold, the first added of equals; None if all are far."""
        stripped, words = text.strip(), tokens(text)
        best = Match(self._threshold, "")
        for other, those, name in self._rows:
            length = len(words) + len(those)
            if not words or not those:
                score = float(stripped == other)
            elif 2 * min(len(words), len(those)) / length <= best.score:
                continue
            else:
                score = 2 * common_subsequence(words, those) / length
            if score > best.score:
                best = Match(score, name)
        return best if best.score > self._threshold else None
