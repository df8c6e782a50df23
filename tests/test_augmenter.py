"""Batches of an augmenter, on the scripted engine, and the model it takes when none is named."""

from __future__ import annotations

import threading

import pytest

from augmentlm import augmenter, catalog, machine, tries
from augmentlm.augmenter import Augmenter, best_model, load
from augmentlm.engines.base import Request
from augmentlm.engines.chat_api import RefusedError
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import AugmentLMError, DoesNotFitError, EngineError, InputError
from augmentlm.machine import GB, Gpu, Machine
from augmentlm.sources import RemoteModel
from augmentlm.tasks import Pair, format_pair
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


def test_a_model_that_runs_on_from_its_pair_into_others_is_not_listened_to_any_longer():
    pairs = [Pair("Name a fruit.", "Apple."), Pair("Name a bird.", "Wren.")]
    texts = [format_pair(Pair(f"Name a {kind}.", "Some.")) for kind in ("metal", "river", "tree")]
    source = RemoteModel("scripted", ScriptedEngine(lambda request: "\n\n".join(texts)), {})
    for result in (Augmenter("pair", source)(pairs), *Augmenter("pair", source).batch([pairs])):
        assert result.accepted and result.output == Pair("Name a metal.", "Some.")
        assert result.text.startswith(texts[0]) and "river" not in result.text and result.finish == "stop"


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


class Failing(ScriptedEngine):
    """Leaves out the rows whose text ends in `!`, and raises `error` after the others; with `lost`, at the first."""

    def __init__(self, writer, error: AugmentLMError | None, *, lost: bool = False) -> None:
        super().__init__(writer)
        self.error, self.lost = error, lost
        self.calls = 0

    def generate(self, requests, stop):
        self.calls += 1
        left_out = [request.messages[-1].content.endswith("!") for request in requests]
        until = left_out.index(True) if self.lost and True in left_out else len(requests)
        good = [place for place in range(until) if not left_out[place]]
        for number, completion in super().generate([requests[place] for place in good], stop):
            yield good[number], completion
        if self.error and (True in left_out):
            raise self.error


def refused() -> EngineError:
    error = EngineError("1 of 4 requests failed.")
    error.__cause__ = RefusedError("The server refused the request.")
    return error


def outcome(engine: ScriptedEngine, values: list[str], **settings):
    """The results as (index, text, tries) and the error that came after them."""
    results = []
    batch = Augmenter("expand", RemoteModel("scripted", engine, {})).batch(values, **settings)
    try:
        results.extend((result.index, result.text, result.tries) for result in batch)
    except AugmentLMError as error:
        return results, error
    return results, None


SEEDS = [SEED, "Plan a three-day trip to Osaka for two.", "Plan a three-day trip to Nara for two."]


def by_input(good: dict[str, list[str]]):
    """What is written for an input at each try; the input itself when nothing is left."""
    left = {text: list(texts) for text, texts in good.items()}

    def write(request: Request) -> str:
        asked = next(text for text in SEEDS if text in request.messages[-1].content)
        return left[asked].pop(0) if left.get(asked) else asked

    return write


@pytest.mark.parametrize("error", [InputError("The text has 40,000 tokens."), refused()])
def test_a_row_that_can_not_be_worked_on_keeps_no_other_from_its_tries(error):
    engine = Failing(by_input({SEEDS[0]: [GOOD], SEEDS[1]: [SEEDS[1], OTHER]}), error)
    results, raised = outcome(engine, [SEEDS[0], SEEDS[1], "Too long!", SEEDS[2]], seed=1)
    assert results == [(0, GOOD, 1), (1, OTHER, 2), (3, SEEDS[2], TRIES)]
    assert raised is error


def test_an_engine_that_is_lost_keeps_what_was_made_before():
    error = EngineError("The connection was lost.", retryable=True)
    engine = Failing(by_input({SEEDS[0]: [GOOD]}), error, lost=True)
    results, raised = outcome(engine, [*SEEDS[:2], "Lost!", SEEDS[2]], seed=1)
    assert results == [(0, GOOD, 1), (1, SEEDS[1], 1)]
    assert raised is error and engine.calls == 1


def test_an_engine_that_is_lost_at_the_second_try_keeps_the_first():
    class Lost(ScriptedEngine):
        def generate(self, requests, stop):
            if len(requests) < len(SEEDS):
                raise EngineError("The machine ran out of memory.", retryable=True)
            yield from super().generate(requests, stop)

    results, raised = outcome(Lost(by_input({SEEDS[0]: [GOOD]})), SEEDS, seed=1)
    assert results == [(0, GOOD, 1), (1, SEEDS[1], 1), (2, SEEDS[2], 1)]
    assert "out of memory" in str(raised)


