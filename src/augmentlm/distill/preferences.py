"""Preferences as training examples: a prompt, the text to prefer for it and the one to reject.

They stand in `preferred/<task>`. What a student wrote beside its correction is a preference too: the correction is on
the student's own ground and differs where that errs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augmentlm.distill.sets import Example, Split, pair_of, pairs_of, placed_rows, text_of, texts_of
from augmentlm.errors import InputError
from augmentlm.tasks import Task, format_pair, format_pairs

INPUT = {"expand": "instruction", "refine": "raw", "pair": "examples"}


def preferences(task: Task, data: Path, split: Split) -> list[Example]:
    """The preferences of a task: two completions an example, the preferred one first.

    Read from `data/preferred/<task>` where there is such a folder, else from the rows of `data/<task>` that hold a
    `student`. Rows whose two texts are the same, or whose student wrote nothing, are left out. Raises `InputError`
    when nothing is left, and for a row that lacks something.
    """
    preferred, corrected = data / "preferred" / task, data / task
    texts_in, folder = (_given, preferred) if preferred.is_dir() else (_corrected, corrected)
    found = []
    for place, row in placed_rows(folder, split) if folder.is_dir() else ():
        texts = texts_in(task, row)
        if texts and texts[0] != texts[1]:
            found.append(Example(row["id"], _prompt(task, row), texts, (place,)))
    if not found:
        raise InputError(
            f"There is no {task} preference to train on in {data}.",
            hint=f'Put rows with {INPUT[task]}, "preferred" and "rejected" into {preferred}.',
        )
    return found


def _prompt(task: Task, row: Mapping[str, Any]) -> str:
    return format_pairs(pairs_of(row, INPUT[task])) if task == "pair" else text_of(row, INPUT[task])


def _given(task: Task, row: Mapping[str, Any]) -> tuple[str, str]:
    return _text(task, row, "preferred"), _text(task, row, "rejected")


def _corrected(task: Task, row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The correction and what the student had written; None where that is nothing, or not whole."""
    student = row.get("student")
    parts = student.values() if isinstance(student, dict) else (student,)
    if not student or any(isinstance(part, str) and not part.strip() for part in parts):
        return None
    if task == "pair":
        correction = format_pair(pairs_of(row, "pairs")[0])
    else:
        correction = texts_of(row, "expansions", 1)[0] if task == "expand" else text_of(row, "refined")
    return correction, _text(task, row, "student")


def _text(task: Task, row: Mapping[str, Any], field: str) -> str:
    return format_pair(pair_of(row, field)) if task == "pair" else text_of(row, field)
