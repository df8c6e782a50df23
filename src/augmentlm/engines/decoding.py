"""Several rows decoded together: left-padded, each with its own sampling and its own random numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from augmentlm.catalog import Sampling
from augmentlm.engines.base import Completion, Finish
from augmentlm.engines.tokens import TextWriter

PREFILL_TOKENS = 512
"""How much of a prompt is read in one step: Stop, and another person's turn, wait for one step at most."""

_BLOCK = 128

Forward = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(ids, mask, positions) of the newest columns to the logits after the last one, one line a row."""


@dataclass
class Row:
    """One request while it is worked on. `limit` is the most tokens it may write; with `scored` their likelihoods are
    kept. `is_over` is that of `Request`."""

    index: int
    prompt: list[int]
    sampling: Sampling
    seed: int
    limit: int
    writer: TextWriter
    scored: bool = False
    is_over: Callable[[str], bool] | None = None
    started: float = field(default_factory=time.perf_counter)
    ttft_s: float = 0.0
    likelihoods: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = torch.Generator().manual_seed(self.seed)

    def start(self) -> None:
        """Work begins now: what was waited before does not count."""
        self.started = time.perf_counter()

    def has_token(self, likelihood: float) -> None:
        """A token is there; of the first one the time is kept."""
        self.ttft_s = self.ttft_s or time.perf_counter() - self.started
        if self.scored:
            self.likelihoods.append((len(self.writer.text), likelihood))

    def add(self, token: int) -> tuple[str, Finish | None]:
        """The text that a token which is no end adds, and whether the row ends with it."""
        piece = self.writer.add(token)
        if self.is_over and self.is_over(self.writer.text):
            return piece, "stop"
        return piece, "length" if self.writer.tokens >= self.limit else None

    def completion(self, finish: Finish) -> Completion:
        return Completion(
            text=self.writer.text,
            finish=finish,
            prompt_tokens=len(self.prompt),
            completion_tokens=self.writer.tokens,
            ttft_s=self.ttft_s,
            seconds=time.perf_counter() - self.started,
            seed=self.seed,
            likelihoods=tuple(self.likelihoods),
        )


def decode(
    forward: Forward, cache: Any, rows: Sequence[Row], stop_ids: Sequence[int], stop: threading.Event, device: str
) -> Generator[tuple[Row, str, Finish | None], None, None]:
    """Each row's pieces of text as they are made, the last with its `Finish`. Rows that ended leave the batch."""
    alive = list(rows)
    width = max(len(row.prompt) for row in alive)
    ids = torch.zeros((len(alive), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for line, row in enumerate(alive):
        ids[line, width - len(row.prompt) :] = torch.tensor(row.prompt)
        mask[line, width - len(row.prompt) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    logits = None
    for start in range(0, width, PREFILL_TOKENS):
        if stop.is_set():
            break
        end = min(start + PREFILL_TOKENS, width)
        logits = forward(ids[:, start:end], mask[:, :end], _positions(mask[:, :end], end - start))
    while alive:
        if stop.is_set() or logits is None:
            yield from ((row, "", "cancelled") for row in alive)
            return
        tokens, likelihoods = pick(logits, alive)
        stay: list[int] = []
        for line, (row, token) in enumerate(zip(alive, tokens, strict=True)):
            row.has_token(likelihoods[line])
            if token in stop_ids:
                yield row, "", "stop"
                continue
            piece, finish = row.add(token)
            if not finish:
                stay.append(line)
            yield row, piece, finish
        if not stay:
            return
        if len(stay) < len(alive):
            kept = torch.tensor(stay, device=device)
            cache.batch_select_indices(kept)
            mask = mask[kept]
            alive = [alive[line] for line in stay]
            tokens = [tokens[line] for line in stay]
        mask = torch.cat([mask, mask.new_ones((len(alive), 1))], dim=1)
        last = torch.tensor(tokens, device=device).unsqueeze(1)
        logits = forward(last, mask, _positions(mask, 1))


def pick(logits: torch.Tensor, rows: Sequence[Row]) -> tuple[list[int], list[float]]:
    """The next token of every row: temperature, then the `top_k` likeliest, then the `top_p` nucleus of those. The
    second list has the log probabilities of these tokens.

    A row draws one number of its own random sequence a token, whatever other rows stand beside it.
    """
    values, tokens = likeliest(logits, rows)
    return choose(values, tokens, rows)


def likeliest(logits: torch.Tensor, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest logits of every row and their tokens, highest first: as many as the row that asks for most needs."""
    size = logits.shape[-1]
    wanted = max(1 if row.sampling.temperature == 0 else row.sampling.top_k or size for row in rows)
    if size % _BLOCK or wanted * _BLOCK >= size:
        values, tokens = torch.topk(logits.float(), min(wanted, size), dim=-1)
        return values.cpu(), tokens.cpu()
    # The highest numbers lie in the blocks with the highest peaks: a tenth of the time for a large vocabulary.
    blocks = logits.view(len(logits), -1, _BLOCK)
    best = blocks.amax(dim=-1).topk(wanted, sorted=False).indices
    inside = blocks.gather(1, best[..., None].expand(-1, -1, _BLOCK)).flatten(1)
    values, places = inside.float().topk(wanted)
    tokens = best.gather(1, places // _BLOCK) * _BLOCK + places % _BLOCK
    return values.cpu(), tokens.cpu()


def choose(values: torch.Tensor, tokens: torch.Tensor, rows: Sequence[Row]) -> tuple[list[int], list[float]]:
    """One of each row's likeliest tokens, drawn as its sampling says, and its log probability at temperature 1 among
    those that were looked at."""
    count = values.shape[-1]
    samplings = [row.sampling for row in rows]
    kept = torch.tensor([[1 if each.temperature == 0 else each.top_k or count] for each in samplings])
    heat = torch.tensor([[each.temperature or 1.0] for each in samplings])
    nucleus = torch.tensor([[each.top_p] for each in samplings])
    points = torch.tensor(
        [[0.0 if row.sampling.temperature == 0 else torch.rand(1, generator=row.random).item()] for row in rows]
    )
    outside = torch.arange(count) >= kept
    shares = torch.softmax((values / heat).masked_fill(outside, -torch.inf), dim=-1)
    sums = shares.cumsum(dim=-1)
    # A token belongs to the nucleus when those before it don't fill it; the likeliest always does.
    inside = (((sums - shares) < nucleus) & ~outside).sum(dim=-1, keepdim=True).clamp(min=1)
    point = points * sums.gather(1, inside - 1)
    places = torch.searchsorted(sums, point, right=True).minimum(inside - 1)
    likelihoods = torch.log_softmax(values, dim=-1).gather(1, places)
    return tokens.gather(1, places)[:, 0].tolist(), likelihoods[:, 0].tolist()


def _positions(mask: torch.Tensor, columns: int) -> torch.Tensor:
    """Places of the last `columns` tokens, counted from each row's first token that is not padding."""
    return (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -columns:]
