"""Run and Stop: what the page is given when runs follow each other faster than they end."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import gradio as gr
import pytest

from augmentlm.ui.running import Runner

ANNA, BEN = SimpleNamespace(session_hash="anna"), SimpleNamespace(session_hash="ben")


class Wired:
    """A place with a run that writes its name until it is stopped or let go; its events, to call."""

    def __init__(self, context) -> None:
        self.free = threading.Event()
        self.began: list[str] = []
        self.box = gr.HTML()
        given = gr.Textbox()
        self.runner = Runner(context(), "refine", "refine.run")
        self.runner.on_run(lambda language: {self.box: "waiting"}, self.work, [given], live=[self.box], final=[])
        self.events = {event.name: event for event in gr.context.Context.root_block.fns.values() if event.name}

    def work(self, flag, language, name):
        self.began.append(name)
        while not flag.is_set() and not self.free.is_set():
            yield {self.box: f"{name} writes"}
        return {self.box: f"{name} {'stopped' if flag.is_set() else 'done'}"}

    def press(self, visitor=ANNA) -> str:
        """Run; gives the ticket that the page gets."""
        shown = self.events["begin"].fn(visitor, "en")
        assert not shown[self.runner.button]["visible"]
        return next(value for box, value in shown.items() if isinstance(box, gr.Textbox))

    def run(self, ticket: str, name: str, visitor=ANNA):
        return self.events["run"].fn(visitor, "en", ticket, name)

    def stop(self, visitor=ANNA) -> None:
        assert self.events["stop"].fn(visitor)[self.runner.button]["visible"]

    def finish(self, ticket: str, visitor=ANNA) -> dict:
        return self.events["finish"].fn(visitor, ticket)


@pytest.fixture
def wired(context) -> Wired:
    return Wired(context)


def test_a_run_ends_with_its_result_and_the_button(wired) -> None:
    ticket = wired.press()
    running = wired.run(ticket, "one")
    assert next(running) == {wired.box: "one writes"}
    wired.free.set()
    assert list(running) == []
    shown = wired.finish(ticket)
    assert shown[wired.box] == "one done" and shown[wired.runner.button]["visible"]


def test_a_run_that_still_ends_when_the_next_was_asked_for_changes_nothing_on_the_page(wired) -> None:
    first = wired.press()
    ending = wired.run(first, "one")
    next(ending)
    wired.stop()
    second = wired.press()
    new = wired.run(second, "two")
    assert next(new) == {wired.box: "two writes"}
    # The last step is what Gradio sends once more.
    assert list(ending) == [gr.skip()]
    # The page has the new ticket by now; of an empty dictionary Gradio says that outputs are missing.
    assert wired.finish(second) == gr.skip()
    wired.free.set()
    assert list(new) == []
    assert wired.finish(second)[wired.box] == "two done"


def test_a_run_that_was_replaced_while_it_waited_for_its_turn_does_not_begin(wired) -> None:
    first = wired.press()
    wired.stop()
    second = wired.press()
    assert list(wired.run(first, "one")) == [gr.skip()]
    assert wired.finish(second) == gr.skip()
    assert next(wired.run(second, "two")) == {wired.box: "two writes"}
    assert wired.began == ["two"]


def test_a_run_that_never_came_leaves_nothing_behind_for_the_next(wired) -> None:
    lost = wired.press()  # the queue was full
    for language, said in (("en", "This did not begin"), ("zh", "未能开始")):
        shown = wired.events["fail"].fn(ANNA, language)
        assert said in shown[wired.box] and shown[wired.runner.button]["visible"]
    ticket = wired.press()
    assert ticket != lost
    running = wired.run(ticket, "two")
    assert next(running) == {wired.box: "two writes"}
    wired.stop()
    assert list(running) == []
    assert wired.finish(ticket)[wired.box] == "two stopped"


def test_a_run_that_broke_off_is_not_said_to_have_never_begun(wired) -> None:
    running = wired.run(wired.press(), "one")
    next(running)
    with pytest.raises(RuntimeError):
        running.throw(RuntimeError("unforeseen"))
    shown = wired.events["fail"].fn(ANNA, "en")
    assert shown[wired.box] == "" and shown[wired.runner.button]["visible"]


def test_visitors_have_runs_of_their_own(wired) -> None:
    anna, ben = wired.press(ANNA), wired.press(BEN)
    running = wired.run(anna, "anna", ANNA), wired.run(ben, "ben", BEN)
    assert [next(each)[wired.box] for each in running] == ["anna writes", "ben writes"]
    wired.stop(ANNA)
    assert list(running[0]) == [] and next(running[1]) == {wired.box: "ben writes"}
    assert wired.finish(ben, BEN) == gr.skip()
    assert wired.finish(anna, ANNA)[wired.box] == "anna stopped"


def test_the_page_sends_a_run_while_another_one_is_pending(wired) -> None:
    assert {wired.events[name].trigger_mode for name in ("run", "finish", "fail")} == {"multiple"}
