"""What a rewrite added and took away, word by word; Chinese, Japanese and Korean go character by character."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

Change = Literal["same", "added", "removed"]

_CJK = r"\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
_TOKEN = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+|\s+|.")
MAX_WORDS = 6_000
"""Beyond this a comparison takes seconds, and nobody reads it."""


@dataclass(frozen=True)
class Span:
    """A stretch that is in both texts, only in the new one ("added"), or only in the old one ("removed")."""

    change: Change
    text: str


def diff(old: str, new: str) -> list[Span]:
    """The spans in reading order. Without the removed ones they are `new`, to the character.

    Case does not make a word new: "Write" at the start of a sentence is still the user's "write".
    """
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    if max(len(before), len(after)) > MAX_WORDS:
        return [Span("removed", old), Span("added", new)]
    tokens = list(_tokens(before, after))
    for place in range(1, len(tokens) - 1):
        around = {tokens[place - 1].change, tokens[place + 1].change}
        if tokens[place].text.isspace() and around == {"added"}:
            tokens[place] = Span("added", tokens[place].text)
    return [
        Span(change, "".join(span.text for span in group))
        for change, group in groupby(tokens, key=lambda span: span.change)
    ]


def _tokens(before: list[str], after: list[str]) -> Iterator[Span]:
    kept = _kept(before, after)
    # Where the old text goes on after each word of the new one: what was removed stands before what took its place.
    onward, following = [0] * len(after), len(before)
    for place in reversed(range(len(after))):
        following = kept.get(place, following)
        onward[place] = following
    reached = 0
    for place, token in enumerate(after):
        if token.isspace():
            yield Span("same", token)
            continue
        # Blank space between the last kept word and the removed one stands in the new text already.
        gone = "".join(before[reached : onward[place]]).lstrip()
        if gone:
            yield Span("removed", gone)
        reached = onward[place]
        if place in kept:
            yield Span("same", token)
            reached += 1
        else:
            yield Span("added", token)
    rest = "".join(before[reached:]).rstrip()
    if rest.strip():
        yield Span("removed", rest)


def _kept(before: list[str], after: list[str]) -> dict[int, int]:
    """Places in `after` of the words that were in `before`, with their places there."""
    old = [place for place, token in enumerate(before) if not token.isspace()]
    new = [place for place, token in enumerate(after) if not token.isspace()]
    matcher = SequenceMatcher(
        None, [before[place].casefold() for place in old], [after[place].casefold() for place in new], autojunk=False
    )
    return {
        new[block.b + step]: old[block.a + step]
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    }
