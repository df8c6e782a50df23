"""Duels on the scripted engine."""

import itertools
import threading
import time
from collections import Counter
from random import Random

import pytest

from augmentlm.arena.contenders import Contender, resolve, takes_turns
from augmentlm.arena.duel import PLACES, Duel
from augmentlm.errors import EngineError, InputError
from scripted_duel import LONG, TwoPool, breaks, says

SMALL, LARGE = Contender("augmentlm-0.5b-refine"), Contender("qwen2.5-coder-1.5b-instruct")


def duel(small, large, value="write about dogs", **more) -> Duel:
    made = Duel("refine", value, SMALL, LARGE, pool=TwoPool(small=small, large=large), **more)
    made.start()
    return made


def wait(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.01)


def test_both_write_and_the_vote_knows_who_wrote_what():
    made = duel(says("Small one."), says("Large one."))
    wait(lambda: made.over)
    a = made.sides["a"].contender
    vote = made.decide("a")
    assert (vote.left.text, vote.right.text) == ("Small one.", "Large one.")
    assert (vote.left.model, vote.right.model) == (SMALL.model, LARGE.model)
    assert vote.winner == ("left" if a is SMALL else "right")
    assert vote.order == ("left_first" if a is SMALL else "right_first")
    assert vote.left.finish == "stop" and vote.left.seed is not None and vote.whole
    assert vote.left.weights["adapter"].startswith("sha256:")
    assert vote.sampling["temperature"] == 0.3 and vote.blind and vote.judge == "people"


def test_both_are_written_at_the_same_time():
    made = duel(says(LONG, 0.01), says(LONG, 0.01))
    wait(lambda: all(len(side.pieces) > 20 for side in made.sides.values()))
    assert not any(side.over.is_set() for side in made.sides.values())
    made.freeze()


def test_the_order_is_drawn_anew_each_time_and_balanced(monkeypatch):
    monkeypatch.setattr("augmentlm.arena.duel.check_pair", lambda *_: None)  # it looks at the machine
    random = Random(1)
    made = [Duel("refine", "x", SMALL, LARGE, random=random) for _ in range(2000)]
    first = Counter(each.sides["a"].contender.model for each in made)
    assert abs(first[SMALL.model] - 1000) < 3 * 22.4  # three standard deviations
    follows = sum(x.sides["a"].contender is y.sides["a"].contender for x, y in itertools.pairwise(made))
    assert abs(follows - 1000) < 3 * 22.4  # and an order tells nothing of the next
    drawn = {Duel("refine", "x", SMALL, LARGE).sides["a"].contender.model for _ in range(64)}
    assert drawn == {SMALL.model, LARGE.model}


def test_a_vote_while_they_write_stops_both_and_keeps_what_was_seen():
    made = duel(says(LONG, 0.005), says(LONG, 0.02))
    wait(lambda: len(made.shown()[0]) > 20)
    started = time.monotonic()
    vote = made.decide("tie")
    assert time.monotonic() - started < 1
    assert all(side.over.is_set() for side in made.sides.values())
    assert {vote.left.text, vote.right.text} == set(made.shown())
    assert len(vote.left.text) < len(LONG) and vote.left.finish == "cancelled" and not vote.whole
    seen = made.shown()
    time.sleep(0.2)
    assert made.shown() == seen


def test_blind_texts_are_level_and_open_ones_as_fast_as_they_come():
    for blind in (True, False):
        made = duel(says(LONG, 0.002), says(LONG, 0.05), blind=blind)
        wait(lambda made=made: len(made.right.pieces) > 5)
        a, b = (len(text.split()) for text in made.shown())
        assert (a == b) is blind
        made.freeze()


def test_nothing_can_be_voted_on_before_both_have_begun():
    made = duel(says(LONG), says(LONG, 30))
    wait(lambda: made.left.over.is_set())
    with pytest.raises(InputError, match=r"not two texts to vote on yet\. Wait"):
        made.decide("a")
    assert not made.right.over.is_set()
    made.freeze()


def test_a_model_that_writes_nothing_can_lose():
    made = duel(says(""), says("A text."))
    wait(lambda: made.over)
    place = next(place for place in PLACES if made.sides[place].contender is LARGE)
    assert made.decide(place).winner == "right"


@pytest.mark.parametrize("broken", [EngineError("There is no memory.", hint="Close something."), breaks(3)])
def test_when_one_fails_the_other_goes_on_and_there_is_no_vote(broken):
    made = duel(broken, says(LONG, 0.001))
    wait(lambda: made.over)
    assert isinstance(made.left.problem, EngineError)
    assert made.right.text == LONG and LONG in made.shown()
    with pytest.raises(InputError, match="One of the models failed"):
        made.decide("a")


def test_stopping_is_no_failure():
    flag = threading.Event()
    made = Duel("refine", "x", SMALL, LARGE, pool=TwoPool(small=says(LONG, 0.05), large=says(LONG, 0.05)))
    made.start(flag)
    wait(lambda: all(made.shown()))
    flag.set()
    wait(lambda: made.over, 1)
    assert not made.failed and made.decide("tie").winner == "tie"


def test_the_same_vote_can_be_tried_again():
    made = duel(says("One."), says("Two."))
    wait(lambda: made.over)
    first, second = made.decide("a"), made.decide("a")
    assert (first.id, first.winner, first.left) == (second.id, second.winner, second.left)


@pytest.mark.parametrize(
    ("left", "right", "sentence"),
    [
        (SMALL, SMALL, "Both sides are the same model."),
        (LARGE, Contender(LARGE.model, "Q4_K_M"), "Both sides are the same model."),
        (SMALL, Contender("augmentlm-0.5b-expand"), "can't do refine"),
        (Contender("x", endpoint="http://127.0.0.1:9/v1"),) * 2 + ("Both sides are the same model.",),
        (SMALL, Contender("", endpoint="http://127.0.0.1:9/v1"), "A server needs the name of a model."),
    ],
)
def test_pairs_that_can_not_be_compared_get_a_sentence(left, right, sentence):
    with pytest.raises(InputError, match=sentence):
        Duel("refine", "x", left, right)


def test_one_model_in_two_precisions_is_a_pair():
    assert Duel("refine", "x", LARGE, Contender(LARGE.model, "nf4")).sides


def test_a_prompt_that_can_not_be_worked_on_gets_a_sentence():
    with pytest.raises(InputError, match="There is no text"):
        Duel("refine", "  ", SMALL, LARGE)


def test_names_for_families():
    assert resolve("embedded", "expand") == "augmentlm-1.5b-expand"
    assert resolve("embedded", "pair") == "augmentlm-1.5b-pair"
    assert resolve("reference", "pair") == "qwen2.5-coder-1.5b-instruct"
    assert resolve("something@http://x/v1", "pair") == "something@http://x/v1"


def test_models_on_one_base_take_turns():
    assert takes_turns(SMALL, Contender("qwen2.5-coder-0.5b-instruct"))
    assert not takes_turns(SMALL, LARGE)
    assert not takes_turns(SMALL, Contender("x", endpoint="http://127.0.0.1:9/v1"))


def test_a_server_that_is_down_is_a_sentence_on_its_side(monkeypatch):
    down = Contender("qwen-max", endpoint="http://127.0.0.1:9/v1")
    monkeypatch.setattr("augmentlm.engines.endpoint.FIRST_WAIT", 0.01)
    made = Duel("refine", "x", SMALL, down, pool=TwoPool(small=says("Fine.")))
    made.start()
    wait(lambda: made.over, 60)
    assert isinstance(made.right.problem, EngineError) and made.left.text == "Fine."
