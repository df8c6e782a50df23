"""What the endpoint engine does when a server is slow, busy or gone, and with many rows."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from chat_server import Exchange, ask, environment, in_turn, refuse, say, serve_chats, stream  # noqa: F401

from augmentlm.engines import endpoint
from augmentlm.engines.endpoint import EndpointEngine
from augmentlm.errors import EngineError


def lose(exchange: Exchange) -> None:
    """Reset the connection without a word."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    exchange.connection.close()
    exchange.close_connection = True


@pytest.mark.parametrize("trouble", [refuse(429, "Slow down"), refuse(500, "Oops"), refuse(503, "Loading"), lose])
def test_a_busy_server_is_asked_again(server, trouble):
    server.answer = in_turn(trouble, trouble, say("Salut"))
    assert stream(EndpointEngine(server.address, "m"))[1].text == "Salut"
    assert len(server.seen) == 3


def test_a_server_that_stays_busy_is_given_up(server):
    server.answer = refuse(429, "You exceeded your quota.")
    with pytest.raises(EngineError, match="exceeded your quota") as caught:
        stream(EndpointEngine(server.address, "m"))
    assert caught.value.retryable
    assert len(server.seen) == 1 + endpoint.RETRIES


def test_the_pause_a_server_asks_for_is_kept(server):
    server.answer = in_turn(refuse(429, "Later", Retry_After="1"), say("Salut"))
    started = time.monotonic()
    stream(EndpointEngine(server.address, "m"))
    assert time.monotonic() - started >= 1


def test_a_pause_of_minutes_is_reported_instead_of_kept(server):
    server.answer = refuse(429, "Later", Retry_After="3600")
    with pytest.raises(EngineError, match="pause of 3600 seconds"):
        stream(EndpointEngine(server.address, "m"))
    assert len(server.seen) == 1


def broken_off(exchange: Exchange) -> None:
    exchange.begin()
    exchange.piece("Half an ans")
    exchange.close_connection = True


def test_text_that_was_shown_is_not_begun_again(server):
    server.answer = broken_off
    pieces = EndpointEngine(server.address, "m").stream(ask(), threading.Event())
    assert next(pieces) == "Half an ans"
    with pytest.raises(EngineError):
        next(pieces)
    assert len(server.seen) == 1


def test_a_row_that_nobody_saw_is_begun_again(server):
    server.answer = in_turn(broken_off, say("Whole"))
    ((_, completion),) = EndpointEngine(server.address, "m").generate([ask()], threading.Event())
    assert completion.text == "Whole"


@pytest.mark.parametrize("field", ["top_k", "stream_options", "seed"])
def test_a_field_that_the_server_does_not_know_is_left_out_from_then_on(server, field):
    def answer(exchange: Exchange) -> None:
        if field in exchange.body:
            exchange.reply(400, {"error": {"message": f"Unrecognized request argument supplied: {field}"}})
        else:
            say("fine")(exchange)

    server.answer = answer
    engine = EndpointEngine(server.address, "m")
    _, completion = stream(engine)
    assert completion.text == "fine"
    assert completion.seed == (None if field == "seed" else 7)
    stream(engine)
    assert [field in seen.body for seen in server.seen] == [True, False, False]


def test_a_server_that_goes_on_naming_a_field_is_not_asked_for_ever(server):
    server.answer = refuse(400, "top_k")
    with pytest.raises(EngineError, match="refused the request: top_k"):
        stream(EndpointEngine(server.address, "m"))
    assert len(server.seen) == 2


# ---- stopping --------------------------------------------------------------------------------------------------------


def fall_silent(exchange: Exchange) -> None:
    exchange.begin()
    exchange.piece("Once")
    exchange.wait_until_left()


def test_stop_ends_a_silent_stream_within_a_second_and_keeps_what_was_written(server):
    server.answer = fall_silent
    stop = threading.Event()
    pieces = EndpointEngine(server.address, "m").stream(ask(), stop)
    assert next(pieces) == "Once"
    stopped = time.monotonic()
    stop.set()
    (completion,) = pieces
    assert time.monotonic() - stopped < 1
    assert (completion.text, completion.finish, completion.completion_tokens) == ("Once", "cancelled", 1)
    assert server.left.wait(5)
    assert server.left_at - stopped < 1


