"""Scored texts as training examples: a prompt, and several texts for it with what a reader gave them, from 0 to 10.

They stand in `scored/<task>`, and are best the model's own: texts by two writers are told apart by their hands. What
`augmentlm votes preferences` writes may stand there too, with that caveat: the text that won counts 10, the other 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from augmentlm.distill.packing import Tokens
from augmentlm.distill.sets import Example, Place, Split, lacking, pairs_of, placed_rows, text_of
from augmentlm.errors import InputError
from augmentlm.tasks import Task, format_pair, format_pairs

INPUT = {"expand": "instruction", "refine": "raw", "pair": "examples"}
BEST = 10

MENDED = math.nan
"""In place of the score of a text that a reader mended. It is taught by its likelihood; no comparison with it holds,
so it is never preferred and never rejected."""


def preferences(task: Task, data: Path, split: Split, gap: float) -> list[Example]:
    """The rows of `data/scored/<task>` as examples, those with two texts whose scores differ by `gap` or more.

    Of texts that are the same, the first counts. Raises `InputError` when nothing is left, and for a row that lacks
    something.
    """
    folder = data / "scored" / task
    found = []
    rows = _rows(task, folder, split)
    for place, row in rows:
        prompt, scores = _voted(row) if _is_voted(row) else (_prompt(task, row), _scores(task, row))
        if prefers(list(scores.values()), gap):
            found.append(Example(row["id"], prompt, tuple(scores), (place,), tuple(scores.values())))
    if split == "train" and not rows and _rows(task, folder, "dev"):
        raise InputError(
            f"Every {task} prompt in {folder} is in a held-out family, which nothing is trained on.",
            hint="A family is what stands before the slash of an id; give the rows ids of other families.",
        )
    if not found:
        raise InputError(
            f"There is no {task} prompt in {data} with texts whose scores differ by {gap:g} or more.",
            hint=f'Put rows with {INPUT[task]} and "texts", each with a score from 0 to {BEST}, into {folder}.',
        )
    return found


def prefers(scores: Sequence[float], gap: float) -> bool:
    """Whether two texts differ enough for one to be preferred to the other."""
    compared = [score for score in scores if not math.isnan(score)]
    return bool(compared) and max(compared) - min(compared) >= gap


def shortened(tokens: Tokens, most: int, gap: float) -> Tokens:
    """An example with as many of its texts as fit `most` tokens: in turn the best and the worst, as those differ most,
    and as soon as there is something to prefer, what a reader mended before the others. Where no preference would be
    left it stays as it is, too long for a row."""
    if len(tokens) <= most:
        return tokens
    compared = [place for place, score in enumerate(tokens.scores) if not math.isnan(score)]
    mended = [place for place in range(len(tokens.scores)) if place not in compared]
    ranked = sorted(compared, key=lambda place: -tokens.scores[place])
    waiting = list(chain.from_iterable(zip(ranked, reversed(ranked), strict=True)))[: len(ranked)]  # from both ends
    kept, room = [], most - len(tokens.prompt)
    while waiting:
        place = waiting.pop(0)
        size = len(tokens.completions[place])
        if size <= room:
            kept.append(place)
            room -= size
        if mended and prefers([tokens.scores[each] for each in kept], gap):
            waiting, mended = [*mended, *waiting], []
    rest = tuple(tokens.scores[place] for place in kept)
    return Tokens(tokens.prompt, [tokens.completions[place] for place in kept], rest) if prefers(rest, gap) else tokens


def _rows(task: Task, folder: Path, split: Split) -> list[tuple[Place, dict[str, Any]]]:
    """The rows of a split, without votes on other tasks: those come in one file."""
    placed = placed_rows(folder, split) if folder.is_dir() else ()
    return [(place, row) for place, row in placed if not (_is_voted(row) and row.get("task", task) != task)]


def _is_voted(row: Mapping[str, Any]) -> bool:
    return row.keys() >= {"prompt", "chosen", "rejected"}


def _voted(row: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    return text_of(row, "prompt"), {text_of(row, "chosen"): BEST, text_of(row, "rejected"): 0}


def _prompt(task: Task, row: Mapping[str, Any]) -> str:
    return format_pairs(pairs_of(row, INPUT[task])) if task == "pair" else text_of(row, INPUT[task])


def _scores(task: Task, row: Mapping[str, Any]) -> dict[str, float]:
    """The score of each text of a row, in the form that a model writes."""
    items = row.get("texts")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise lacking(row, "texts", "list of texts with scores")
    if task == "pair":
        texts = [format_pair(pair) for pair in pairs_of(row, "texts", 0)]
    else:
        texts = [text_of({**item, "id": row["id"]}, "text") for item in items]
    scores: dict[str, float] = {}
    for text, item in zip(texts, items, strict=True):
        scores.setdefault(text, _score(item, row))
    return scores


def _score(item: Mapping[str, Any], row: Mapping[str, Any]) -> float:
    mended, score = item.get("mended", False), item.get("score")
    if not isinstance(mended, bool):
        raise lacking(row, "mended", "true or false")
    if mended:
        return MENDED
    if not isinstance(score, int | float) or isinstance(score, bool) or not 0 <= score <= BEST:
        raise lacking(row, "score", f"number from 0 to {BEST}")
    return float(score)
