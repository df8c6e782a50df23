"""The nearest of many texts: ROUGE-L against all that was accepted so far, as in Self-Instruct (arXiv 2212.10560).

An index names the few rows that can be near, so that a candidate isn't compared with all of them; what it names is
compared exactly. Nothing is estimated, so nothing is missed.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Indel

from augmentlm.checks.novelty import NEAR_COPY, rouge_l, tokens

_SLACK = 1e-9
"""Bounds computed in floating point are loosened by this; the verdict is not."""

_FIRST_ORDER = 256
"""Rows after which words are first put in order of how rare they are, and again each time the rows have doubled."""

_NO_ROWS = "\0"
"""The character of a word that no row has."""

_CHARACTERS = 0x10FFFF
"""How many characters there are besides."""

_WORD_BITS = 64
_BITS = 256
"""Bits of a row's fingerprint. More of them tell more rows apart; four machine words are enough for an instruction."""


@dataclass(frozen=True)
class Match:
    """The text that is nearest: `score` is ROUGE-L F1, between 0 and 1, `name` what it was added as."""

    score: float
    name: str


class NearCopies:
    """Texts that a candidate must not repeat: seeds and everything accepted.

    ROUGE-L F1 above t asks two texts of n and m words to have more than t·(n+m)/2 of them in common. So with the words
    of each sorted from the rarest, the first few have one in common (prefix filter: Bayardo et al., WWW 2007), at a
    place that leaves enough behind it (positional filter: Xiao et al., WWW 2008). Rows that pass are held against
    their fingerprints, then compared. Not safe to use from several threads at once.
    """

    def __init__(self, threshold: float = NEAR_COPY) -> None:
        self._threshold = threshold
        self._rows: list[tuple[str, str]] = []  # text and name
        self._codes: list[str] = []  # a row's words in order, each a character, for the C++ comparison
        self._wordless: dict[str, int] = {}
        self._numbers: dict[tuple[str, int], int] = {}  # a word and which occurrence of it → its number
        self._characters: dict[str, str] = {}
        self._counts = array("q")  # how many rows have a numbered word
        self._ranks = array("q")  # its place in the order; words that came since are the rarest
        self._postings: list[array[int]] = []  # rows that have it among their first, with the place there
        self._ordered_at = 0
        self._lengths = np.zeros(_FIRST_ORDER, dtype=np.int64)
        self._prints = np.zeros((_FIRST_ORDER, _BITS // _WORD_BITS), dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, text: str, name: str) -> None:
        """Remember a text. `name` is what the evidence calls it, such as "row 312"."""
        row = len(self._rows)
        if row == len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
            self._prints = np.concatenate([self._prints, np.zeros_like(self._prints)])
        words = tokens(text)
        self._rows.append((text, name))
        self._codes.append("".join(self._character(word) for word in words))
        if not words:
            self._wordless.setdefault(text.strip(), row)
            return
        numbers = [self._number(word, occurrence) for word, occurrence in _occurrences(words)]
        for number in numbers:
            self._counts[number] += 1
        self._lengths[row] = len(words)
        self._prints[row] = _fingerprint(numbers)
        self._post(row, numbers)
        if row + 1 >= max(_FIRST_ORDER, 2 * self._ordered_at):
            self._order()

    def find(self, text: str) -> Match | None:
        """The nearest text whose ROUGE-L F1 is above the threshold, the first added of equals; None if all are far."""
        words = tokens(text)
        if not words:
            row = self._wordless.get(text.strip())
            return None if row is None or self._threshold >= 1 else Match(1.0, self._rows[row][1])
        candidates = self._candidates(words)
        near = process.extract(
            "".join(self._characters.get(word, _NO_ROWS) for word in words),
            {row: self._codes[row] for row in candidates},
            scorer=Indel.normalized_similarity,  # 2·LCS / (n + m), which is ROUGE-L F1
            score_cutoff=self._threshold - _SLACK,
            limit=None,
        )
        # Two rare words may share a character, which can only bring two texts nearer: the verdict is on the words.
        scored = [(rouge_l(text, self._rows[row][0]), -row) for _, _, row in near]
        score, row = max(scored, default=(0.0, 0))
        return Match(score, self._rows[-row][1]) if score > self._threshold else None

    def _candidates(self, words: list[str]) -> list[int]:
        """Rows that have enough words in common with these by every bound there is."""
        length = len(words)
        numbers = [self._numbers.get(key, -1) for key in _occurrences(words)]
        known = sorted((number for number in numbers if number >= 0), key=self._ranks.__getitem__)
        unknown = length - len(known)  # in no row, so the rarest of all
        lists = [self._postings[number] for number in known[: max(0, self._prefix(length) - unknown)]]
        sizes = [len(each) for each in lists]
        if not sum(sizes):
            return []
        posted = np.concatenate([np.frombuffer(each, dtype=np.int64) for each in lists if each])
        rows, theirs = posted >> 32, posted & 0xFFFFFFFF
        ours = np.repeat(np.arange(unknown, unknown + len(lists)), sizes)
        lengths = self._lengths[rows]
        # This word and those that stand behind it in both; for the first one in common, that is all there can be.
        common = np.minimum(length - ours, lengths - theirs)
        rows = np.unique(rows[2 * common > self._threshold * (length + lengths) - _SLACK])
        lengths = self._lengths[rows]
        # A bit in which two fingerprints differ is a word that only one of the texts has.
        mine = np.array(_fingerprint(known), dtype=np.uint64)
        apart = np.bitwise_count(self._prints[rows] ^ mine).sum(axis=1, dtype=np.int64)
        return rows[len(known) + lengths - apart > self._threshold * (length + lengths) - _SLACK].tolist()

    def _prefix(self, length: int) -> int:
        """How many of the rarest words have to be looked at so that no near text is missed."""
        shortest = length * self._threshold / (2 - self._threshold)  # of the texts that can be near at all
        least = math.floor(self._threshold * (length + shortest) / 2 - _SLACK) + 1
        return max(1, length - least + 1)

    def _post(self, row: int, numbers: list[int]) -> None:
        numbers.sort(key=self._ranks.__getitem__)
        for place, number in enumerate(numbers[: self._prefix(len(numbers))]):
            self._postings[number].append(row << 32 | place)

    def _order(self) -> None:
        """Sort words by how many rows have them, and post all rows anew."""
        self._ordered_at = len(self._rows)
        for rank, number in enumerate(sorted(range(len(self._counts)), key=self._counts.__getitem__)):
            self._ranks[number] = rank
        self._postings = [array("q") for _ in self._counts]
        for row, (text, _) in enumerate(self._rows):
            self._post(row, [self._numbers[key] for key in _occurrences(tokens(text))])

    def _number(self, word: str, occurrence: int) -> int:
        number = self._numbers.setdefault((word, occurrence), len(self._counts))
        if number == len(self._counts):
            self._counts.append(0)
            self._ranks.append(-number)
            self._postings.append(array("q"))
        return number

    def _character(self, word: str) -> str:
        found = self._characters.get(word)
        return found or self._characters.setdefault(word, chr(1 + len(self._characters) % _CHARACTERS))


def _occurrences(words: list[str]) -> list[tuple[str, int]]:
    """Each word with how often it stood there before, which makes a set of what else is a multiset."""
    seen: Counter[str] = Counter()
    found = []
    for word in words:
        found.append((word, seen[word]))
        seen[word] += 1
    return found


def _fingerprint(numbers: list[int]) -> list[int]:
    """A bit flipped for each word (bitmap filter: Sandes et al., Inf. Systems 2020), as 64-bit numbers."""
    bits = 0
    for number in numbers:
        bits ^= 1 << number % _BITS
    return [bits >> start & 0xFFFFFFFFFFFFFFFF for start in range(0, _BITS, _WORD_BITS)]