def test_a_reader_who_leaves_closes_the_connection(server):
    server.answer = fall_silent
    pieces = EndpointEngine(server.address, "m").stream(ask(), threading.Event())
    next(pieces)
    left = time.monotonic()
    pieces.close()
    assert server.left.wait(5)
    assert server.left_at - left < 1


def test_stop_interrupts_the_wait_before_the_answer_begins(server):
    server.answer = lambda exchange: exchange.wait_until_left()
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    (completion,) = EndpointEngine(server.address, "m").stream(ask(), stop)
    assert (completion.finish, completion.text) == ("cancelled", "")
    assert completion.seconds < 1.3


def test_stop_interrupts_the_pause_before_another_try(server):
    server.answer = refuse(503, "Loading", Retry_After="30")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    (completion,) = EndpointEngine(server.address, "m").stream(ask(), stop)
    assert completion.finish == "cancelled"
    assert completion.seconds < 1.3


# ---- many rows -------------------------------------------------------------------------------------------------------


def test_rows_come_as_they_finish_and_a_few_are_under_way_together(server):
    together = threading.Barrier(endpoint.AT_ONCE)
    slow = threading.Event()

    def answer(exchange: Exchange) -> None:
        if int(exchange.text) < endpoint.AT_ONCE:
            together.wait(20)
        if exchange.text == "0":
            slow.wait(20)
        say("row ", exchange.text)(exchange)

    server.answer = answer
    rows = EndpointEngine(server.address, "m").generate([ask(str(n)) for n in range(10)], threading.Event())
    first = [next(rows) for _ in range(9)]
    slow.set()
    found = [*first, *rows]
    assert found[-1][0] == 0
    assert {index: completion.text for index, completion in found} == {n: f"row {n}" for n in range(10)}


def test_stop_ends_the_rows_under_way_and_sends_no_others(server):
    server.answer = fall_silent
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    rows = dict(EndpointEngine(server.address, "m").generate([ask() for _ in range(9)], stop))
    assert sorted(rows) == list(range(9))
    assert {row.finish for row in rows.values()} == {"cancelled"}
    assert [row.text for row in rows.values()].count("Once") == endpoint.AT_ONCE == len(server.seen)


def test_a_row_that_is_refused_does_not_stop_the_others(server):
    server.answer = lambda exchange: (refuse(400, "Too rude") if exchange.text == "3" else say(exchange.text))(exchange)
    rows = EndpointEngine(server.address, "m").generate([ask(str(n)) for n in range(8)], threading.Event())
    found = []
    with pytest.raises(EngineError, match=r"1 of 8 requests failed\. .*Too rude"):
        found.extend(index for index, _ in rows)
    assert found == [] or sorted(found) == [0, 1, 2, 4, 5, 6, 7]


def test_rows_that_are_all_refused_end_the_work_early(server):
    server.answer = refuse(400, "temperature must be 1")
    with pytest.raises(EngineError, match="temperature must be 1"):
        list(EndpointEngine(server.address, "m").generate([ask() for _ in range(50)], threading.Event()))
    assert len(server.seen) <= 2 * endpoint.AT_ONCE


def test_a_wrong_key_ends_the_work_and_rows_that_are_done_have_come(server):
    server.answer = in_turn(say("one"), refuse(401, "Expired"))
    rows = EndpointEngine(server.address, "m").generate([ask(str(n)) for n in range(30)], threading.Event())
    assert next(rows)[1].text == "one"
    with pytest.raises(EngineError, match="Expired"):
        list(rows)
    assert len(server.seen) <= 2 * endpoint.AT_ONCE


def test_nothing_to_do_is_done_at_once(server):
    assert list(EndpointEngine(server.address, "m").generate([], threading.Event())) == []
    assert server.seen == []


def test_two_callers_do_not_see_each_others_text(server):
    server.answer = lambda exchange: say(*exchange.text)(exchange)
    engine = EndpointEngine(server.address, "m")
    texts: dict[str, str] = {}

    def call(text: str) -> None:
        texts[text] = stream(engine, ask(text))[1].text

    callers = [threading.Thread(target=call, args=(letter * 200,)) for letter in "abcd"]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert texts == {letter * 200: letter * 200 for letter in "abcd"}


def test_it_streams_inside_of_another_event_loop(server):
    import asyncio

    async def notebook() -> str:
        return stream(EndpointEngine(server.address, "m"))[1].text

    assert asyncio.run(notebook()) == "Bonjour!"
