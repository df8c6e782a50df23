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

Forward = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(ids, mask, positions) of the newest columns to the logits after the last one, one line a row."""


@dataclass
class Row:
    """One request while it is worked on. `limit` is the most tokens it may write."""

    index: int
    prompt: list[int]
    sampling: Sampling
    seed: int
    limit: int
    writer: TextWriter
    started: float = field(default_factory=time.perf_counter)
    ttft_s: float = 0.0

    def __post_init__(self) -> None:
        self.random = torch.Generator().manual_seed(self.seed)

    def completion(self, finish: Finish) -> Completion:
        return Completion(
            text=self.writer.text,
            finish=finish,
            prompt_tokens=len(self.prompt),
            completion_tokens=self.writer.tokens,
            ttft_s=self.ttft_s,
            seconds=time.perf_counter() - self.started,
            seed=self.seed,
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
        tokens = pick(logits, alive)
        stay: list[int] = []
        for line, (row, token) in enumerate(zip(alive, tokens, strict=True)):
            row.ttft_s = row.ttft_s or time.perf_counter() - row.started
            if token in stop_ids:
                yield row, "", "stop"
                continue
            piece = row.writer.add(token)
            if row.writer.tokens < row.limit:
                stay.append(line)
                yield row, piece, None
            else:
                yield row, piece, "length"
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


def pick(logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
    """The next token of every row: temperature, then the `top_k` likeliest, then the `top_p` nucleus of those.

    A row draws one number of its own random sequence a token, whatever other rows stand beside it.
    """
    wanted = max(1 if row.sampling.temperature == 0 else row.sampling.top_k or logits.shape[-1] for row in rows)
    values, tokens = torch.topk(logits.float(), min(wanted, logits.shape[-1]), dim=-1)
    values, tokens = values.cpu(), tokens.cpu()
    chosen: list[int] = []
    for row, scores, candidates in zip(rows, values, tokens, strict=True):
        sampling = row.sampling
        if sampling.temperature == 0:
            chosen.append(int(candidates[0]))
            continue
        shares = torch.softmax(scores[: sampling.top_k or None] / sampling.temperature, dim=-1)
        sums = shares.cumsum(dim=-1)
        # A token belongs to the nucleus when those before it don't fill it; the likeliest always does.
        inside = int(((sums - shares) < sampling.top_p).sum().clamp(min=1))
        point = torch.rand(1, generator=row.random) * sums[inside - 1]
        place = int(torch.searchsorted(sums[:inside].contiguous(), point, right=True).clamp(max=inside - 1))
        chosen.append(int(candidates[place]))
    return chosen


def _positions(mask: torch.Tensor, columns: int) -> torch.Tensor:
    """Places of the last `columns` tokens, counted from each row's first token that is not padding."""
    return (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -columns:]
