"""The stages in which the teacher writes: more seeds for thin classes, then expansions, refinements and responses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from augmentlm.checks import Finding
from augmentlm.distill.collect import lessons
from augmentlm.distill.collect.balance import Growth
from augmentlm.distill.collect.lessons import Lesson
from augmentlm.distill.collect.seeds import Reject, Seed
from augmentlm.distill.collect.teacher import Answer, Teacher
from augmentlm.engines.base import Finish
from augmentlm.tasks import Pair, clean, format_pair

Work = Literal["expand", "translate", "refine", "respond", "rewrite"]

_SAMPLING: dict[Work, dict[str, Any]] = {
    # Expansions are to differ from each other; a rewrite or a translation is to stay where it is.
    "expand": {"temperature": 0.8, "top_p": 0.95, "max_tokens": 200},
    "translate": {"temperature": 0.2, "top_p": 0.9, "max_tokens": 600},
    "refine": {"temperature": 0.3, "top_p": 0.9, "max_tokens": 240},
    "respond": {"temperature": 0.3, "top_p": 0.95, "max_tokens": 500},
    "rewrite": {"temperature": 0.3, "top_p": 0.95, "max_tokens": 500},
}


@dataclass(frozen=True)
class Candidate:
    """A text that the teacher wrote for `given` (an instruction, or the seed's pair as `### Instruction` …)."""

    id: str
    work: Work
    seed: Seed
    text: str
    finish: Finish
    findings: tuple[Finding, ...] = ()
    score: int | None = field(default=None)

    def as_json(self) -> dict[str, Any]:
        shown = {"id": self.id, "work": self.work, "category": self.seed.category, "given": self.seed.instruction}
        return {**shown, "text": self.text, "score": self.score}

    def rejected(self, stage: str) -> Reject:
        return Reject(stage, self.id, self.text, self.findings, self.seed.category)


def grown(plan: Sequence[Growth], teacher: Teacher) -> list[Candidate]:
    """A new seed for each gap in the plan."""
    rounds: dict[int, list[tuple[str, Seed]]] = {}
    asked: Counter[str] = Counter()
    for each in plan:
        if each.work == "expand":
            rounds.setdefault(asked[each.origin.id], []).append((each.id, each.origin))
            asked[each.origin.id] += 1
    found = []
    for number, wanted in rounds.items():
        # As below: with a `seed` the same question about the same origin is another one.
        more = {"seed": number + 1} if number else {}
        found += _made("expand", "grow-expand", wanted, lessons.EXPAND, teacher, **more)
    for language in ("zh", "en"):
        wanted = [(each.id, each.origin) for each in plan if each.work == "translate" and each.language == language]
        found += _made("translate", f"grow-{language}", wanted, lessons.translate(language), teacher)
    return found


def instructions(seeds: Iterable[Seed], expansions: int, teacher: Teacher) -> list[Candidate]:
    """`expansions` new instructions for each seed, and its refinement."""
    seeds = list(seeds)
    found = []
    for number in range(expansions):
        wanted = [(f"{seed.id}/expand-{number + 1}", seed) for seed in seeds]
        # `seed` is one more each round: the same question asked again is another question.
        found += _made("expand", "expand", wanted, lessons.EXPAND, teacher, seed=number + 1)
    return found + _made("refine", "refine", [(f"{seed.id}/refine", seed) for seed in seeds], lessons.REFINE, teacher)


def responses(seeds: Iterable[Seed], teacher: Teacher) -> list[Candidate]:
    """A response to each instruction; where the source has one, a better one."""
    seeds = list(seeds)
    bare = [(f"{seed.id}/respond", seed) for seed in seeds if not seed.response]
    answered = [(f"{seed.id}/rewrite", seed) for seed in seeds if seed.response]
    return _made("respond", "respond", bare, lessons.RESPOND, teacher) + _made(
        "rewrite", "rewrite", answered, lessons.REWRITE, teacher
    )


def _made(
    work: Work, file: str, wanted: Sequence[tuple[str, Seed]], lesson: Lesson, teacher: Teacher, **more: Any
) -> list[Candidate]:
    chats = {
        name: lesson.chat(
            format_pair(Pair(seed.instruction, seed.response or "")) if work == "rewrite" else seed.instruction
        )
        for name, seed in wanted
    }
    answers = teacher.ask(file, chats, **_SAMPLING[work], **more)
    return [_candidate(name, work, seed, answers[name]) for name, seed in wanted]


def _candidate(name: str, work: Work, seed: Seed, answer: Answer) -> Candidate:
    findings = (Finding("refused", answer.refused),) if answer.refused else ()
    return Candidate(name, work, seed, clean(answer.text), answer.finish, findings)
