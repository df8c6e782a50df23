"""What a run is: its steps with their models, its checks, its random seed. A run that goes on must be the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from augmentlm.errors import InputError
from augmentlm.examples import Example
from augmentlm.tasks import MIN_PAIRS, PROMPT_VERSION, TASKS, Task

MULTIPLIES = ("expand", "pair")
"""Steps that make many rows of one seed."""

CANDIDATES_PER_ROW = 10
"""A run gives up after this many candidates for each row that was asked for …"""

StepName = Task | Literal["judge"]
"""What a step does. `judge` makes nothing: a model says how good the row is."""

PATIENCE = 100
"""… or after this many (or twice the number of seeds, if that is more) in which nothing was accepted."""


@dataclass(frozen=True)
class Step:
    """One step with what makes its texts. `digest` identifies the weights; `sampling` is without a seed."""

    task: StepName
    model: str
    engine: str
    quantization: str
    digest: str
    sampling: dict[str, Any]


@dataclass(frozen=True)
class Checks:
    """Limits of the checks. `near_copy` is ROUGE-L F1; lengths are in words of the instruction (Chinese: characters).

    At 0 the longest instruction is twice the longest seed, but no less than 150 words. `similarity` is the highest
    cosine of embeddings with a seed or an earlier row; at 1 nothing is embedded. `least_score` is the lowest mark of a
    judge, from 1 to 5.
    """

    near_copy: float = 0.7
    least_words: int = 3
    most_words: int = 0
    similarity: float = 1.0
    least_score: int = 4

    def __post_init__(self) -> None:
        if not (0 < self.near_copy <= 1 and 0 < self.similarity <= 1 and 1 <= self.least_score <= 5):
            raise InputError("The limits of the checks are out of range.", hint="Likeness is 0 to 1, a mark 1 to 5.")


@dataclass(frozen=True)
class Spec:
    """`n` rows are wanted. Everything but `n` stays the same for the life of a run."""

    steps: tuple[Step, ...]
    n: int
    seed: int = 0
    checks: Checks = field(default_factory=Checks)
    prompt_version: str = PROMPT_VERSION

    @property
    def multiplies(self) -> bool:
        return any(step.task in MULTIPLIES for step in self.steps)

    @property
    def embeds(self) -> bool:
        """Whether new rows are compared by meaning."""
        return self.multiplies and self.checks.similarity < 1

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Spec:
        known = {one.name for one in fields(Checks)}
        return cls(
            steps=tuple(Step(**step) for step in values["steps"]),
            n=values["n"],
            seed=values["seed"],
            checks=Checks(**{name: value for name, value in values["checks"].items() if name in known}),
            prompt_version=values["prompt_version"],
        )


def check_steps(steps: Sequence[str]) -> tuple[Task, ...]:
    """The steps in the order given, or an `InputError` that says why they make no sense."""
    found: list[Task] = []
    for name in steps:
        task = next((task for task in TASKS if task == name.strip()), None)
        if task is None:
            raise InputError(f"There is no step called {name.strip()!r}.", hint=f"Choose from {', '.join(TASKS)}.")
        if task in found:
            raise InputError(f"{task} stands twice among the steps.", hint="Name each step once.")
        found.append(task)
    if not found:
        raise InputError("No steps are named.", hint="Name one or more, such as expand,respond.")
    if "respond" in found[:-1]:
        raise InputError("respond must be the last step.", hint="What comes after it would no longer fit the response.")
    if "pair" in found[1:]:
        raise InputError("pair must be the first step.", hint="It starts from seeds that have responses.")
    if "pair" in found and "expand" in found:
        raise InputError("pair and expand both make new rows.", hint="Leave one of them out.")
    if found[0] == "pair" and "refine" in found and "respond" not in found:
        raise InputError(
            "After refine, a pair's response no longer answers its instruction.", hint="Add respond as the last step."
        )
    return tuple(found)


def check_seeds(steps: Sequence[Task], seeds: Sequence[Example]) -> None:
    """Raises `InputError` when the seeds are not what the first step starts from."""
    if not seeds:
        raise InputError("There are no seeds.", hint="Give at least one row.")
    if steps[0] != "pair":
        return
    without = next((number for number, seed in enumerate(seeds, 1) if not seed.first_answer), None)
    if without:
        raise InputError(f"pair needs seeds with responses; seed {without} has none.", hint="Use expand,respond.")
    if len(seeds) < MIN_PAIRS:
        raise InputError(f"pair needs at least {MIN_PAIRS} seeds.", hint="Add another, or use expand,respond.")


def differences(then: Spec, now: Spec) -> list[str]:
    """What is not the same in two runs, in words for a person. `n` may differ: a run can be extended."""
    tasks = [[step.task for step in spec.steps] for spec in (then, now)]
    if tasks[0] != tasks[1]:
        return [f"its steps were {','.join(tasks[0])} and are {','.join(tasks[1])} now"]
    found = []
    for old, new in zip(then.steps, now.steps, strict=True):
        for name in ("model", "digest", "engine", "quantization"):
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                label = "weights" if name == "digest" else name
                found.append(f"the {label} of {old.task} was {before} and is {after} now")
                break
        for name in old.sampling:
            if old.sampling[name] != new.sampling.get(name):
                found.append(f"{name} of {old.task} was {old.sampling[name]} and is {new.sampling.get(name)} now")
    for one in fields(Checks):
        before, after = getattr(then.checks, one.name), getattr(now.checks, one.name)
        if before != after:
            found.append(f"the limit {one.name} was {before} and is {after} now")
    if then.seed != now.seed:
        found.append(f"its random seed was {then.seed} and is {now.seed} now")
    if then.prompt_version != now.prompt_version:
        found.append(f"its prompts were of version {then.prompt_version} and are of {now.prompt_version} now")
    return found
