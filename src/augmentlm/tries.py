"""How often a row of a batch is asked for: again when a check speaks against it, and of a model that has `candidates`
in the catalog several times at once, of which the surest is kept.

A small model that makes up its own task as well as the answer may pick a task beyond it, and its doubt shows: over 472
pairs that AugmentLM 0.5B Pair wrote, the mean log probability of a response went with how much of it was left when it
had been corrected (rank correlation 0.66).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from augmentlm.engines.base import Completion, Engine, Request
from augmentlm.engines.chat_api import is_about_row
from augmentlm.errors import AugmentLMError
from augmentlm.results import Result
from augmentlm.tasks import TaskInput, response_span

Row = tuple[int, TaskInput, Request]
"""The number of an input, the input, and what is asked of the model for it. Several rows may share an input."""

Judge = Callable[[int, TaskInput, Completion, dict[str, str]], Result]
"""Gives the result of a completion; the last argument has the input's earlier results, by name."""

TRIES = 3
"""How often a batch asks for a result that a check speaks against. Rows of a batch are written side by side, so that
a few more cost less than their share."""

_TRIES_APART, _CANDIDATES_APART = 1_000_003, 7_919
"""Between the seeds of two tries and of two candidates, so that they don't meet the seeds of the next samples."""

_WARMER, _WARMEST = 0.3, 1.0
"""What a try after a near-copy adds to the temperature, and where that ends: cool texts make sense, warm ones vary."""


def tried(
    engine: Engine, rows: Sequence[Row], judge: Judge, *, times: int, count: int, stop: threading.Event
) -> Iterator[Result]:
    """A result of each row, as they finish: the surest of `count`, asked for up to `times` times while a check speaks
    against it. What the engine raises comes last, after all that was made."""
    earlier: dict[int, dict[str, str]] = {}
    rejected: dict[int, Result] = {}  # what a row without a final result has so far
    waiting = list(range(len(rows)))
    failure: AugmentLMError | None = None
    for number in range(1, times + 1):
        requests = [another(rows[place][2], number, rejected.get(place)) for place in waiting]
        asked, waiting = waiting, []
        with closing(candidates(engine, requests, count, stop)) as written:
            try:
                for answer, completions in written:
                    place = asked[answer]
                    index, value, request = rows[place]
                    siblings = earlier.setdefault(index, {})
                    found = [(judge(index, value, each, siblings), each) for each in completions]
                    result = replace(surest(found), tries=number)
                    if result.finish == "cancelled" and place in rejected:
                        continue
                    if number < times and _again(result, request, stop):
                        rejected[place] = result
                        waiting.append(place)
                        continue
                    if result.accepted and result.output is not None:
                        text = result.output if isinstance(result.output, str) else result.output.instruction
                        siblings[f"result {len(siblings) + 1}"] = text
                    rejected.pop(place, None)
                    yield result
            except AugmentLMError as error:
                failure = failure or error
                waiting = waiting if is_about_row(error) else []
        if not waiting:
            break
    # Of rows that were to be tried again when the engine failed or was stopped.
    yield from rejected.values()
    if failure:
        raise failure


def _again(result: Result, request: Request, stop: threading.Event) -> bool:
    """Whether another try may give something better: what is most likely alone (temperature 0) stays the same."""
    return request.sampling.temperature > 0 and not result.accepted and not stop.is_set()


def another(request: Request, number: int, before: Result | None) -> Request:
    """The request of a try, counted from 1; `before` is what the last one gave."""
    sampling = request.sampling
    if sampling.seed is not None:
        sampling = replace(sampling, seed=sampling.seed + (number - 1) * _TRIES_APART)
    if before and any(finding.code == "near_copy" for finding in before.findings):
        warmer = sampling.temperature + (number - 1) * _WARMER
        sampling = replace(sampling, temperature=max(sampling.temperature, min(warmer, _WARMEST)))
    return replace(request, sampling=sampling)


def candidates(
    engine: Engine, requests: Sequence[Request], count: int, stop: threading.Event
) -> Generator[tuple[int, list[Completion]], None, None]:
    """`count` completions of each request, in the order of their seeds, with its index; one where nothing is left to
    chance. A request comes when all of its are there; when the engine ends early or fails, with those that are."""
    spread = [_spread(request, count if request.sampling.temperature > 0 else 1) for request in requests]
    sizes = [len(each) for each in spread]
    index_of = [index for index, size in enumerate(sizes) for _ in range(size)]
    made: dict[int, list[tuple[int, Completion]]] = {}
    failure: AugmentLMError | None = None
    with closing(engine.generate([request for each in spread for request in each], stop)) as completions:
        try:
            for number, completion in completions:
                index = index_of[number]
                made.setdefault(index, []).append((number, completion))
                if len(made[index]) == sizes[index]:
                    yield index, _in_order(made.pop(index))
        except AugmentLMError as error:
            failure = error
    yield from ((index, _in_order(found)) for index, found in made.items())
    if failure:
        raise failure


def surest(made: Sequence[tuple[Result, Completion]]) -> Result:
    """The accepted result whose text the model was surest of, of a pair whose response; without an accepted one the
    first that is whole. Where the engine doesn't say how sure the model was, the first accepted one.

    It tells the tokens and the time of all.
    """
    accepted = [each for each in made if each[0].accepted]
    whole = [each for each in made if each[0].finish != "cancelled"]
    kept = max(accepted, key=lambda each: _sureness(each[1]))[0] if accepted else (whole or made)[0][0]
    return replace(
        kept,
        completion_tokens=sum(result.completion_tokens for result, _ in made),
        seconds=max(result.seconds for result, _ in made),
    )


def _sureness(completion: Completion) -> float:
    """Of a pair's response alone: how an instruction is worded says little about whether it can be answered."""
    sure = completion.sureness(*response_span(completion.text))
    return float("-inf") if sure is None else sure


def _spread(request: Request, count: int) -> list[Request]:
    """The requests of a row's candidates, each with a seed of its own; the row's own where there is one alone."""
    if count == 1:
        return [request]
    first = request.sampling
    seeds = [None if first.seed is None else first.seed + number * _CANDIDATES_APART for number in range(count)]
    return [replace(request, sampling=replace(first, seed=seed), candidate=number) for number, seed in enumerate(seeds)]


def _in_order(numbered: list[tuple[int, Completion]]) -> list[Completion]:
    return [completion for _, completion in sorted(numbered, key=lambda each: each[0])]
