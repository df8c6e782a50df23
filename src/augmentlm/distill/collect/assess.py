"""Quality assessment by rule: form, length, language, facts, novelty, leaks, duplicates, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import get_args

from augmentlm.checks import Finding, assess, facts, form
from augmentlm.checks.language import language
from augmentlm.checks.near_copies import NearCopies
from augmentlm.checks.novelty import NEAR_COPY, rouge_l, tokens
from augmentlm.distill.collect import lessons
from augmentlm.distill.collect.lessons import Lesson
from augmentlm.distill.collect.teach import Candidate, Work
from augmentlm.distill.kinds import Embed
from augmentlm.measures.diversity import length
from augmentlm.tasks import Parsed, Task

LENGTHS: dict[Work, tuple[float, float, int]] = {
    # At least and at most so many times the length of what was given, but always up to so many words.
    "expand": (0.3, 2.5, 40),
    "translate": (0.4, 2.5, 20),
    "refine": (0.7, 3.0, 90),
}
LONGEST_RESPONSE = 450
"""Words, or Chinese characters: what the pair recipe's rows hold."""

SAME = 0.9
"""Refined prompts may share their endings ("at most 80 words"): ROUGE-L above this is a duplicate."""

RELATED = 0.2
"""Cosine of an expansion with its seed (MiniLM). Of 288 written expansions of the held-out families 97 in 100 are
above it, and of instructions of a foreign category 6."""

RUN = 8
"""Words in a row shared with what the teacher was told: a leak."""

_LESSONS: dict[Work, tuple[Lesson, ...]] = {
    "expand": (lessons.EXPAND,),
    "refine": (lessons.REFINE,),
    "translate": (lessons.translate("zh"), lessons.translate("en")),
    "respond": (lessons.RESPOND,),
    "rewrite": (lessons.REWRITE,),
}
_TASKS: dict[Work, Task] = {"expand": "expand", "refine": "refine"}
_REPLACEABLE = {"name", "quote"}
"""Facts that a translation may put into the other script."""


