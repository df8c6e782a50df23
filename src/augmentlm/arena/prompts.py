"""Prompts to compare models on, as they stand in the box: text, or pairs as JSONL."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib import resources
from typing import Any

from augmentlm import formats
from augmentlm.tasks import Task, TaskInput


def built_in(task: Task) -> list[str]:
    """The prompts that come along for a task."""
    return [
        each if isinstance(each, str) else "\n".join(json.dumps(pair, ensure_ascii=False) for pair in each)
        for each in _all()[task]
    ]


def read(task: Task, text: str) -> TaskInput:
    """The input in a box: for `pair`, pairs in any form that files of pairs have. Raises `InputError`."""
    return formats.read_pairs(text) if task == "pair" and text.strip() else text


@cache
def _all() -> dict[str, list[Any]]:
    return tomllib.loads(resources.files("augmentlm.arena").joinpath("prompts.toml").read_text(encoding="utf-8"))
