"""The stages in their order. Each is a pure function of what came before and of what the models were asked, so a
second run repeats the first without asking again, and one that was stopped goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from augmentlm import formats
from augmentlm.checks.language import language
from augmentlm.distill.collect import balance as balancing
from augmentlm.distill.collect import classify, output, teach
from augmentlm.distill.collect.assess import Assessor, drifted
from augmentlm.distill.collect.judge import judged
from augmentlm.distill.collect.loading import held_out_texts, load
from augmentlm.distill.collect.report import Report
from augmentlm.distill.collect.seeds import Seed
from augmentlm.distill.collect.teach import Candidate
from augmentlm.distill.collect.teacher import Teacher
from augmentlm.distill.kinds import Embed
from augmentlm.distill.rows import exclusive
from augmentlm.errors import InputError, MissingExtraError
from augmentlm.measures.embed import embedder


@dataclass(frozen=True)
class Plan:
    """What to collect. `data` is the teaching data whose held-out families stay out; `size` None takes every seed.

    `chinese` is the least share of seeds in Chinese, `least` the judge's mark from which a text is kept.
    """

    sources: tuple[str, ...]
    shares: dict[str, float]
    data: Path
    size: int | None = None
    chinese: float = 0.125
    expansions: int = 4
    least: int = 4
    classifier: Literal["teacher", "embedding"] = "teacher"

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise InputError("The size is 1 or more.")
        if not 0 <= self.chinese <= 1 or not 1 <= self.least <= 5 or self.expansions < 1:
            raise InputError("A share is 0 to 1, a mark 1 to 5, and there is at least one expansion.")

    def as_json(self) -> dict[str, Any]:
        return {
            "sources": list(self.sources),
            "size": self.size or "every seed",
            "least share of Chinese": self.chinese,
            "expansions asked for": self.expansions,
            "least mark": self.least,
            "classifier": self.classifier,
        }


def collect(
    plan: Plan, out: Path, teacher: Teacher, judge: Teacher | None, embed: Callable[[], Embed] = embedder
) -> dict[str, Any]:
    """Do what is missing in `out`, write the sets and the report there, and return the report.

    Without a `judge` the rules alone decide. Where `embed` finds no torch, the check that needs embeddings is left out
    and the report says so. Raises `MissingExtraError` when they are to classify too, `InputError` for sources that
    can't be read or a folder that another process works in, `StoppedError` when the teacher is stopped, and what
    engines raise.
    """
    with exclusive(out):
        try:
            look, left_out = embed(), "nothing"
        except MissingExtraError as error:
            if plan.classifier == "embedding":
                raise
            look, left_out = None, f"the check for unrelated expansions. {error.message}"
        return _collect(plan, out, teacher, judge, look, left_out)


def _collect(
    plan: Plan, out: Path, teacher: Teacher, judge: Teacher | None, look: Embed | None, left_out: str
) -> dict[str, Any]:
    settings = {"teacher": teacher.system.model, "judge": judge.system.model if judge else "none"}
    report = Report({**settings, **plan.as_json(), "left out": left_out})

    held_out = held_out_texts(plan.data)
    loaded, rejects = load(plan.sources, held_out)
    report.stage("load", len(loaded) + len(rejects), len(loaded), rejects)
    _leave(out / "1-loaded.jsonl", loaded)
    if not loaded:
        raise InputError("No seed is left after cleaning.", hint=f"{_most(report)} Look at what the sources hold.")

    sorted_, rejects = (
        classify.by_embedding(loaded, look, plan.data)
        if look and plan.classifier == "embedding"
        else classify.by_teacher(loaded, teacher)
    )
    report.stage("classify", len(loaded), len(sorted_), rejects)
    if not sorted_:
        raise InputError(
            f"{teacher.system.model} named no task type.", hint=f"It wrote: {rejects[0].findings[0].evidence}"
        )
    report.seeds("seeds", sorted_)
    _leave(out / "2-classified.jsonl", sorted_)

    balanced = balancing.balance(sorted_, plan.shares, plan.size or len(sorted_), plan.chinese)
    report.stage("balance", len(sorted_), len(balanced.kept), balanced.rejects)
    _leave(out / "3-balanced.jsonl", balanced.kept)

    assessor = Assessor(((seed.source, seed.instruction) for seed in sorted_), held_out)

    def assessed(candidates: list[Candidate]) -> list[Candidate]:
        found = assessor(candidates)
        found = drifted(found, look) if look else found
        return judged(found, judge, plan.least) if judge else found

    new = assessed(teach.grown(balanced.growth, teacher))
    report.work("grow", new)
    _leave(out / "4-grown.jsonl", output.passed(new))
    seeds = balanced.kept + [_seed(each) for each in output.passed(new)]
    report.seeds("balanced", seeds)

    written = assessed(teach.instructions(seeds, plan.expansions, teacher))
    report.work("write", written)
    _leave(out / "5-instructions.jsonl", output.passed(written))

    siblings = [each for family in output.families(seeds, written).values() for each in family]
    responses = assessed(teach.responses(siblings, teacher))
    report.work("answer", responses)
    _leave(out / "6-responses.jsonl", output.passed(responses))

    report.sets = output.write(out, seeds, written, responses)
    formats.write_jsonl(out / "rejects.jsonl", (reject.as_json() for reject in report.rejects))
    return report.write(out)


def _seed(candidate: Candidate) -> Seed:
    return replace(
        candidate.seed,
        id=candidate.id,
        instruction=candidate.text,
        language=language(candidate.text),
        source="teacher",
        response=None,
        how="grown",
    )


def _leave(path: Path, found: Sequence[Seed] | Sequence[Candidate]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    formats.write_jsonl(path, (each.as_json() for each in found))


def _most(report: Report) -> str:
    rejected = report.stages[0]["rejected"]
    return f"{report.stages[0]['before']} rows: " + ", ".join(f"{n} {code}" for code, n in rejected.items()) + "."