class Assessor:
    """Tells good candidates from bad ones, one after the other: a text is a duplicate of what was accepted before."""

    def __init__(self, known: Iterable[tuple[str, str]] = (), held_out: Iterable[str] = ()) -> None:
        """`known` are texts (name, text) that new ones must not repeat: seeds and data that is there already.
        `held_out` are those that an evaluation uses, which nothing that is trained on may repeat either."""
        self._known = {work: NearCopies(_nearness(work)) for work in get_args(Work)}
        for name, text in known:
            self.add("expand", name, text)
        self._held_out = NearCopies(NEAR_COPY)
        for number, text in enumerate(held_out, 1):
            self._held_out.add(text, f"held-out text {number}")

    def add(self, work: Work, name: str, text: str) -> None:
        """From now on `text` is there already. Instructions of any origin are compared with each other."""
        self._known[_kind(work)].add(text, name)

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Each with what speaks against it."""
        return [self._assessed(candidate) for candidate in candidates]

    def _assessed(self, candidate: Candidate) -> Candidate:
        # What the teacher took no part in comes with its reason.
        findings = list(candidate.findings) or [finding for finding in _findings(candidate) if finding]
        if candidate.work not in ("respond", "rewrite") and not findings:
            evaluated = self._held_out.find(candidate.text)
            if evaluated and evaluated.score > _nearness(candidate.work):
                findings.append(Finding("held_out", f"{evaluated.score:.2f} ROUGE-L with {evaluated.name}"))
            elif near := self._known[_kind(candidate.work)].find(candidate.text):
                findings.append(Finding("duplicate", f"{near.score:.2f} ROUGE-L with {near.name}"))
        if not findings:
            self.add(candidate.work, candidate.id, candidate.text)
        return replace(candidate, findings=tuple(findings))


def drifted(candidates: Sequence[Candidate], embed: Embed) -> list[Candidate]:
    """The candidates, with a finding for each expansion that has nothing to do with its seed: a teacher that is too
    small writes about trains and taps whatever it is given."""
    asked = [each for each in candidates if each.work == "expand" and not each.findings]
    if not asked:
        return list(candidates)
    seeds = list(dict.fromkeys(each.seed.instruction for each in asked))
    of = dict(zip(seeds, embed(seeds), strict=True))
    near = zip(asked, embed([each.text for each in asked]), strict=True)
    cosines = {each.id: float(of[each.seed.instruction] @ vector) for each, vector in near}
    return [
        replace(each, findings=(Finding("unrelated", f"cosine {cosines[each.id]:.2f} with the seed"),))
        if cosines.get(each.id, 1.0) < RELATED
        else each
        for each in candidates
    ]


def _kind(work: Work) -> Work:
    return "expand" if work == "translate" else work


def _nearness(work: Work) -> float:
    """ROUGE-L above which a text repeats another."""
    return SAME if work == "refine" else NEAR_COPY


def _findings(candidate: Candidate) -> list[Finding | None]:
    given, text = candidate.seed.instruction, candidate.text
    if not text:
        return [Finding("form", "nothing was written")]
    task = _TASKS.get(candidate.work, "respond")
    found: list[Finding | None] = list(assess(task, given, Parsed(text), candidate.finish))
    found += [_length(candidate), _example_leak(candidate), _prompt_leak(candidate)]
    if candidate.work == "refine" and text == given:
        found.append(Finding("unchanged", "the prompt came back as it was"))
    if candidate.work == "translate":
        found += [_translated(given, text), form.preamble(text), form.leak(text, given)]
    if candidate.work in ("respond", "rewrite"):
        found += [form.preamble(text, given), form.leak(text, given), _same_language(given, text)]
    return found


def _length(candidate: Candidate) -> Finding | None:
    count = length(candidate.text)
    if candidate.work in ("respond", "rewrite"):
        if count > LONGEST_RESPONSE:
            return Finding("length", f"{count} words, at most {LONGEST_RESPONSE}")
        return None
    least, most, always = LENGTHS[candidate.work]
    given = length(candidate.seed.instruction)
    if language(candidate.text) != candidate.seed.language:
        # A Chinese text has about 1.7 characters for each English word.
        given = round(given * (1.7 if candidate.seed.language == "en" else 0.6))
    if count < least * given or count > max(most * given, always):
        return Finding("length", f"{count} words for {given}")
    return None


def _example_leak(candidate: Candidate) -> Finding | None:
    """A near-copy of a handwritten example, or a piece of one at the end of something else."""
    own, written = _runs(candidate.seed.instruction), _runs(candidate.text)
    for lesson in _LESSONS[candidate.work]:
        for example in lesson.texts:
            if rouge_l(candidate.text, example) > NEAR_COPY:
                return Finding("example_leak", f"repeats {example!r}")
            if shared := (written & _runs(example)) - own:
                return Finding("example_leak", f"says {' '.join(min(shared))!r} as an example does")
    return None


def _prompt_leak(candidate: Candidate) -> Finding | None:
    own = _runs(candidate.seed.instruction)
    for lesson in _LESSONS[candidate.work]:
        shared = (_runs(candidate.text) & (_runs(lesson.task) | _runs(lesson.ask))) - own
        if shared:
            return Finding("prompt_leak", f"says {' '.join(min(shared))!r}")
    return None


def _runs(text: str) -> set[tuple[str, ...]]:
    words = tokens(text)
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def _translated(given: str, text: str) -> Finding | None:
    if language(text) == language(given):
        return Finding("language", "it is still in the language of the original")
    missing = [fact for fact in facts.lost(given, text) if fact.kind not in _REPLACEABLE]
    return Finding("facts_lost", "missing: " + ", ".join(fact.text for fact in missing)) if missing else None


def _same_language(given: str, text: str) -> Finding | None:
    """A response in Chinese to an English instruction and the other way round; translations ask for that themselves."""
    asked = given.lower()
    if language(given) == language(text) or any(
        word in asked for word in ("translat", "chinese", "english", "译", "文")
    ):
        return None
    return Finding("language", "the response is in another language than the instruction")
