"""Several candidates of a text, of which the surest is kept."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from augmentlm import catalog
from augmentlm.augmenter import Augmenter
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.limits import Limits, _Limited
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import EngineError, InputError
from augmentlm.sources import RemoteModel
from augmentlm.tasks import Pair, format_pair, response_span

EXAMPLES = [Pair("Name a fruit that grows on trees.", "Apple."), Pair("Name an animal of the sea.", "Dolphin.")]
WRITTEN = [
    Pair("Which tool cuts bread?", "Knife."),
    Pair("Say what bees make in summer.", "Honey."),
    Pair("Give the colour of a ripe banana.", "Yellow."),
    Pair("What falls from dark clouds?", "Rain."),
]
FOUR = 4


class Doubting(ScriptedEngine):
    """Writes `texts` by the candidate's number. Of its response it is as sure as `sure` says, of its instruction the
    less; with `last_first` rows finish in the other order."""

    def __init__(self, sure: list[float], texts: list[str] | None = None, last_first: bool = False) -> None:
        self.asked: list[Request] = []
        self.sure = sure
        self.texts = texts or [format_pair(pair) for pair in WRITTEN]
        self.last_first = last_first
        super().__init__(self._text)

    def _text(self, request: Request) -> str:
        self.asked.append(request)
        return self.texts[request.candidate or 0]

    def generate(self, requests, stop):
        rows = [
            (index, self._doubt(completion, self.sure[(requests[index].candidate or 0) % len(self.sure)]))
            for index, completion in super().generate(requests, stop)
        ]
        yield from reversed(rows) if self.last_first else rows

    def _doubt(self, completion: Completion, sure: float) -> Completion:
        start, end = response_span(completion.text)
        return replace(completion, likelihoods=((0, -9 - sure), (start, sure), (end + 5, -9 - sure)))


def pairs_from(engine: ScriptedEngine, candidates: int = FOUR) -> Augmenter:
    return Augmenter("pair", RemoteModel("scripted", engine, {}, style="tuned", candidates=candidates))


@pytest.mark.parametrize("best", range(FOUR))
@pytest.mark.parametrize("last_first", [False, True])
def test_the_pair_whose_response_the_model_was_surest_of_is_kept(best, last_first):
    engine = Doubting([-0.2 if number == best else -2.0 for number in range(FOUR)], last_first=last_first)
    [result] = pairs_from(engine).batch([EXAMPLES], seed=1)
    assert result.output == WRITTEN[best] and result.tries == 1
    assert len({request.sampling.seed for request in engine.asked}) == FOUR


def test_the_kept_pair_has_the_seed_it_was_made_with_and_tells_the_tokens_of_all():
    engine = Doubting([-2.0, -0.2, -2.0, -2.0])
    [result] = pairs_from(engine).batch([EXAMPLES], seed=1)
    assert result.seed == engine.asked[1].sampling.seed
    assert result.completion_tokens == sum(len(text.split()) for text in engine.texts)


def test_what_a_model_writes_behind_its_pair_does_not_count():
    run_on = [f"{format_pair(pair)}\n\n{format_pair(WRITTEN[0])}" for pair in WRITTEN]
    [result] = pairs_from(Doubting([-2.0, -2.0, -0.2, -2.0], run_on)).batch([EXAMPLES], seed=1)
    assert result.output == WRITTEN[2]


def test_a_check_weighs_more_than_how_sure_the_model_is():
    texts = [format_pair(pair) for pair in (EXAMPLES[0], *WRITTEN[1:])]
    [result] = pairs_from(Doubting([-0.01, -1.0, -2.0, -3.0], texts)).batch([EXAMPLES], seed=1)
    assert result.output == WRITTEN[1] and result.accepted


def test_an_engine_that_does_not_say_how_sure_it_is_gives_its_first_good_pair():
    class Silent(Doubting):
        def _doubt(self, completion, sure):
            return completion

    texts = [format_pair(pair) for pair in (EXAMPLES[0], *WRITTEN[1:])]
    [result] = pairs_from(Silent([0.0], texts, last_first=True)).batch([EXAMPLES], seed=1)
    assert result.output == WRITTEN[1]


def test_when_no_candidate_passes_all_are_written_again_with_other_seeds():
    engine = Doubting([-1.0], [format_pair(EXAMPLES[0])] * FOUR)
    [result] = pairs_from(engine).batch([EXAMPLES], seed=1)
    assert result.tries == 3 and not result.accepted
    assert len({request.sampling.seed for request in engine.asked}) == len(engine.asked) == 3 * FOUR


def test_each_of_several_inputs_keeps_one_of_its_own_candidates_and_copies_are_asked_for_again():
    engine = Doubting([-3.0, -2.0, -1.0, -0.5])
    results = list(pairs_from(engine).batch([EXAMPLES, EXAMPLES[::-1]], 2, seed=1))
    found = {index: [result.output for result in results if result.index == index] for index in (0, 1)}
    assert found == {index: [WRITTEN[3], WRITTEN[2]] for index in (0, 1)}


@pytest.mark.parametrize(("candidates", "temperature"), [(1, 0.3), (FOUR, 0.0)])
def test_another_model_and_the_likeliest_text_are_asked_for_once(candidates, temperature):
    engine = Doubting([-1.0])
    list(pairs_from(engine, candidates).batch([EXAMPLES], seed=1, temperature=temperature))
    assert [request.candidate for request in engine.asked] == [None]


def test_after_a_stop_what_is_whole_comes_back():
    stop = threading.Event()

    class Stopped(Doubting):
        def _text(self, request):
            if request.candidate == 2:
                stop.set()
            return super()._text(request)

    [result] = pairs_from(Stopped([-3.0, -1.0, -0.1, -0.1])).batch([EXAMPLES], seed=1, stop=stop)
    assert result.output == WRITTEN[1] and result.finish == "stop"


def test_when_the_engine_fails_the_whole_candidates_come_before_its_error():
    class Failing(Doubting):
        def generate(self, requests, stop):
            rows = super().generate(requests, stop)
            yield from (next(rows) for _ in range(2))
            raise EngineError("The memory is full.")

    results = pairs_from(Failing([-3.0, -1.0])).batch([EXAMPLES], seed=1)
    assert next(results).output == WRITTEN[1]
    with pytest.raises(EngineError, match="memory"):
        next(results)


def test_a_spaces_limit_counts_results_and_not_their_candidates():
    engine = _Limited(Doubting([-1.0]), Limits(rows=2, tokens=100, characters=10_000))
    assert len(list(pairs_from(engine).batch([EXAMPLES], 2, seed=1))) == 2
    with pytest.raises(InputError, match="up to 2 results"):
        list(pairs_from(engine).batch([EXAMPLES], 3, seed=1))


def test_the_embedded_pair_model_has_candidates_and_larger_ones_have_not():
    assert catalog.model("augmentlm-0.5b-pair").candidates > 1
    assert {model.candidates for model in catalog.models_for("pair") if model.family != "embedded"} == {1}
