"""What waits in the queue may be turned away, because it is full: no part of the page is left as if it had begun."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.ui.build import build_app
from augmentlm.ui.texts import say
from scripted_cli import ScriptedPool

WITHOUT = {"change", "leave"}
"""The switch of the language changes nothing before its turn, and who leaves is not told of anything."""


@pytest.fixture(scope="module", params=[True, False], ids=["own", "strangers"])
def events(request) -> list:
    app = build_app(pool=ScriptedPool(ScriptedEngine()), local=request.param)
    return list(app.fns.values())


def test_every_event_of_the_page_that_waits_in_the_queue_has_another_for_when_it_is_turned_away(events) -> None:
    caught = {event.trigger_after for event in events if event.trigger_only_on_failure}
    of_the_page = [event for event in events if event.queue and event.fn and event.api_visibility == "private"]
    assert {"run", "download", "arrive", "watch"} <= {event.name for event in of_the_page}
    assert {event.name for event in of_the_page if event._id not in caught} == WITHOUT


def test_what_catches_it_does_not_wait_in_the_queue_itself(events) -> None:
    assert [event.name for event in events if event.trigger_only_on_failure and event.queue is not False] == []


@pytest.mark.parametrize(
    ("chosen", "accepts", "language"), [("", "zh-CN", "zh"), ("en", "zh-CN", "en"), ("", "de", "en")]
)
def test_who_comes_while_the_queue_is_full_is_told_so_in_their_language(events, chosen, accepts, language) -> None:
    turned_away = next(event.fn for event in events if event.name == "turned_away")
    visitor = SimpleNamespace(headers={"accept-language": accepts})
    assert say(language, "common.not_begun") in turned_away(visitor, chosen)
