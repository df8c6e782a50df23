"""Examples packed into rows: no padding, one forward over a prompt for all its completions, logits where labels are.

A row holds the beginning that all prompts share (the system message) once, and behind it whole examples. Tokens see
that beginning and their own example only, and a completion sees its prompt but not its sibling completions, so the
loss of a seed is the sum over its completions at the cost of one prompt (arXiv 2412.04871, section 3.2; the mask is
that of block-diagonal packing with branches).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from augmentlm.distill.sets import Example

Encode = Callable[[str], tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Tokens:
    """An example in token ids: the rendered prompt, each completion with its stop token, and what those score."""

    prompt: list[int]
    completions: list[list[int]]
    scores: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.prompt) + sum(len(completion) for completion in self.completions)


def encode_example(
    example: Example, encode_prompt: Callable[[str], list[int]], encode_text: Callable[[str], list[int]], stop_id: int
) -> Tokens:
    completions = [[*encode_text(text), stop_id] for text in example.completions]
    return Tokens(encode_prompt(example.prompt), completions, example.scores)


def split_shared(examples: Sequence[Tokens]) -> tuple[list[int], list[Tokens]]:
    """What all prompts begin with, and the examples without it. Each keeps a token, where its completion begins."""
    first, last = min(example.prompt for example in examples), max(example.prompt for example in examples)
    most = min(len(example.prompt) for example in examples) - 1
    size = next((place for place in range(most) if first[place] != last[place]), most)
    return first[:size], [replace(example, prompt=example.prompt[size:]) for example in examples]


def plan_rows(lengths: Sequence[int], tokens_per_row: int, epochs: float, seed: int) -> list[list[int]]:
    """Indices of the examples of each row, shuffled anew every epoch; a row holds at most `tokens_per_row`.

    Half an epoch is the first half of its rows.

    Fixed by the arguments alone, so that a resumed training sees the very same rows. Examples longer than a row
    are left out.
    """
    rows: list[list[int]] = []
    for epoch in range(math.ceil(epochs)):
        begin = len(rows)
        order = [index for index, length in enumerate(lengths) if length <= tokens_per_row]
        random.Random(f"{seed}/{epoch}").shuffle(order)
        row: list[int] = []
        used = 0
        for index in order:
            if row and used + lengths[index] > tokens_per_row:
                rows.append(row)
                row, used = [], 0
            row.append(index)
            used += lengths[index]
        if row:
            rows.append(row)
        if epoch + 1 > epochs:
            del rows[begin + round((len(rows) - begin) * (epochs - epoch)) :]
    return rows


def collate(shared: Sequence[int], examples: Sequence[Tokens]) -> dict[str, torch.Tensor]:
    """One row as model inputs: `shared`, the beginning of every prompt, then the rest of each example.

    Returns `input_ids` and `position_ids` (1, T), a boolean `attention_mask` (1, 1, T, T), and two vectors of
    the same length N: `positions`, where logits are needed, and `labels`, the token to predict there.
    """
    ids: list[int] = [*shared]
    positions: list[int] = [*range(len(shared))]
    places: list[int] = []
    labels: list[int] = []
    total = len(shared) + sum(len(example) for example in examples)
    mask = torch.zeros(total, total, dtype=torch.bool)
    mask[: len(shared), : len(shared)] = _causal(len(shared))
    mask[len(shared) :, : len(shared)] = True
    for example in examples:
        start = len(ids)
        ids += example.prompt
        positions += range(len(shared), len(shared) + len(example.prompt))
        prompt_end = len(ids)
        mask[start:prompt_end, start:prompt_end] = _causal(prompt_end - start)
        for completion in example.completions:
            branch = len(ids)
            ids += completion
            first = len(shared) + len(example.prompt)
            positions += range(first, first + len(completion))
            mask[branch : len(ids), start:prompt_end] = True
            mask[branch : len(ids), branch : len(ids)] = _causal(len(completion))
            # The first token of a completion is predicted at the last token of its prompt.
            places += [prompt_end - 1, *range(branch, len(ids) - 1)]
            labels += completion
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "attention_mask": mask[None, None],
        "positions": torch.tensor(places),
        "labels": torch.tensor(labels),
    }


def _causal(size: int) -> torch.Tensor:
    return torch.ones(size, size, dtype=torch.bool).tril()
