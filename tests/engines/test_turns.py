"""A lock that is given in the order of asking."""

from __future__ import annotations

import threading
import time

import pytest

from augmentlm.engines.turns import Turns


def test_those_who_wait_are_served_in_the_order_of_asking():
    turns = Turns()
    served: list[int] = []

    def ask(number: int) -> None:
        with turns:
            served.append(number)

    with turns:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
    for thread in threads:
        thread.join(10)
    assert served == list(range(8))


def test_one_who_asks_again_and_again_does_not_keep_another_out():
    turns = Turns()
    served: list[str] = []
    done = threading.Event()

    def batch() -> None:
        while not done.is_set() and len(served) < 10_000:
            with turns:
                served.append("batch")
                time.sleep(0.001)

    thread = threading.Thread(target=batch)
    thread.start()
    for _ in range(20):
        with turns:
            served.append("person")
    done.set()
    thread.join(10)
    waits = "".join(name[0] for name in served).split("p")[1:-1]
    assert max(map(len, waits)) <= 2


def test_an_error_gives_the_turn_back():
    turns = Turns()
    with pytest.raises(ValueError), turns:
        raise ValueError
    with turns:
        pass


def test_one_who_is_interrupted_while_waiting_leaves_no_place_behind(monkeypatch):
    turns = Turns()

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with turns, monkeypatch.context() as patch:
        patch.setattr(turns._changed, "wait_for", interrupt)
        with pytest.raises(KeyboardInterrupt), turns:
            pass
    with turns:
        pass
