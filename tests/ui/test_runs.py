"""Stop flags and the threads behind a page."""

from __future__ import annotations

import threading
import time

import pytest

from augmentlm.errors import StoppedError
from augmentlm.ui.runs import Stops, follow
from augmentlm.weights import Told


def test_stop_stops_one_place_of_one_visitor() -> None:
    stops = Stops()
    flags = {}
    for visitor in ("anna", "ben"):
        for place in ("refine", "expand"):
            stops.begin(visitor, place)
            flags[visitor, place] = stops.take(visitor, place)
    stops.stop("anna", "refine")
    assert [key for key, flag in flags.items() if flag.is_set()] == [("anna", "refine")]
    stops.leave("ben")
    assert [key for key, flag in flags.items() if not flag.is_set()] == [("anna", "expand")]


def test_a_run_that_waits_for_its_turn_is_stopped_too() -> None:
    stops = Stops()
    stops.begin("anna", "refine")
    stops.stop("anna", "refine")
    assert stops.take("anna", "refine").is_set()


def test_a_new_run_replaces_the_one_before_and_takes_its_own_flag() -> None:
    stops = Stops()
    stops.begin("anna", "refine")
    first = stops.take("anna", "refine")
    ticket = stops.begin("anna", "refine")
    second = stops.take("anna", "refine", ticket)
    assert first.is_set()
    assert not second.is_set()
    assert not stops.is_newest("anna", "refine", first)
    stops.end("anna", "refine", first)
    assert stops.is_newest("anna", "refine", second)
    stops.end("anna", "refine", second)
    stops.stop("anna", "refine")  # nothing is left to stop


@pytest.mark.parametrize("first_comes", ["before", "after", "never"])
def test_a_run_that_was_replaced_while_it_waited_is_over_and_leaves_the_new_one_its_flag(first_comes) -> None:
    stops = Stops()
    tickets = [stops.begin("anna", "refine") for _ in range(2)]
    order = {"before": [0, 1], "after": [1, 0], "never": [1]}[first_comes]
    flags = {number: stops.take("anna", "refine", tickets[number]) for number in order}
    assert not flags[1].is_set() and stops.is_newest("anna", "refine", flags[1])
    if 0 in flags:
        assert flags[0].is_set() and not stops.is_newest("anna", "refine", flags[0])


def test_a_run_that_is_dropped_stops_and_shows_nothing_whether_it_goes_on_or_waits() -> None:
    stops = Stops()
    stops.drop("anna", "answers")  # nothing there
    stops.begin("anna", "answers")
    going = stops.take("anna", "answers")
    stops.drop("anna", "answers")
    assert going.is_set() and not stops.is_newest("anna", "answers", going) and not stops.is_running("anna", "answers")
    ticket = stops.begin("anna", "answers")
    stops.drop("anna", "answers")
    late = stops.take("anna", "answers", ticket)
    assert late.is_set() and not stops.is_newest("anna", "answers", late) and not stops.is_waiting("anna", "answers")


def test_a_run_that_comes_when_its_page_is_closed_is_over() -> None:
    stops = Stops()
    ticket = stops.begin("anna", "refine")
    stops.leave("anna")
    assert stops.take("anna", "refine", ticket).is_set()


def test_what_a_thread_makes_comes_in_order_and_its_progress_too() -> None:
    def work(progress):
        progress(1, 2)
        yield from range(1000)

    news = list(follow(work, threading.Event()))
    assert [item for step in news for item in step.items] == list(range(1000))
    assert any(step.progress == Told(1, 2) for step in news)


def test_an_error_of_the_thread_is_raised_after_what_it_made() -> None:
    def work(progress):
        yield 1
        raise ZeroDivisionError

    seen = []
    with pytest.raises(ZeroDivisionError):
        for news in follow(work, threading.Event()):
            seen += news.items
    assert seen == [1]


def test_stop_is_heard_even_when_the_work_does_not_listen() -> None:
    flag, free = threading.Event(), threading.Event()

    def work(progress):
        free.wait(10)
        yield 1

    threading.Timer(0.1, flag.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        list(follow(work, flag))
    assert time.monotonic() - started < 1.1
    free.set()


def test_who_leaves_stops_the_work() -> None:
    flag = threading.Event()

    def work(progress):
        while not flag.wait(0.01):
            yield 1

    following = follow(work, flag)
    next(following)
    following.close()
    assert flag.is_set()
