"""Several candidates of a pair, of which the surest is kept."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from augmentlm.augmenter import Augmenter
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.sources import RemoteModel
from augmentlm.tasks import Pair, format_pair
from augmentlm.tries import CANDIDATES

EXAMPLES = [Pair("Name a fruit that grows on trees.", "Apple."), Pair("Name an animal of the sea.", "Dolphin.")]
WRITTEN = [
    Pair(f"Name a thing you see in the {place}.", f"{thing}.")
    for place, thing in (("sky", "Cloud"), ("kitchen", "Spoon"), ("garden", "Rake"), ("street", "Lamp"))
]


class Doubting(ScriptedEngine):
    """Writes its pairs in turn; of pair k it is as sure as the k-th number says, of the instruction always alike."""

    def __init__(self, sure: list[float], pairs: list[Pair] | None = None) -> None:
        self.asked: list[Request] = []
        self.sure = sure
        self.pairs = pairs or WRITTEN
        super().__init__(self._next)

    def _next(self, request: Request) -> str:
        self.asked.append(request)
        return format_pair(self.pairs[(len(self.asked) - 1) % len(self.pairs)])

    def generate(self, requests, stop):
        for index, completion in super().generate(requests, stop):
            yield index, self.doubting(completion, self.sure[index % len(self.sure)])

    def doubting(self, completion: Completion, sure: float) -> Completion:
        if not completion.text:
            return completion
        start = completion.text.index("### Response")
        return replace(completion, likelihoods=((0, -0.1), (start, -0.1), (len(completion.text) - 4, sure)))


def pairs_from(engine: ScriptedEngine, style="tuned") -> Augmenter:
    return Augmenter("pair", RemoteModel("scripted", engine, {}, style=style))


@pytest.mark.parametrize("best", range(CANDIDATES))
def test_the_pair_whose_response_the_model_was_surest_of_is_kept(best):
    engine = Doubting([-0.2 if number == best else -2.0 for number in range(CANDIDATES)])
    [result] = pairs_from(engine).batch([EXAMPLES], seed=1)
    assert result.output == WRITTEN[best] and result.tries == 1
    assert len({request.sampling.seed for request in engine.asked}) == CANDIDATES
    assert all(request.scored for request in engine.asked)


def test_the_kept_pair_has_the_seed_it_can_be_made_again_with():
    engine = Doubting([-2.0, -0.2, -2.0, -2.0])
    [result] = pairs_from(engine).batch([EXAMPLES], seed=1)
    assert result.seed == engine.asked[1].sampling.seed


def test_a_check_weighs_more_than_how_sure_the_model_is():
    engine = Doubting([-0.01, -1.0, -2.0, -3.0], [EXAMPLES[0], *WRITTEN[1:]])
    [result] = pairs_from(engine).batch([EXAMPLES], seed=1)
    assert result.output == WRITTEN[1] and result.accepted


def test_an_engine_that_does_not_say_how_sure_it_is_gives_its_first_good_pair():
    engine = ScriptedEngine(Doubting([0.0], [EXAMPLES[0], *WRITTEN[1:]]).script)
    [result] = pairs_from(engine).batch([EXAMPLES], seed=1)
    assert result.output == WRITTEN[1]


def test_each_of_several_inputs_keeps_one_of_its_own_candidates():
    engine = Doubting([-3.0, -2.0, -1.0, -0.5])
    results = list(pairs_from(engine).batch([EXAMPLES, EXAMPLES[::-1]], seed=1))
    assert [(result.index, result.output) for result in results] == [(0, WRITTEN[3]), (1, WRITTEN[3])]


@pytest.mark.parametrize(("style", "temperature"), [("prompted", 0.3), ("tuned", 0.0)])
def test_a_large_model_and_the_likeliest_text_are_asked_for_once(style, temperature):
    engine = Doubting([-1.0])
    list(pairs_from(engine, style).batch([EXAMPLES], seed=1, temperature=temperature))
    assert len(engine.asked) == 1


def test_a_stop_gives_back_what_is_whole_and_marks_what_is_not():
    stop = threading.Event()
    stop.set()
    [result] = pairs_from(Doubting([-1.0])).batch([EXAMPLES], seed=1, stop=stop)
    assert result.finish == "cancelled" and not result.accepted
