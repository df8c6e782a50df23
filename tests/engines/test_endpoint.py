"""The engine on a server, against one that speaks HTTP on this machine."""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from augmentlm.catalog import Sampling
from augmentlm.engines import endpoint
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.endpoint import EndpointEngine
from augmentlm.errors import EngineError, InputError
from augmentlm.tasks import Message

KEY = "sk-very-secret"
Answer = Callable[["Exchange"], None]


@dataclass
class Seen:
    """A request that reached the double."""

    path: str
    headers: HTTPMessage
    body: dict[str, Any]


class Exchange(BaseHTTPRequestHandler):
    """One request to the double, with the means to answer it in pieces."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.text: str = self.body["messages"][-1]["content"]
        with self.server.lock:
            self.server.seen.append(Seen(self.path, self.headers, self.body))
        self.server.answer(self)

    def reply(self, status: int, content: Any, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def event(self, **chunk: Any) -> None:
        self.send(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")

    def piece(self, text: str, reason: str | None = None) -> None:
        self.event(choices=[{"delta": {"content": text}, "finish_reason": reason}])

    def conclude(self, reason: str = "stop", usage: tuple[int, int] | None = (11, 3)) -> None:
        self.event(choices=[{"delta": {}, "finish_reason": reason}])
        if usage:
            self.event(choices=[], usage={"prompt_tokens": usage[0], "completion_tokens": usage[1]})
        self.send(b"data: [DONE]\n\n")
        self.send(b"")

    def wait_until_left(self) -> None:
        """Block until the client has closed the connection, and note when."""
        select.select([self.connection], [], [], 20)
        if self.connection.recv(1) == b"":
            self.server.left_at = time.monotonic()
            self.server.left.set()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Silence."""


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server whose answers a test chooses by setting `answer`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.left = threading.Event()
        self.left_at = 0.0
        self.answer: Answer = say("Bon", "jour", "!")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left in the middle is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def say(*pieces: str, **ending: Any) -> Answer:
    def answer(exchange: Exchange) -> None:
        exchange.begin()
        for piece in pieces:
            exchange.piece(piece)
        exchange.conclude(**ending)

    return answer


def refuse(status: int, message: str, **headers: str) -> Answer:
    return lambda exchange: exchange.reply(status, {"error": {"message": message}}, **headers)


def in_turn(*answers: Answer) -> Answer:
    """The first answer to the first request and so on; the last one to all that follow."""
    left = list(answers)
    return lambda exchange: (left.pop(0) if len(left) > 1 else left[0])(exchange)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv(endpoint.KEY_VARIABLE, raising=False)
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.02)


def ask(text: str = "Hello in French?", **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**{"seed": 7, **sampling}))


def stream(engine: EndpointEngine, request: Request | None = None) -> tuple[list[str], Completion]:
    *pieces, completion = engine.stream(request or ask(), threading.Event())
    assert isinstance(completion, Completion)
    return pieces, completion


def test_text_streams_and_the_servers_counts_come_with_it(server):
    pieces, completion = stream(EndpointEngine(server.address, "qwen-max"))
    assert pieces == ["Bon", "jour", "!"]
    assert (completion.text, completion.finish) == ("Bonjour!", "stop")
    assert (completion.prompt_tokens, completion.completion_tokens, completion.seed) == (11, 3, 7)
    assert 0 < completion.ttft_s <= completion.seconds
    (seen,) = server.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.body["model"] == "qwen-max" and seen.body["seed"] == 7


def test_a_piece_is_there_before_the_next_is_written(server):
    read = threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.begin()
        exchange.piece("first")
        assert read.wait(20)
        exchange.conclude()

    server.answer = answer
    pieces = EndpointEngine(server.address, "m").stream(ask(), threading.Event())
    assert next(pieces) == "first"
    read.set()
    assert isinstance(next(pieces), Completion)


def test_a_server_that_reports_no_counts_has_its_pieces_counted(server):
    server.answer = say("a", "b", usage=None)
    _, completion = stream(EndpointEngine(server.address, "m"))
    assert (completion.prompt_tokens, completion.completion_tokens) == (0, 2)


def test_an_answer_cut_by_the_limit_says_so(server):
    server.answer = say("a", reason="length")
    assert stream(EndpointEngine(server.address, "m"))[1].finish == "length"


def test_text_of_every_kind_arrives_whole(server):
    odd = "行分隔\u2028符\x85 <|im_start|> 🎈\n\n data: [DONE]"
    server.answer = lambda exchange: say(*exchange.text)(exchange)
    assert stream(EndpointEngine(server.address, "m"), ask(odd))[1].text == odd


# ---- keys ------------------------------------------------------------------------------------------------------------


