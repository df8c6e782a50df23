"""The teaching data as training examples, split train/dev by family.

An example is one prompt with one or more completions. Several completions of the same prompt are the paper's
expansion objective: the loss of a seed is the sum over its expansions (arXiv 2412.04871, section 3.2).
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from augmentlm.checks.novelty import rouge_l
from augmentlm.distill.rows import json_object
from augmentlm.errors import InputError
from augmentlm.tasks import MIN_PAIRS, Pair, Task, format_pair, format_pairs

Split = Literal["train", "dev"]
DEV_SHARE = 10
"""One family in this many is held out for evaluation."""

NOVEL_TARGET = 0.45
"""Texts nearer to their seed than this (ROUGE-L) are not taught: a model that learns to keep the sentence and swap a
word makes near-copies of short seeds. At 0.6, half of its expansions of one-line seeds were."""

FAMILY = 3
"""Pairs that a family needs at least: two in context and one as the target."""

THREE_IN_CONTEXT = 0.25
"""Share of the families that teach with three examples instead of two."""


class Place(NamedTuple):
    """Where a row stands: its file, and its line counted from one."""

    file: Path
    line: int


@dataclass(frozen=True)
class Example:
    """One prompt (the bare input of a tuned model) with the completions to learn, and the rows that both come from.

    `scores` says how good each completion is, where a preference is learnt from them.
    """

    id: str
    prompt: str
    completions: tuple[str, ...]
    rows: tuple[Place, ...] = ()
    scores: tuple[float, ...] = ()


def family_of(row_id: str) -> str:
    """`math-01/0` and `math-01/3` are siblings of the family `math-01`; other rows stand alone."""
    return row_id.split("/", 1)[0]


def split_of(row_id: str) -> Split:
    """Fixed by a hash of the family id, so that siblings never part and every set splits alike."""
    digest = hashlib.sha256(family_of(row_id).encode()).hexdigest()
    return "dev" if int(digest, 16) % DEV_SHARE == 0 else "train"


def read_rows(folder: Path, split: Split | None = None) -> Iterator[dict[str, Any]]:
    """Rows of every JSONL file in a folder, in a fixed order, of one split or of both.

    Raises `InputError` for a folder without such files, and for a line that is no JSON object with an id.
    """
    return (row for _, row in placed_rows(folder, split))


def placed_rows(folder: Path, split: Split | None = None) -> Iterator[tuple[Place, dict[str, Any]]]:
    """What `read_rows` gives, with the place of each row."""
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise InputError(f"There are no JSONL files in {folder}.", hint="Give the folder that holds refine/, expand/ …")
    for path in paths:
        try:
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    row = json_object(line)
                    if row is None or not isinstance(row.get("id"), str):
                        raise InputError(
                            f"Line {number} of {path} is not a JSON object with an id.", hint='An id is text: "a-1".'
                        )
                    if split is None or split_of(row["id"]) == split:
                        yield Place(path, number), row
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} can't be read: {error}.", hint="Write it as UTF-8.") from error


def text_of(row: Mapping[str, Any], field: str) -> str:
    """The text in a field of a row. Raises `InputError` where there is none."""
    return _text(row.get(field), row, field)


def pairs_of(row: Mapping[str, Any], field: str, least: int = 1) -> list[Pair]:
    """The pairs in a field of a row. Raises `InputError` where there are fewer than `least` or one is not whole."""
    items = row.get(field)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise lacking(row, field, "list of pairs")
    if len(items) < least:
        raise InputError(
            f"The row {row['id']} has {len(items)} pairs in {field!r}, and needs {least}.",
            hint="Add some, or remove the row.",
        )
    return [_pair(item, row, field) for item in items]


def texts_of(row: Mapping[str, Any], field: str) -> list[str]:
    """The texts in a field of a row. Raises `InputError` where one is none."""
    items = row.get(field)
    if not isinstance(items, list):
        raise lacking(row, field, "list of texts")
    return [_text(item, row, field) for item in items]


def lacking(row: Mapping[str, Any], field: str, what: str) -> InputError:
    """The error of a row without what a field has to hold."""
    return InputError(f"The row {row['id']} has no {what} in {field!r}.", hint="Fill it in, or remove the row.")


def examples(task: Task, data: Path, split: Split, seed: int = 0) -> list[Example]:
    """The training examples of a task from the folder `data` (with `refine/`, `expand/`, and for pairs
    `families/`, perhaps with `siblings/`, or `pair/` in it)."""
    if task == "refine":
        return [
            Example(row["id"], text_of(row, "raw"), (text_of(row, "refined"),), (place,))
            for place, row in placed_rows(data / "refine", split)
        ]
    if task == "expand":
        return list(_expand_examples(data / "expand", split))
    if task == "pair":
        return list(_pair_examples(data, split, random.Random(seed)))
    raise ValueError(f"there is no training set for {task}")


def files_of(found: Iterable[Example], data: Path) -> list[dict[str, Any]]:
    """The files that examples come from: each one's name within `data`, the number of its rows that are in the
    examples, and the SHA-256 of its content."""
    places = {place for example in found for place in example.rows}
    return [
        {
            "file": file.relative_to(data).as_posix(),
            "rows": rows,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file, rows in sorted(Counter(place.file for place in places).items())
    ]


def _expand_examples(folder: Path, split: Split) -> Iterator[Example]:
    """An instruction and its expansions are of one type, so each of them is a seed too, for those worded otherwise."""
    for place, row in placed_rows(folder, split):
        texts = [text_of(row, "instruction"), *texts_of(row, "expansions")]
        for seed in texts:
            novel = [text for text in texts if text is not seed and rouge_l(seed, text) <= NOVEL_TARGET]
            if novel:
                yield Example(row["id"], seed, tuple(novel), (place,))


def _pair_examples(data: Path, split: Split, rng: random.Random) -> Iterator[Example]:
    """Families with plain siblings teach those, as a small student can't learn rich answers; others teach their own.
    Rows in `pair/` say themselves what stands in context and what is to be learnt."""
    if (data / "pair").exists():
        for place, row in placed_rows(data / "pair", split):
            yield _pair_example(row["id"], pairs_of(row, "examples"), pairs_of(row, "pairs"), place)
        if not (data / "families").exists():
            return
    plain = {}
    if (data / "siblings").exists():
        plain = {
            row["id"]: (place, pairs_of(row, "items", FAMILY)) for place, row in placed_rows(data / "siblings", split)
        }
    for place, row in placed_rows(data / "families", split):
        beside, siblings = plain.get(row["id"], (None, None))
        pairs = pairs_of(row, "items", MIN_PAIRS if siblings else FAMILY)
        rng.shuffle(pairs)
        if siblings:
            yield _pair_example(row["id"], pairs[:2], siblings, place, beside)
            rng.shuffle(siblings)
        for context, targets in _both_ways(siblings or pairs, rng):
            yield _pair_example(row["id"], context, targets, beside or place)


def _both_ways(pairs: list[Pair], rng: random.Random) -> list[tuple[list[Pair], list[Pair]]]:
    """Two in context and the two others as targets, both ways; in one family of four, three in context and one as
    target, because people give more than two. Of three, each in turn is the target of the two others."""
    if len(pairs) == FAMILY:
        return [([*pairs[:place], *pairs[place + 1 :]], [pair]) for place, pair in enumerate(pairs)]
    if rng.random() < THREE_IN_CONTEXT:
        return [(pairs[:3], pairs[3:])]
    return [(pairs[:2], pairs[2:]), (pairs[2:], pairs[:2])]


def _pair_example(row_id: str, context: list[Pair], targets: list[Pair], *places: Place) -> Example:
    return Example(row_id, format_pairs(context), tuple(format_pair(pair) for pair in targets), places)


def _pair(item: Mapping[str, Any], row: Mapping[str, Any], field: str) -> Pair:
    return Pair(*(_text(item.get(name), row, field) for name in ("instruction", "response")))


def _text(value: Any, row: Mapping[str, Any], field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise lacking(row, field, "text")
    return value
