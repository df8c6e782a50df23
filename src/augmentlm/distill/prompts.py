"""What an evaluation asks of every system: the dev families, never trained on, or a file of one's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from augmentlm import formats
from augmentlm.distill.sets import family_of, pairs_of, read_rows, text_of
from augmentlm.errors import InputError
from augmentlm.tasks import Task, TaskInput, check_input

IN_CONTEXT = 2
"""Example pairs of a pair prompt: what the published model was trained on."""


@dataclass(frozen=True)
class Prompt:
    """One input. `family` and `category` say what it is like, where that is known."""

    id: str
    value: TaskInput
    family: str | None = None
    category: str | None = None

    @property
    def input(self) -> Any:
        """The value as JSON: text, or a list of pairs."""
        return self.value if isinstance(self.value, str) else [asdict(pair) for pair in self.value]


def dev_prompts(task: Task, data: Path) -> list[Prompt]:
    """The held-out prompts of a task from the folder `data`. For `pair`, siblings two by two: two prompts a family."""
    if task == "refine":
        found = [_of_row(row, text_of(row, "raw")) for row in read_rows(data / "refine", "dev")]
    elif task == "expand":
        found = [_of_row(row, text_of(row, "instruction")) for row in read_rows(data / "expand", "dev")]
    elif task == "pair":
        found = [prompt for row in read_rows(data / "families", "dev") for prompt in _sibling_prompts(row)]
    else:
        raise InputError(f"There are no held-out prompts for {task}.", hint="Evaluate expand, refine or pair.")
    return [_checked(task, prompt) for prompt in found]


def file_prompts(task: Task, path: Path) -> list[Prompt]:
    """The prompts of a file: a text a row, for `pair` two pairs one after the other. Raises `InputError`."""
    values: list[TaskInput]
    if task == "pair":
        pairs = formats.read_pairs(path)
        if len(pairs) % IN_CONTEXT:
            raise InputError(
                f"{path.name} has {len(pairs)} pairs, and a prompt takes {IN_CONTEXT}.", hint="Add one or remove one."
            )
        values = [pairs[start : start + IN_CONTEXT] for start in range(0, len(pairs), IN_CONTEXT)]
    else:
        values = list(formats.read_instructions(path))
    return [_checked(task, Prompt(f"{path.stem}-{number:04d}", value)) for number, value in enumerate(values, 1)]


def some(prompts: Sequence[Prompt], limit: int | None) -> list[Prompt]:
    """At most `limit` prompts from all over the set, the same ones every time, in their order."""
    if limit is None or limit >= len(prompts):
        return list(prompts)
    chosen = set(sorted((prompt.id for prompt in prompts), key=_digest)[:limit])
    return [prompt for prompt in prompts if prompt.id in chosen]


def fingerprint(prompts: Sequence[Prompt]) -> str:
    """A short digest of the prompts: two evaluations with the same one asked the same."""
    return _digest(json.dumps([[prompt.id, prompt.input] for prompt in prompts], ensure_ascii=False))[:16]


def _sibling_prompts(row: dict[str, Any]) -> Iterator[Prompt]:
    pairs = pairs_of(row, "items", IN_CONTEXT)
    for start in range(0, len(pairs) - IN_CONTEXT + 1, IN_CONTEXT):
        context = pairs[start : start + IN_CONTEXT]
        yield Prompt(f"{row['id']}/{start}-{start + IN_CONTEXT - 1}", context, row["id"], row.get("category"))


def _of_row(row: dict[str, Any], text: str) -> Prompt:
    return Prompt(row["id"], text, family_of(row["id"]), row.get("category"))


def _checked(task: Task, prompt: Prompt) -> Prompt:
    try:
        return Prompt(prompt.id, check_input(task, prompt.value), prompt.family, prompt.category)
    except InputError as error:
        raise InputError(f"{prompt.id}: {error.message}", hint=error.hint) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