def authorization(server: Server, *key: str) -> str:
    stream(EndpointEngine(server.address, "m", *key))
    return server.seen[-1].headers["Authorization"]


def test_a_hub_token_is_never_sent(server, monkeypatch, tmp_path):
    token = "hf_" + "a" * 34
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN"):
        monkeypatch.setenv(name, token)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "token").write_text(token)
    assert authorization(server) == "Bearer none"
    (seen,) = server.seen
    assert token not in seen.headers.as_string() + json.dumps(seen.body)


def test_the_key_comes_from_the_argument_before_the_environment(server, monkeypatch):
    monkeypatch.setenv("AUGMENTLM_API_KEY", "from-environment")
    assert authorization(server) == "Bearer from-environment"
    assert authorization(server, KEY + "\n") == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["two words", "schlüssel", "a\r\nX-Other: b"])
def test_a_key_that_can_not_be_sent_is_refused_without_repeating_it(key):
    with pytest.raises(InputError) as caught:
        EndpointEngine("http://127.0.0.1:1", "m", key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        refuse(401, f"Incorrect API key provided: {KEY}"),
        refuse(400, f"no {KEY}"),
        refuse(503, KEY),
        lambda exchange: (exchange.begin(), exchange.event(error={"message": f"bad {KEY}"})),
    ],
)
def test_the_key_stays_out_of_errors_and_descriptions(server, answer):
    server.answer = answer
    engine = EndpointEngine(server.address, "m", KEY)
    assert KEY not in repr(engine)
    with pytest.raises(EngineError, match=r"\*\*\*") as caught:
        stream(engine)
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in f"{error} {error!r} {error.__dict__}"
        error = error.__cause__ or error.__context__


# ---- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refuse(401, "Incorrect API key"), "wants a key: Incorrect API key. Give its key, or set $AUGMENTLM_API_KEY."),
        (refuse(404, "The model `m` does not exist."), "has no model 'm': The model `m` does not exist."),
        (refuse(404, "File Not Found"), "doesn't answer like an OpenAI-compatible server: File Not Found."),
        (refuse(400, "This model's context is 4096 tokens."), "refused the request: This model's context is 4096"),
        (lambda exchange: exchange.reply(302, b"", Location="https://elsewhere.example"), "HTTP 302"),
        (lambda exchange: exchange.reply(200, b"<html>Welcome</html>"), "not OpenAI-compatible"),
        (lambda exchange: exchange.reply(200, b"data: nonsense\n\n"), "not JSON"),
        (lambda exchange: exchange.reply(200, {"models": []}), "not OpenAI-compatible"),
        (lambda exchange: exchange.wfile.write(b"-ERR unknown command\r\n\r\n"), "doesn't speak HTTP"),
        (lambda exchange: exchange.reply(200, b""), "its answer is empty"),
        (lambda exchange: exchange.reply(200, b"not zipped", Content_Encoding="gzip"), "can't be used"),
    ],
)
def test_an_answer_that_is_no_use_is_one_clear_error(server, answer, says):
    server.answer = answer
    with pytest.raises(EngineError) as caught:
        stream(EndpointEngine(server.address, "m"))
    assert says in str(caught.value)
    assert len(server.seen) == 1


def test_a_server_that_does_not_run_is_said_to_be_out_of_reach():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(EngineError) as caught:
            stream(EndpointEngine(address, "m"))
    assert str(caught.value) == (
        f"The server at {address}/v1 can't be reached: connection refused. "
        "Check the address, and whether the server is running."
    )


def test_a_name_that_is_not_known_is_said_to_be_out_of_reach():
    with pytest.raises(EngineError, match=r"nowhere\.invalid/v1 can't be reached"):
        stream(EndpointEngine("http://nowhere.invalid", "m"))


def test_a_plain_server_asked_for_a_secure_connection_is_said_not_to_have_one(server):
    with pytest.raises(EngineError, match="no secure connection"):
        stream(EndpointEngine(server.address.replace("http:", "https:"), "m"))


def test_a_proxy_setting_that_can_not_be_used_is_named(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:1")
    with pytest.raises(EngineError, match="proxy can't be used"):
        stream(EndpointEngine("http://192.0.2.1/v1", "m"))


def test_no_proxy_stands_before_this_machine(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert stream(EndpointEngine(server.address, "m"))[1].text == "Bonjour!"


def test_a_server_that_falls_silent_is_given_up(server, monkeypatch):
    monkeypatch.setattr(endpoint, "SILENCE_SECONDS", 0.3)
    server.answer = lambda exchange: exchange.wait_until_left()
    with pytest.raises(EngineError, match="said nothing") as caught:
        stream(EndpointEngine(server.address, "m"))
    assert caught.value.retryable
    assert server.left.wait(5)


# ---- trying again ----------------------------------------------------------------------------------------------------


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
