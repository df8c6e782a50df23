"""The teaching data as training examples, split train/dev by family.

An example is one prompt with one or more completions. Several completions of the same prompt are the paper's
expansion objective: the loss of a seed is the sum over its expansions (arXiv 2412.04871, section 3.2).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from augmentlm.checks.novelty import rouge_l
from augmentlm.errors import InputError
from augmentlm.tasks import Pair, Task, format_pair, format_pairs

Split = Literal["train", "dev"]
DEV_SHARE = 10
"""One family in this many is held out for evaluation."""

NOVEL_TARGET = 0.45
"""Texts nearer to their seed than this (ROUGE-L) are not taught: a model that learns to keep the sentence and swap a
word makes near-copies of short seeds. At 0.6, half of its expansions of one-line seeds were."""

THREE_IN_CONTEXT = 0.25
"""Share of the families that teach with three examples instead of two."""


@dataclass(frozen=True)
class Example:
    """One prompt (the bare input of a tuned model) with the completions to learn."""

    id: str
    prompt: str
    completions: tuple[str, ...]


def family_of(row_id: str) -> str:
    """`math-01/0` and `math-01/3` are siblings of the family `math-01`; other rows stand alone."""
    return row_id.split("/", 1)[0]


def split_of(row_id: str) -> Split:
    """Fixed by a hash of the family id, so that siblings never part and every set splits alike."""
    digest = hashlib.sha256(family_of(row_id).encode()).hexdigest()
    return "dev" if int(digest, 16) % DEV_SHARE == 0 else "train"


def read_rows(folder: Path, split: Split | None = None) -> Iterator[dict[str, Any]]:
    """Rows of every JSONL file in a folder, in a fixed order, of one split or of both."""
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise InputError(f"There are no JSONL files in {folder}.", hint="Give the folder that holds refine/, expand/ …")
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    wanted = split is None or split_of(row["id"]) == split
                except (json.JSONDecodeError, KeyError, TypeError) as error:
                    raise InputError(f"Line {number} of {path} is not a JSON object with an id.") from error
                if wanted:
                    yield row


def examples(task: Task, data: Path, split: Split, seed: int = 0) -> list[Example]:
    """The training examples of a task from the folder `data` (with `refine/`, `expand/`, and for pairs
    `families/`, perhaps with `siblings/`, or `pair/` in it)."""
    if task == "refine":
        return [Example(row["id"], row["raw"], (row["refined"],)) for row in read_rows(data / "refine", split)]
    if task == "expand":
        return list(_expand_examples(data / "expand", split))
    if task == "pair":
        return list(_pair_examples(data, split, random.Random(seed)))
    raise ValueError(f"there is no training set for {task}")


def _expand_examples(folder: Path, split: Split) -> Iterator[Example]:
    """An instruction and its expansions are of one type, so each of them is a seed too, for those worded otherwise."""
    for row in read_rows(folder, split):
        texts = [row["instruction"], *row["expansions"]]
        for seed in texts:
            novel = [text for text in texts if text is not seed and rouge_l(seed, text) <= NOVEL_TARGET]
            if novel:
                yield Example(row["id"], seed, tuple(novel))


def _pair_examples(data: Path, split: Split, rng: random.Random) -> Iterator[Example]:
    """Families with plain siblings teach those, as a small student can't learn rich answers; others teach their own.
    Rows in `pair/` say themselves what stands in context and what is to be learnt."""
    if (data / "pair").exists():
        yield from map(_given_example, read_rows(data / "pair", split))
        if not (data / "families").exists():
            return
    plain = {}
    if (data / "siblings").exists():
        plain = {row["id"]: _pairs(row) for row in read_rows(data / "siblings", split)}
    for row in read_rows(data / "families", split):
        pairs = _pairs(row)
        rng.shuffle(pairs)
        siblings = plain.get(row["id"])
        if siblings:
            yield _pair_example(row["id"], pairs[:2], siblings)
            rng.shuffle(siblings)
        for context, targets in _both_ways(siblings or pairs, rng):
            yield _pair_example(row["id"], context, targets)


def _both_ways(pairs: list[Pair], rng: random.Random) -> list[tuple[list[Pair], list[Pair]]]:
    """Two in context and the two others as targets, both ways; in one family of four, three in context and one as
    target, because people give more than two."""
    if rng.random() < THREE_IN_CONTEXT:
        return [(pairs[:3], pairs[3:])]
    return [(pairs[:2], pairs[2:]), (pairs[2:], pairs[:2])]


def _given_example(row: dict[str, Any]) -> Example:
    context, targets = ([Pair(**each) for each in row[name]] for name in ("examples", "pairs"))
    return _pair_example(row["id"], context, targets)


def _pairs(row: dict[str, Any]) -> list[Pair]:
    return [Pair(item["instruction"], item["response"]) for item in row["items"]]


def _pair_example(row_id: str, context: list[Pair], targets: list[Pair]) -> Example:
    return Example(row_id, format_pairs(context), tuple(format_pair(pair) for pair in targets))
