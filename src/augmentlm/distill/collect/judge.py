"""Quality assessment by a model: a mark from 1 to 5 for each text that passed the rules, and a threshold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from augmentlm.checks import Finding
from augmentlm.distill.collect import lessons
from augmentlm.distill.collect.teach import Candidate
from augmentlm.distill.collect.teacher import Chat, Teacher

LEAST = 4
"""The mark from which a text is kept."""

_SETTINGS = {"temperature": 0.0, "max_tokens": 6}
_MARK = re.compile(r"\W*(?:(?:mark|score|rating|评分|分数)\W*)?([1-5])(?!\d|\.\d)", re.IGNORECASE)


def judged(candidates: Sequence[Candidate], judge: Teacher, least: int = LEAST) -> list[Candidate]:
    """The candidates with marks; what is below `least`, or whose mark can't be read, has a finding more.

    What the rules found bad already is not shown to the judge.
    """
    open_ = [candidate for candidate in candidates if not candidate.findings]
    answers = judge.ask("judge", {candidate.id: question(candidate) for candidate in open_}, **_SETTINGS)
    found = []
    for candidate in candidates:
        if candidate.findings:
            found.append(candidate)
            continue
        reply = answers[candidate.id]
        score = read_mark(reply.text)
        if score is None:
            evidence = f"the judge wrote {reply.text.strip()!r}" if not reply.refused else f"no mark: {reply.refused}"
            finding = Finding("judge_unreadable", evidence)
            found.append(replace(candidate, findings=(finding,)))
        elif score < least:
            finding = Finding("judge_score", f"{score} of 5, at least {least}")
            found.append(replace(candidate, score=score, findings=(finding,)))
        else:
            found.append(replace(candidate, score=score))
    return found


def question(candidate: Candidate) -> Chat:
    """What the judge is shown: the text that was given and the one that was written, each between marks."""
    names = {
        "expand": ("Seed", "New instruction"),
        "translate": ("Instruction", "Translation"),
        "refine": ("Prompt", "Rewritten"),
    }
    first, second = names.get(candidate.work, ("Instruction", "Response"))
    shown = f"[{first}]\n{candidate.seed.instruction}\n\n[{second}]\n{candidate.text}\n\n[Mark]"
    return lessons.judge(lessons.RUBRICS[candidate.work]).chat(shown)


def read_mark(reply: str) -> int | None:
    """The mark a reply begins with, None when there is none."""
    match = _MARK.match(reply)
    return int(match.group(1)) if match else None
