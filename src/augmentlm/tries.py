"""How often a row of a batch is asked for: again when a check speaks against it, and pairs several times at once, of
which the surest is kept.

A model that makes up its own task as well as the answer may pick a task beyond it. Its doubt shows: over the pairs
that AugmentLM 0.5B Pair wrote, the mean log probability of a response goes with how little of it had to be corrected
(rank correlation 0.66). So a pair is written `CANDIDATES` times and the surest kept; rows that are worked on together
share the prompt, which makes four cost about twice one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from augmentlm.engines.base import Completion, Request
from augmentlm.results import Result
from augmentlm.tasks import Pair, Style, Task

TRIES = 3
"""How often a batch asks for a result that a check speaks against. Rows of a batch are written side by side, so that
a few more cost less than their share."""

CANDIDATES = 4
"""How often a pair is written at a try, of which one is kept."""

_TRIES_APART, _CANDIDATES_APART = 1_000_003, 7_919
"""Between the seeds of two tries and of two candidates, so that they don't meet the seeds of the next samples."""

_WARMER, _WARMEST = 0.3, 1.0
"""What a try after a near-copy adds to the temperature, and where that ends: cool texts make sense, warm ones vary."""


def another(request: Request, number: int, before: Result | None) -> Request:
    """The request of a try, counted from 1; `before` is what the last one gave."""
    sampling = request.sampling
    if sampling.seed is not None:
        sampling = replace(sampling, seed=sampling.seed + (number - 1) * _TRIES_APART)
    if before and any(finding.code == "near_copy" for finding in before.findings):
        warmer = sampling.temperature + (number - 1) * _WARMER
        sampling = replace(sampling, temperature=max(sampling.temperature, min(warmer, _WARMEST)))
    return replace(request, sampling=sampling)


def candidates_of(task: Task, style: Style, request: Request) -> int:
    """How many texts are written for one row: several where the model is small and its text is drawn by chance."""
    return CANDIDATES if task == "pair" and style == "tuned" and request.sampling.temperature > 0 else 1


def spread(request: Request, count: int) -> list[Request]:
    """The requests of one row's candidates, each with a seed of its own."""
    if count == 1:
        return [request]
    seed = request.sampling.seed or 0
    return [
        replace(request, sampling=replace(request.sampling, seed=seed + number * _CANDIDATES_APART), scored=True)
        for number in range(count)
    ]


def surest(made: Sequence[tuple[Result, Completion]]) -> Result:
    """The accepted result whose response the model was surest of; without an accepted one, the first that is there.

    Where the engine doesn't say how sure the model was, the first accepted one.
    """
    accepted = [each for each in made if each[0].accepted]
    whole = accepted or [each for each in made if each[0].finish != "cancelled"] or list(made)
    return max(whole, key=lambda each: _sureness(*each) if accepted else 0.0)[0]


def _sureness(result: Result, completion: Completion) -> float:
    """Of the response alone: how an instruction is worded says little about whether it can be answered."""
    response = result.output.response if isinstance(result.output, Pair) else completion.text
    sure = completion.sureness(max(0, completion.text.rfind(response)))
    return float("-inf") if sure is None else sure