def test_an_engine_that_ends_early_keeps_what_was_made_before():
    stop = threading.Event()

    class Stopped(ScriptedEngine):
        def generate(self, requests, stop):
            if len(requests) == len(SEEDS):
                yield from super().generate(requests, stop)
                stop.set()

    engine = Stopped(by_input({SEEDS[0]: [GOOD]}))
    assert outcome(engine, SEEDS, seed=1, stop=stop) == ([(0, GOOD, 1), (1, SEEDS[1], 1), (2, SEEDS[2], 1)], None)


def test_an_engine_is_not_asked_for_nothing():
    engine = Failing(by_input({SEEDS[0]: [GOOD]}), None)
    assert outcome(engine, SEEDS[:1], seed=1) == ([(0, GOOD, 1)], None)
    assert engine.calls == 1


SMALL, LARGE = (catalog.model(f"qwen2-{size}-instruct-refine") for size in ("1.5b", "7b"))


@pytest.fixture
def downloaded(monkeypatch):
    """Both published models for refining are here, and so is every package; gives a way to choose the machine."""
    monkeypatch.setattr(augmenter, "is_cached", lambda artifact: artifact in (SMALL.artifact, LARGE.artifact))
    monkeypatch.setattr(machine, "find_spec", lambda name: object())

    def choose(ram: float, gpu: float | None) -> None:
        cards = () if gpu is None else (Gpu("A card", int(gpu * GB), int(gpu * GB), 8.6),)
        found = Machine(int(ram * GB), int(ram * GB), 100 * GB, 8, frozenset({"avx2"}), cards)
        monkeypatch.setattr(augmenter, "inspect", lambda: found)

    return choose


def test_the_largest_downloaded_model_that_the_gpu_holds_is_taken(downloaded):
    downloaded(ram=64, gpu=24)
    assert best_model("refine") == LARGE
    downloaded(ram=64, gpu=4)  # the larger one would run on the CPU
    assert best_model("refine") == SMALL


def test_a_downloaded_model_that_fits_nowhere_leaves_the_place_to_the_next(downloaded):
    downloaded(ram=4, gpu=4)
    assert best_model("refine") == SMALL
    downloaded(ram=3, gpu=1)
    assert best_model("refine") == catalog.usual_model("refine")


def test_without_a_gpu_or_the_packages_for_it_the_usual_model_is_taken(downloaded, monkeypatch):
    downloaded(ram=64, gpu=None)
    assert best_model("refine") == catalog.usual_model("refine")
    downloaded(ram=64, gpu=24)
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "torch" else object())
    assert best_model("refine") == catalog.usual_model("refine")


def test_an_engine_that_only_the_usual_model_runs_on_takes_the_usual_model(downloaded):
    downloaded(ram=64, gpu=24)
    assert best_model("refine", engine="llamacpp") == catalog.usual_model("refine")
    assert best_model("refine", quantization="nf4") == LARGE


@pytest.mark.parametrize("task", ["expand", "pair"])
def test_where_the_usual_model_does_not_fit_a_smaller_one_of_ours_does_the_task(downloaded, task):
    downloaded(ram=3, gpu=None)
    small = best_model(task)
    assert small.name == f"augmentlm-0.5b-{task}"
    downloaded(ram=8, gpu=None)
    assert best_model(task) == catalog.usual_model(task) != small
    downloaded(ram=0.5, gpu=None)  # nothing fits, and the error is about the usual one
    assert best_model(task) == catalog.usual_model(task)


def test_a_smaller_one_of_ours_stands_in_where_the_only_way_that_fits_needs_packages_that_are_not_here(monkeypatch):
    with_bf16 = Machine(int(3.8 * GB), int(3.8 * GB), 100 * GB, 8, frozenset({"avx2", "avx512_bf16"}), ())
    monkeypatch.setattr(augmenter, "inspect", lambda: with_bf16)
    monkeypatch.setattr(machine, "find_spec", lambda name: object())
    assert best_model("expand") == catalog.usual_model("expand")  # in NF4
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "torch" else object())
    assert best_model("expand").name == "augmentlm-0.5b-expand"


def test_a_way_that_was_asked_for_and_does_not_fit_is_refused_where_another_way_fits(downloaded):
    downloaded(ram=5, gpu=None)
    with pytest.raises(DoesNotFitError, match="Q4_K_M"):
        load("expand", quantization="fp32")
