"""Who passes a step: the findings on a text alone, then what depends on the seeds and on everything that passed before.

Candidates are judged in the order of their numbers, so that the same texts always get the same verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence

from augmentlm.checks.length import length
from augmentlm.checks.near_copies import NearCopies
from augmentlm.checks.novelty import tokens
from augmentlm.examples import Example
from augmentlm.runs.journal import Text, Verdict
from augmentlm.runs.spec import MULTIPLIES, Spec

LONGEST_WORDS = 150


class Judge:
    """The checks of one step. They come in order; `passed` tells of each that passed before the next is judged."""

    def __init__(self, spec: Spec, place: int, seeds: Sequence[Example]) -> None:
        self._place = place
        self._least = spec.checks.least_words
        longest = max(len(tokens(seed.instruction)) for seed in seeds)
        self._most = spec.checks.most_words or max(LONGEST_WORDS, 2 * longest)
        task = spec.steps[place].task
        so_far = [step.task for step in spec.steps[: place + 1]]
        self._measures = task != "respond"
        self._compares = task != "respond" and any(step in MULTIPLIES for step in so_far)
        self._known = NearCopies(spec.checks.near_copy)
        if task in MULTIPLIES:
            for number, seed in enumerate(seeds, 1):
                self._known.add(seed.opening, f"seed {number}")

    def passed(self, candidate: int, example: Example) -> None:
        if self._compares:
            self._known.add(example.instruction, f"candidate {candidate}")

    def judge(self, candidate: int, text: Text, example: Example) -> Verdict:
        """`example` is what the candidate would become."""
        code, evidence = text.code, text.evidence
        if not code and self._measures:
            finding = length(example.instruction, self._least, self._most)
            if finding:
                code, evidence = finding.code, finding.evidence
        if not code and example.response and _squeezed(example.response) == _squeezed(example.instruction):
            code, evidence = "echo", "the response is the instruction again"
        if not code and self._compares:
            match = self._known.find(example.instruction)
            if match:
                code, evidence = "near_copy", f"{match.score:.2f} ROUGE-L with {match.name}"
        return Verdict(candidate, self._place, text.key, code, evidence)


def _squeezed(text: str) -> list[str]:
    return tokens(text) or text.split()
