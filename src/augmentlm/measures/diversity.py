"""How varied and how long a set of texts is. Pure functions; words are those of the novelty check."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from augmentlm.checks.language import language
from augmentlm.checks.novelty import NEAR_COPY, rouge_l, tokens

if TYPE_CHECKING:
    import numpy as np

BLEU_ORDER = 4
_EPSILON = 0.1
"""What an n-gram order without a match counts instead of 0 (method 1 of Chen and Cherry 2014)."""


def distinct(texts: Sequence[str]) -> list[str]:
    """The texts that are no near-copy (ROUGE-L above 0.7) of one kept before, as the product keeps them."""
    kept: list[str] = []
    for text in texts:
        if all(rouge_l(text, earlier) <= NEAR_COPY for earlier in kept):
            kept.append(text)
    return kept


def distinct_n(texts: Sequence[str], n: int) -> float | None:
    """Different n-grams over all n-grams of the whole set (distinct-n, Li et al. 2016, arXiv 1510.03055)."""
    grams = [gram for text in texts for gram in _grams(tokens(text), n)]
    return len(set(grams)) / len(grams) if grams else None


def self_bleu(texts: Sequence[str]) -> float | None:
    """Mean BLEU-4 of each text against all the others (Zhu et al. 2018, arXiv 1802.01886): 0 varied, 1 all alike.

    Sets of the same size only can be compared: with more texts there is more to resemble.
    """
    words = [found for text in texts if (found := tokens(text))]
    if len(words) < 2:
        return None
    counts = [[Counter(_grams(text, order)) for text in words] for order in range(1, BLEU_ORDER + 1)]
    tops = [_two_highest(order) for order in counts]
    lengths = sorted(len(text) for text in words)
    return statistics.fmean(
        _bleu(len(text), [(order[place], top) for order, top in zip(counts, tops, strict=True)], lengths)
        for place, text in enumerate(words)
    )


def spread(vectors: np.ndarray) -> float | None:
    """Mean cosine distance over all pairs of normalised rows (n, d): 0 all alike, about 1 all unrelated."""
    count = len(vectors)
    if count < 2:
        return None
    # The sum over all pairs of dot products is the squared length of the sum, less each row with itself.
    total = vectors.sum(axis=0, dtype="float64")
    return float(1 - (total @ total - (vectors.astype("float64") ** 2).sum()) / (count * (count - 1)))


def length(text: str) -> int:
    """Words, or for Chinese text its characters and the words among them."""
    return len(tokens(text)) if language(text) == "zh" else len(text.split())


def lengths(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Texts, mean and median length for each language (`en` words, `zh` characters)."""
    found: dict[str, list[int]] = {}
    for text in texts:
        found.setdefault(language(text), []).append(length(text))
    return {
        name: {"texts": len(counts), "mean": round(statistics.fmean(counts), 1), "median": statistics.median(counts)}
        for name, counts in sorted(found.items())
    }


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def _two_highest(counts: Sequence[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """For each n-gram its highest count in one text and the highest in any other, so that leaving one out is cheap."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for text in counts:
        for gram, times in text.items():
            first, second = found.get(gram, (0, 0))
            found[gram] = (times, first) if times > first else (first, max(second, times))
    return found


def _bleu(
    size: int,
    orders: Sequence[tuple[Counter[tuple[str, ...]], dict[tuple[str, ...], tuple[int, int]]]],
    lengths: Sequence[int],
) -> float:
    """BLEU of one text of `size` words against the others, whose lengths and its own are in `lengths`."""
    logs = []
    for own, tops in orders:
        total = sum(own.values())
        if not total:
            break  # shorter than the order: only the orders that it has count
        matched = 0
        for gram, times in own.items():
            first, second = tops[gram]
            # Where this text holds the highest count, the others have at most the second.
            matched += min(times, second if times == first else first)
        logs.append(math.log((matched or _EPSILON) / total))
    others = list(lengths)
    others.remove(size)
    nearest = min(others, key=lambda other: (abs(other - size), other))
    brevity = 1.0 if size >= nearest else math.exp(1 - nearest / size)
    return brevity * math.exp(statistics.fmean(logs))
