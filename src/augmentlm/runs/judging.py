"""Who passes a step: the findings on a text alone, then what depends on the seeds and on everything that passed before.

Candidates are judged in the order of their numbers, so that the same texts always get the same verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence

from augmentlm.checks.length import length
from augmentlm.checks.near_copies import NearCopies
from augmentlm.checks.novelty import tokens
from augmentlm.examples import Example
from augmentlm.measures.embed import Embed
from augmentlm.runs.alike import Alike
from augmentlm.runs.journal import Text, Verdict
from augmentlm.runs.marks import HIGHEST, mark
from augmentlm.runs.spec import MULTIPLIES, Spec

LONGEST_WORDS = 150


class Judge:
    """The checks of one step. They come in order; `passed` tells of each that passed before the next is judged.

    Without `embed` nothing is compared by meaning.
    """

    def __init__(self, spec: Spec, place: int, seeds: Sequence[Example], embed: Embed | None = None) -> None:
        self._place = place
        self._least = spec.checks.least_words
        longest = max(len(tokens(seed.instruction)) for seed in seeds)
        self._most = spec.checks.most_words or max(LONGEST_WORDS, 2 * longest)
        task = spec.steps[place].task
        so_far = [step.task for step in spec.steps[: place + 1]]
        self._refined = "refine" in so_far[:-1]
        self._marks = task == "judge"
        self._least_score = spec.checks.least_score
        self._measures = task not in ("respond", "judge")
        self._compares = self._measures and any(step in MULTIPLIES for step in so_far)
        self._known = NearCopies(spec.checks.near_copy)
        self._alike = Alike(spec.checks.similarity, embed) if self._compares and embed else None
        if task in MULTIPLIES:
            for number, seed in enumerate(seeds, 1):
                self._remember(seed.opening, f"seed {number}")

    def passed(self, candidate: int, example: Example) -> None:
        if self._compares:
            self._remember(example.instruction, f"candidate {candidate}")

    def _remember(self, text: str, name: str) -> None:
        self._known.add(text, name)
        if self._alike:
            self._alike.add(text, name)

    def judge(self, candidate: int, text: Text, example: Example) -> Verdict:
        """`example` is what the candidate would become."""
        if self._marks:
            return self._marked(candidate, text)
        code, evidence = text.code, text.evidence
        if code == "near_copy" and self._refined:  # what the text grew from is no seed as the user knows it
            evidence = evidence.replace("the seed", "the refined seed")
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
        if not code and self._alike:
            found = self._alike.find(example.instruction)
            if found:
                code, evidence = "too_similar", f"{found[0]:.2f} cosine with {found[1]}"
        return Verdict(candidate, self._place, text.key, code, evidence)

    def _marked(self, candidate: int, text: Text) -> Verdict:
        if text.code in ("input", "refused"):
            return Verdict(candidate, self._place, text.key, text.code, text.evidence)
        given = mark(text.text)
        if given is None:
            return Verdict(candidate, self._place, text.key, "no_mark", f"the judge said {text.text.strip()[:60]!r}")
        if given < self._least_score:
            return Verdict(candidate, self._place, text.key, "low_mark", f"{given} of {HIGHEST} from the judge")
        return Verdict(candidate, self._place, text.key)


def _squeezed(text: str) -> list[str]:
    return tokens(text) or text.split()
