"""Candidates: the endless, fixed list of attempts of a run, and what a step makes of one.

Candidate c starts from seed c modulo the number of seeds. All that is random about it is drawn from the run's seed and
its own number, so that neither a kill nor the order in which rows finish changes what it becomes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from augmentlm.examples import Example
from augmentlm.runs.marks import question
from augmentlm.runs.spec import MULTIPLIES, Spec, Step, StepName
from augmentlm.tasks import Pair, TaskInput, parse

TRIES = 3
"""Attempts at each seed where every seed gives one row; refinements of each where many rows are made of it."""


@dataclass(frozen=True)
class Candidate:
    number: int
    seed_index: int
    sample: int
    """How many candidates of the same seed there are before it."""

    @classmethod
    def of(cls, number: int, seeds: int) -> Candidate:
        return cls(number, number % seeds, number // seeds)


def input_of(spec: Spec, place: int, candidate: Candidate, example: Example, seeds: Sequence[Example]) -> TaskInput:
    """What step number `place` is given. For `pair` that is the seed and another one, drawn for this candidate."""
    task = spec.steps[place].task
    if task == "judge":
        return question(example)
    if task == "expand":
        return example.opening
    if task != "pair":
        return example.instruction
    others = len(seeds) - 1
    drawn = _draw(spec.seed, "partner", candidate.seed_index, candidate.sample) % others
    partner = seeds[drawn + (drawn >= candidate.seed_index)]
    return [Pair(one.opening, one.first_answer) for one in (example, partner)]


def result_of(task: StepName, example: Example, text: str) -> Example:
    """The example after a step. A text that is not in the task's form is carried as it is, to be read by a person.

    What is made of a conversation begins another one, under the same system prompt.
    """
    if task == "judge":
        return example
    value = parse(task, text).value
    shown = value if value is not None else text.strip()
    if task == "respond":
        return replace(example, response=str(shown))
    if task == "refine":
        return replace(example, instruction=str(shown), response="")
    if isinstance(shown, Pair):
        return Example(shown.instruction, shown.response, example.system, example.kind)
    return Example(shown, "", example.system, example.kind)


def sampling_seed(spec: Spec, place: int, candidate: Candidate) -> int:
    """The seed of a text. Before the step that makes many of one, the candidates of a seed share a few."""
    many = next((at for at, step in enumerate(spec.steps) if step.task in MULTIPLIES), 0)
    sample = candidate.sample if place >= many else candidate.sample % TRIES
    return _draw(spec.seed, spec.steps[place].task, candidate.seed_index, sample)


def key(spec: Spec, step: Step, example: Example, value: TaskInput, seed: int) -> str:
    """The hash of all that goes into a text: it is made once, whoever asks for it."""
    given = value if isinstance(value, str) else [[pair.instruction, pair.response] for pair in value]
    context = [[turn.role, turn.content] for turn in example.context] if step.task == "respond" else []
    parts = [step.task, context, given, step.model, step.digest, spec.prompt_version, step.sampling, seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _draw(*parts: object) -> int:
    """A number below 2³¹ that looks random and depends on the parts alone."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1
