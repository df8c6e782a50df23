"""How demanding a text is to read, without a model."""

from __future__ import annotations

import re

from augmentlm.checks.language import language

_SENTENCE_END = re.compile(r"[.!?]+(?:\s|$)|\n+")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
_VOWELS = re.compile(r"[aeiouy]+")


def reading_grade(text: str) -> float | None:
    """The Flesch-Kincaid grade level: years of school in the US that the text asks of its reader (Kincaid et al. 1975).

    From the length of sentences and of words alone, syllables counted by their vowels. None for text that is not in
    Latin script or has no words: the formula is one for English.
    """
    words = _WORD.findall(text)
    if not words or language(text) != "en":
        return None
    sentences = sum(bool(_WORD.search(part)) for part in _SENTENCE_END.split(text))
    syllables = sum(map(_syllables, words))
    return 0.39 * len(words) / sentences + 11.8 * syllables / len(words) - 15.59


def _syllables(word: str) -> int:
    """Groups of vowels, less a silent e at the end."""
    lower = word.lower()
    count = len(_VOWELS.findall(lower))
    if lower.endswith("e") and not lower.endswith(("le", "ee")) and count > 1:
        count -= 1
    return max(1, count)
