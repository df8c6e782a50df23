"""What strangers may ask of a shared machine."""

from __future__ import annotations

import threading

import pytest

from augmentlm import catalog
from augmentlm.augmenter import load
from augmentlm.catalog import Sampling
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.limits import LimitedPool, Limits
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError
from augmentlm.machine import Machine, plan
from augmentlm.tasks import Message

SMALL = Limits(characters=20, tokens=3, rows=2)


@pytest.fixture
def engine():
    """What the pool makes, within limits."""
    pool = LimitedPool(
        SMALL,
        fetch=lambda plan, progress, stop: None,
        make=lambda plan, weights, progress, stop: ScriptedEngine(lambda request: "one two three four five"),
        free_bytes=lambda device: 2**40,
    )
    machine = Machine(16 * 2**30, 16 * 2**30, 2**40, 2, frozenset(), ())
    with pool.lease(plan(catalog.model("augmentlm-0.5b-refine"), machine)) as leased:
        yield leased
    pool.close()


def request(text: str, tokens: int = 100) -> Request:
    return Request((Message("user", text),), Sampling(max_tokens=tokens, seed=1))


def test_an_answer_ends_where_the_limit_is(engine):
    *_, last = engine.stream(request("short"), threading.Event())
    assert isinstance(last, Completion) and (last.finish, last.completion_tokens) == ("length", 3)
    ((_, row),) = engine.generate([request("short")], threading.Event())
    assert (row.finish, row.completion_tokens) == ("length", 3)


def test_fewer_tokens_than_the_limit_may_be_asked_for(engine):
    *_, last = engine.stream(request("short", 2), threading.Event())
    assert last.completion_tokens == 2


def test_a_text_over_the_limit_is_refused_with_what_to_do(engine):
    with pytest.raises(InputError, match=r"may have up to 20 characters\. Run AugmentLM on your own computer"):
        next(engine.stream(request("x" * 21), threading.Event()))
    with pytest.raises(InputError, match="up to 20 characters"):
        next(engine.generate([request("x" * 21)], threading.Event()))


def test_more_rows_than_the_limit_are_refused(engine):
    with pytest.raises(InputError, match="one call makes up to 2 results"):
        next(engine.generate([request("a")] * 3, threading.Event()))


def test_every_door_goes_through_the_pool(monkeypatch):
    pool = LimitedPool(
        Limits(characters=30),
        fetch=lambda plan, progress, stop: None,
        make=lambda plan, weights, progress, stop: ScriptedEngine(lambda request: "fine"),
        free_bytes=lambda device: 2**40,
    )
    refine = load("refine", "augmentlm-0.5b-refine", pool=pool)
    assert refine("short").text == "fine"
    with pytest.raises(InputError, match="up to 30 characters"):
        refine("a long prompt " * 9)
    pool.close()
