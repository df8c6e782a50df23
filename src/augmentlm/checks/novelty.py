"""Is a text new, or nearly a copy? ROUGE-L as in Self-Instruct (arXiv 2212.10560, section 2.2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from augmentlm.checks.finding import Finding

NEAR_COPY = 0.7
"""Self-Instruct drops an instruction whose ROUGE-L with an earlier one is above this."""

_COPIED, _COPIED_WORDS = 0.8, 20
"""A response of so many words that is nearer to an example's is copied: none of 2,820 in the teaching data is, where
the examples' form is kept. Short ones may well be the same: a label, a number."""

_CHARACTERS = r"\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff"  # Chinese and Japanese
_CJK = rf"{_CHARACTERS}\uac00-\ud7af"
# Vowel signs and accents of their own, and scripts whose words are full of them (Devanagari to Myanmar, Khmer).
_MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    r"\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff\u0f18-\u0fbc\u1000-\u109f\u1780-\u17d3\u200c\u200d"
)
_CHARACTER = re.compile(f"[{_CHARACTERS}]")
_TOKEN = re.compile(rf"[{_CJK}]|(?:[^\W_{_CJK}]|[{_MARKS}])+")


def tokens(text: str) -> list[str]:
    """Lower-case words and digits of any script; Chinese, Japanese and Korean characters count one by one."""
    return _TOKEN.findall(unicodedata.normalize("NFC", text.lower()))


def is_character(token: str) -> bool:
    """Whether one of `tokens` is a Chinese or Japanese character, of which two are about a word."""
    return _CHARACTER.fullmatch(token) is not None


def rouge_l(first: str, second: str) -> float:
    """ROUGE-L F1 between 0 and 1: how long a common subsequence the two texts share."""
    a, b = tokens(first), tokens(second)
    if not a or not b:
        return 1.0 if first.strip() == second.strip() else 0.0
    return 2 * common_subsequence(a, b) / (len(a) + len(b))


def near_copy(text: str, others: Mapping[str, str], threshold: float = NEAR_COPY) -> Finding | None:
    """The nearest of `others` (label → text) if it is nearer than the threshold."""
    label, score = max(((label, rouge_l(text, other)) for label, other in others.items()), key=lambda p: p[1])
    if score <= threshold:
        return None
    return Finding("near_copy", f"{score:.2f} ROUGE-L with {label}")


def copied_response(response: str, others: Mapping[str, str]) -> Finding | None:
    """The example (label → response) whose response this one repeats."""
    found = near_copy(response, others, _COPIED) if len(tokens(response)) >= _COPIED_WORDS else None
    return Finding("near_copy", f"the response: {found.evidence}") if found else None


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, a machine word of columns at a time (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for index, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << index
    everything = (1 << len(a)) - 1
    row = everything
    for token in b:
        hits = row & places.get(token, 0)
        row = (row + hits | row - hits) & everything
    return len(a) - row.bit_count()
