"""Continuous batching: a row that ends makes room for the next at once, and what two prompts share is read once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence

import torch

from augmentlm.engines.base import Finish
from augmentlm.engines.decoding import PREFILL_TOKENS, Row, choose, likeliest
from augmentlm.engines.int8_qwen2 import Cache, Piece

WORTH_WAITING = 16
"""A row waits when another is reading at least so many tokens that it could then copy."""

LOOKAHEAD = 256
"""How many waiting rows are looked through for one that needn't wait."""

Forward = Callable[[Sequence[Piece], Sequence[int]], tuple[torch.Tensor, torch.Tensor]]
"""Pieces and the numbers of those after which logits are wanted → logits and each line's factor."""


class Places:
    """The rows of a cache: who is worked on in each, and which tokens it holds, also when nobody is any more."""

    def __init__(self, cache: Cache, count: int, longest_prompt: int) -> None:
        self._cache = cache
        self.rows: list[Row | None] = [None] * count
        self.read = [0] * count  # tokens of the row that are in the cache
        self._prompts = torch.full((count, longest_prompt), -1, dtype=torch.int32)
        self._left_at = [0] * count
        self._time = 0

    def enter(self, row: Row) -> bool:
        """Give a row a place, if there is a free one and nothing is gained by waiting."""
        prompt = torch.tensor(row.prompt, dtype=torch.int32)
        same = (self._prompts[:, : len(prompt)] == prompt).int().cumprod(dim=1).sum(dim=1)
        alike = same.clamp(max=len(prompt) - 1).tolist()  # the last token is read anew: its logits are wanted
        there = [min(count, read) for count, read in zip(alike, self.read, strict=True)]
        best = max(there)
        coming = max((count for count, each in zip(alike, self.rows, strict=True) if each), default=0)
        free = [place for place, each in enumerate(self.rows) if each is None]
        if not free or coming >= best + WORTH_WAITING:
            return False
        place = min(free, key=lambda place: (-there[place] if best else 0, self._left_at[place]))
        if best > there[place]:
            place = min(free, key=lambda place: self._left_at[place])
            self._cache.copy(there.index(best), place, best)
        self.rows[place] = row
        self.read[place] = best
        self._prompts[place] = -1
        self._prompts[place, : len(prompt)] = prompt
        return True

    def leave(self, place: int) -> None:
        """The row ended. Its prompt stays in the cache for others."""
        row = self.rows[place]
        assert row is not None
        self.rows[place] = None
        self.read[place] = min(self.read[place], len(row.prompt))
        self._time += 1
        self._left_at[place] = self._time


def decode(
    forward: Forward, cache: Cache, rows: Sequence[Row], count: int, stop_ids: Sequence[int], stop: threading.Event
) -> Generator[tuple[Row, str, Finish | None], None, None]:
    """Each row's pieces of text as they are made, the last with its `Finish`; `count` rows are worked on at once."""
    waiting = deque(rows)
    places = Places(cache, count, max(len(row.prompt) for row in rows))
    newest = [0] * count
    while True:
        _fill(places, waiting)
        alive = [(place, row) for place, row in enumerate(places.rows) if row]
        if stop.is_set():
            yield from ((row, "", "cancelled") for row in [*(row for _, row in alive), *waiting])
            return
        if not alive:
            return
        pieces = list(_pieces(places, newest))
        # A prompt that is not read to its end has no next token yet.
        ends = [number for number, piece in enumerate(pieces) if piece.end >= len(_row(places, piece).prompt)]
        cache.reserve(max(piece.end for piece in pieces))
        logits, factors = forward(pieces, ends)
        for piece in pieces:
            places.read[piece.place] = piece.end
        writing = [pieces[number].place for number in ends]
        those = [_row(places, pieces[number]) for number in ends]
        if not those:
            continue
        values, tokens = likeliest(logits, those)
        chosen = zip(*choose(values * factors, tokens, those), strict=True)
        for place, row, (token, likelihood) in zip(writing, those, chosen, strict=True):
            row.has_token(likelihood)
            newest[place] = token
            piece, finish = ("", "stop") if token in stop_ids else row.add(token)
            if finish:
                places.leave(place)
            yield row, piece, finish


def _fill(places: Places, waiting: deque[Row]) -> None:
    later: list[Row] = []
    while waiting and None in places.rows and len(later) < LOOKAHEAD:
        row = waiting.popleft()
        if places.enter(row):
            row.start()
        else:
            later.append(row)
    waiting.extendleft(reversed(later))


def _pieces(places: Places, newest: Sequence[int]) -> Generator[Piece, None, None]:
    """The next token of every row that writes, and as much of the prompts as a step reads."""
    left = PREFILL_TOKENS
    for place, row in enumerate(places.rows):
        if row is None:
            continue
        read = places.read[place]
        if read >= len(row.prompt):
            yield Piece(place, read, [newest[place]])
        elif left:
            ids = row.prompt[read : read + left]
            left -= len(ids)
            yield Piece(place, read, ids)


def _row(places: Places, piece: Piece) -> Row:
    row = places.rows[piece.place]
    assert row is not None
    return row
