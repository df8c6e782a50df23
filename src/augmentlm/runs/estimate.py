"""What a run will take, told from a few rows that are really made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augmentlm.runs.rows import Run, read_run
from augmentlm.runs.run import Using, check_n, read_seeds, run
from augmentlm.runs.runner import Progress
from augmentlm.runs.spec import MULTIPLIES, StepName, check_seeds, check_steps
from augmentlm.tasks import Task

PROBE = 5
"""Rows that are made for an estimate."""


@dataclass(frozen=True)
class Price:
    """Money for a million tokens, of prompts and of what is written, in whatever currency."""

    prompt: float
    completion: float


@dataclass(frozen=True)
class StepCost:
    """Tokens of a step in the whole run; `money` is 0 where no price was given."""

    task: StepName
    prompt_tokens: int
    completion_tokens: int
    money: float


@dataclass(frozen=True)
class Estimate:
    """For `rows` accepted rows. Accurate to a factor of about two: it stands on `tried` candidates."""

    rows: int
    tried: int
    accepted: int
    candidates: int
    steps: tuple[StepCost, ...]
    seconds: float

    @property
    def tokens(self) -> int:
        return sum(step.prompt_tokens + step.completion_tokens for step in self.steps)

    @property
    def money(self) -> float:
        return sum(step.money for step in self.steps)


def probe(
    seeds: Any, n: int, *, steps: Sequence[Task], prices: Mapping[StepName, Price] | None = None, **settings: Any
) -> Iterator[Progress | Estimate]:
    """Make a few rows in a folder that is thrown away, telling how far it is; the last item is the `Estimate`.

    Takes what `run` takes but for the folder. Where `Estimate.accepted` is 0 nothing can be said about the rest.
    """
    tasks = check_steps(steps)
    _, examples = read_seeds(seeds, settings.pop("columns", None))
    check_seeds(tasks, examples)
    check_n(tasks, examples, n)  # of the rows that are wanted, not of the few that are made here
    using = settings.get("using") or {}
    uses: dict[StepName, Using] = {task: using.get(task, Using()) for task in tasks}
    if judge := settings.get("judge"):
        uses["judge"] = judge
    for name, use in uses.items():  # what loading takes is no part of the time for rows
        use.load(name, settings.get("pool"), settings.get("downloaded")).warm_up(settings.get("stop"))
    few = PROBE if any(task in MULTIPLIES for task in tasks) else min(PROBE, n)
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        with closing(run(examples, folder, steps=tasks, n=few, **settings)) as working:  # type: ignore[type-var]
            for progress in working:
                seconds = progress.seconds
                yield progress
        made = read_run(Path(folder))
    yield _estimate(made, n, seconds, prices or {})


def _estimate(made: Run, n: int, seconds: float, prices: Mapping[StepName, Price]) -> Estimate:
    accepted = len(made.accepted)
    times = n / accepted if accepted else 0.0
    steps = []
    for step in made.spec.steps:
        texts = {text.key: text for record in made.records for text in record.made if text.step == step.task}.values()
        prompt = round(times * sum(text.prompt_tokens for text in texts))
        completion = round(times * sum(text.completion_tokens for text in texts))
        price = prices.get(step.task, Price(0, 0))
        money = (prompt * price.prompt + completion * price.completion) / 1e6
        steps.append(StepCost(step.task, prompt, completion, money))
    return Estimate(n, len(made.records), accepted, round(times * len(made.records)), tuple(steps), times * seconds)
