"""A run read back from its folder: every candidate with how it ended, and what was spent on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from augmentlm.errors import InputError
from augmentlm.examples import Example
from augmentlm.runs.candidates import Candidate, result_of
from augmentlm.runs.journal import Journal, Text, Verdict, is_run
from augmentlm.runs.spec import Spec, StepName
from augmentlm.tasks import Message


@dataclass(frozen=True)
class Made:
    """A text of one step with all that is needed to make it again. `seconds` is wall time of the row.

    Two candidates can share one: a seed is refined once, whatever is made of it. They have the same `key`.
    """

    key: str
    step: StepName
    text: str
    model: str
    engine: str
    quantization: str
    digest: str
    prompt_version: str
    sampling: dict[str, Any]
    seed: int | None
    prompt_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(frozen=True)
class Record:
    """A candidate. `step` is the one that ended it: the last when it was accepted, else the one that rejected it.

    `code` and `evidence` say why it was rejected, "" when it was not. `example` is what became of it so far; of a
    text that is not in its task's form it holds the text as it is.
    """

    candidate: int
    step: StepName
    status: Literal["accepted", "rejected"]
    code: str
    evidence: str
    example: Example
    seed: Example
    seed_index: int
    made: tuple[Made, ...]

    @property
    def instruction(self) -> str:
        return self.example.instruction

    @property
    def response(self) -> str:
        return self.example.response

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.example.messages

    @property
    def kind(self) -> str | None:
        """The task type that the seed's row names, if it does."""
        return self.seed.kind


@dataclass(frozen=True)
class Run:
    """A run's folder: what it is, its seeds, and its candidates up to the one that completed it."""

    folder: Path
    spec: Spec
    seeds: tuple[Example, ...]
    records: tuple[Record, ...]
    ended: str = field(default="")
    """Why it ended short of the number asked for; "" when it is complete or can go on."""

    seconds: float = 0.0
    """Time spent on it, all sessions together."""

    @property
    def accepted(self) -> list[Record]:
        return [record for record in self.records if record.status == "accepted"]

    @property
    def rejected(self) -> list[Record]:
        return [record for record in self.records if record.status == "rejected"]


def read_run(folder: Path) -> Run:
    """Everything about a run. Raises `InputError` where there is none."""
    check_run(folder)
    journal = Journal(folder)
    try:
        return gather(journal)
    finally:
        journal.close()


def check_run(folder: Path) -> None:
    """Raises `InputError` where there is no run."""
    if not is_run(folder):
        raise InputError(f"There is no run in {folder}.", hint="Name the folder that was given as --out.")


def gather(journal: Journal) -> Run:
    kept = journal.meta("spec")
    if kept is None:  # killed in the moment it was begun
        raise InputError(f"There is no run in {journal.folder}.", hint="Start it with its seeds.")
    spec, seeds = Spec.from_json(kept), tuple(journal.seeds())
    given = journal.verdicts()  # before the texts: each has its text there, though another process works on the run
    texts = {text.key: text for text in journal.texts()}
    records = []
    accepted = 0
    for verdicts in _by_candidate(given):
        if accepted == spec.n:
            break
        record = record_of(spec, seeds, texts, verdicts)
        if record:
            records.append(record)
            accepted += record.status == "accepted"
    return Run(journal.folder, spec, seeds, tuple(records), journal.meta("ended") or "", journal.meta("seconds") or 0.0)


def _by_candidate(verdicts: list[Verdict]) -> Iterator[list[Verdict]]:
    group: list[Verdict] = []
    for verdict in verdicts:
        if group and group[0].candidate != verdict.candidate:
            yield group
            group = []
        group.append(verdict)
    if group:
        yield group


def record_of(spec: Spec, seeds: tuple[Example, ...], texts: dict[str, Text], verdicts: list[Verdict]) -> Record | None:
    """A candidate from its verdicts; None while it is still on its way through the steps."""
    last = verdicts[-1]
    passed = not last.code
    if passed and last.step < len(spec.steps) - 1:
        return None
    candidate = Candidate.of(last.candidate, len(seeds))
    example = seeds[candidate.seed_index]
    made = []
    for verdict in verdicts:
        step, text = spec.steps[verdict.step], texts[verdict.key]
        made.append(
            Made(
                key=text.key,
                step=step.task,
                text=text.text,
                model=step.model,
                engine=step.engine,
                quantization=step.quantization,
                digest=step.digest,
                prompt_version=spec.prompt_version,
                sampling=step.sampling,
                seed=text.seed,
                prompt_tokens=text.prompt_tokens,
                completion_tokens=text.completion_tokens,
                seconds=text.seconds,
            )
        )
        example = result_of(step.task, example, text.text)
    return Record(
        candidate=last.candidate,
        step=spec.steps[last.step].task,
        status="accepted" if passed else "rejected",
        code=last.code,
        evidence=last.evidence,
        example=example,
        seed=seeds[candidate.seed_index],
        seed_index=candidate.seed_index,
        made=tuple(made),
    )
