"""Instructions by Self-Instruct (Wang et al. 2023, arXiv 2212.10560), the baseline that the paper compares with.

For each prompt of an evaluation the base gets eight instructions drawn from all of them and is asked for a ninth, in
the published wording; for pairs it then answers its own instruction. That makes as many texts as a task model makes,
from the same seeds, by the same base and with the same sampling. Two things differ from the published procedure: all
eight are seeds, where it takes six and two of its own making; and nothing is filtered, here as with the others.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from augmentlm.augmenter import Augmenter
from augmentlm.checks.language import language
from augmentlm.distill import rows
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import System, Told, settings
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import StoppedError
from augmentlm.tasks import Pair, Task, clean
from augmentlm.weights import Progress
from augmentlm.weights.pulled import find

NAME = "Self-Instruct"
SHOWN = 8
"""Instructions in the prompt (section 2.2 of the paper)."""

_LABEL = re.compile(r"^\s*(?:task\s*\d+\s*[:.]|\d+\s*[.)])\s*", re.IGNORECASE)
_NEXT = re.compile(r"\n\s*(?:task\s*\d+\s*[:.]|\d+\s*[.)])", re.IGNORECASE)


@dataclass(frozen=True)
class Made:
    """What came of one prompt: an instruction, None when the base wrote nothing, and for pairs its response."""

    id: str
    instruction: str | None
    response: str | None = None


def bootstrap(
    task: Task,
    base: System,
    prompts: Sequence[Prompt],
    folder: Path,
    *,
    max_tokens: int | None = None,
    pool: EnginePool | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    told: Told | None = None,
) -> list[Made]:
    """One text a prompt, in their order, kept in `folder/self-instruct--<base>.jsonl`; only missing ones are made.
    `max_tokens` is that of the evaluation: the product's unless another was asked for.

    Raises `StoppedError` when `stop` is set, and what the engine raises.
    """
    stop = stop or threading.Event()
    path = folder / f"self-instruct--{base.file_name}.jsonl"
    model = base.load("respond", pool, progress, "batch")
    seeds = [text for prompt in prompts for text in instructions(prompt)]
    asked = {prompt.id: _question(prompt, seeds) for prompt in prompts}
    sampling = settings(task, max_tokens)["sampling"]
    written = _answers(model, asked, path, sampling, base, stop, told, is_over=runs_on)
    found = {prompt.id: read(written[prompt.id]) for prompt in prompts}
    replies: dict[str, str] = {}
    if task == "pair":
        tasks = {name: text for name, text in found.items() if text}
        replies = _answers(model, tasks, path.with_name(f"{path.stem}--responses.jsonl"), sampling, base, stop, told)
    return [Made(prompt.id, found[prompt.id], clean(replies.get(prompt.id, "")) or None) for prompt in prompts]


def base_of(systems: Sequence[System]) -> System | None:
    """Who can answer for the systems: the first base of one that responds, or a server's model. None when none can, as
    for the published family, whose bases are not in the catalog."""
    for system in systems:
        if system.endpoint:
            return system
        entry = find(system.model)
        base = find(entry.base) if entry.base else entry
        if "respond" in base.tasks:
            return System(base.name)
    return None


def instructions(prompt: Prompt) -> list[str]:
    """The instructions in a prompt: itself, or those of its pairs."""
    return [prompt.value] if isinstance(prompt.value, str) else [pair.instruction for pair in prompt.value]


def read(text: str) -> str | None:
    """The first instruction of a reply: without its number, up to the next one."""
    return _NEXT.split(_LABEL.sub("", clean(text)), maxsplit=1)[0].strip() or None


def runs_on(text: str) -> bool:
    """Whether a reply has gone on to the next instruction, as it would until it may write no more."""
    return bool(_NEXT.search(_LABEL.sub("", clean(text))))


def as_pair(made: Made) -> Pair | None:
    return Pair(made.instruction, made.response) if made.instruction and made.response else None


def _question(prompt: Prompt, seeds: Sequence[str]) -> str:
    """Seeds in the prompt's language, the same ones every time."""
    own = language(instructions(prompt)[0])
    alike = [text for text in seeds if language(text) == own]
    shown = Random(prompt.id).sample(alike, min(SHOWN, len(alike)))
    lines = [f"Task {number}: {' '.join(text.split())}" for number, text in enumerate(shown, 1)]
    return "\n".join(("Come up with a series of tasks:", "", *lines, f"Task {len(lines) + 1}:"))


def _answers(
    model: Augmenter,
    asked: dict[str, str],
    path: Path,
    sampling: dict[str, Any],
    base: System,
    stop: threading.Event,
    told: Told | None,
    is_over: Callable[[str], bool] | None = None,
) -> dict[str, str]:
    """The replies by id. Rows of other questions, settings or weights don't count."""
    made = {"sampling": sampling, "weights": base.weights()}
    kept = {
        row["id"]: row["text"]
        for row in rows.read(path)
        if row["question"] == asked.get(row["id"]) and all(row[name] == value for name, value in made.items())
    }
    missing = [name for name in asked if name not in kept]
    batch = model.batch([asked[name] for name in missing], stop=stop, is_over=is_over, **sampling)
    with closing(batch):  # type: ignore[type-var]
        for result in batch:
            if result.finish == "cancelled":
                continue
            name = missing[result.index]
            kept[name] = result.text
            rows.append(path, {"id": name, "question": asked[name], "text": result.text, "seed": result.seed, **made})
            if told:
                told(NAME, len(kept), len(asked))
    if stop.is_set():
        raise StoppedError("Stopped. What was made so far is kept: run the same again to go on.")
    return {name: kept.get(name, "") for name in asked}
