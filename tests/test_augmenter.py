"""Batches of an augmenter, on the scripted engine."""

from __future__ import annotations

import threading

import pytest

from augmentlm import tries
from augmentlm.augmenter import Augmenter
from augmentlm.engines.base import Request
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.sources import RemoteModel
from augmentlm.tries import TRIES

SEED = "Plan a three-day trip to Kyoto for two."
GOOD = "Write a packing list for a week of hiking in Norway."
OTHER = "Suggest four board games for a rainy evening with grandparents."


class Writer:
    """Answers by the seed of a request, and remembers every request."""

    def __init__(self, texts: dict[int, str], fallback: str = SEED) -> None:
        self.texts, self.fallback = texts, fallback
        self.seeds: list[int] = []

    def __call__(self, request: Request) -> str:
        assert request.sampling.seed is not None
        self.seeds.append(request.sampling.seed)
        return self.texts.get(request.sampling.seed, self.fallback)


def expander(writer) -> Augmenter:
    return Augmenter("expand", RemoteModel("scripted", ScriptedEngine(writer), {}))


def again(seed: int, number: int) -> int:
    return seed + (number - 1) * tries._TRIES_APART


def test_a_result_that_passes_is_asked_for_once():
    writer = Writer({1: GOOD})
    [result] = expander(writer).batch([SEED], seed=1)
    assert (result.text, result.tries, writer.seeds) == (GOOD, 1, [1])


def test_a_near_copy_is_asked_for_again_with_another_seed():
    writer = Writer({again(1, 2): GOOD})
    [result] = expander(writer).batch([SEED], seed=1)
    assert result.accepted
    assert (result.text, result.tries, result.seed) == (GOOD, 2, again(1, 2))


def test_after_the_last_try_the_result_comes_back_with_its_reason():
    writer = Writer({})
    [result] = expander(writer).batch([SEED], seed=1)
    assert [finding.code for finding in result.findings] == ["near_copy"]
    assert result.tries == TRIES == len(writer.seeds)


def test_only_the_rejected_rows_of_a_batch_are_asked_for_again():
    writer = Writer({1: GOOD, again(2, 2): OTHER})
    results = list(expander(writer).batch([SEED], 2, seed=1))
    assert [(result.text, result.tries) for result in results] == [(GOOD, 1), (OTHER, 2)]
    assert writer.seeds == [1, 2, again(2, 2)]


def test_a_copy_of_another_result_is_asked_for_again():
    writer = Writer({1: GOOD, 2: GOOD, again(2, 2): OTHER})
    assert [result.text for result in expander(writer).batch([SEED], 2, seed=1)] == [GOOD, OTHER]


def test_an_answer_in_place_of_an_instruction_is_asked_for_again():
    writer = Writer({1: "Kyoto is lovely in autumn, when the maples turn red and it is cool.", again(1, 2): GOOD})
    [result] = expander(writer).batch([SEED], seed=1)
    assert (result.text, result.tries) == (GOOD, 2)


def test_a_try_after_a_near_copy_is_warmer_and_one_after_an_answer_is_not():
    heard = []

    def write(request: Request) -> str:
        heard.append(round(request.sampling.temperature, 2))
        return SEED if len(heard) < 3 else "Kyoto is lovely in autumn, when the maples turn red and it is cool."

    list(expander(write).batch([SEED], temperature=0.3))
    list(expander(write).batch([SEED], temperature=0.3))
    assert heard == [0.3, 0.6, 0.9, 0.3, 0.3, 0.3]


def test_what_is_most_likely_is_not_asked_for_twice():
    writer = Writer({})
    [result] = expander(writer).batch([SEED], seed=1, temperature=0.0)
    assert (result.tries, len(writer.seeds)) == (1, 1)


def test_a_response_is_kept_as_it_is():
    writer = Writer({1: ""}, fallback="")
    [result] = Augmenter("respond", RemoteModel("scripted", ScriptedEngine(writer), {})).batch([SEED], seed=1)
    assert (result.accepted, result.tries) == (False, 1)


@pytest.mark.parametrize("at", [2, 3])
def test_a_stop_between_two_tries_keeps_what_was_written(at):
    stop = threading.Event()

    def write(request: Request) -> str:
        if request.sampling.seed == again(1, at):
            stop.set()
        return SEED

    [result] = expander(write).batch([SEED], seed=1, stop=stop)
    assert (result.text, result.finish) == (SEED, "stop")
    assert [finding.code for finding in result.findings] == ["near_copy"]
