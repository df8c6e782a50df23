"""The engine on a server, against one that speaks HTTP on this machine."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace

import pytest
from chat_server import KEY, Exchange, Server, ask, environment, refuse, say, serve_chats, stream  # noqa: F401

from augmentlm.engines import endpoint
from augmentlm.engines.base import Completion
from augmentlm.engines.endpoint import EndpointEngine
from augmentlm.errors import EngineError, InputError


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


def test_an_answer_that_has_all_that_was_asked_for_is_not_read_on(server):
    left = threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.begin()
        try:
            while True:
                exchange.piece("word ")
        except OSError:  # nobody listens any more
            left.set()

    server.answer = answer
    over = replace(ask(), is_over=lambda text: len(text.split()) == 3)
    pieces, completion = stream(EndpointEngine(server.address, "m"), over)
    assert (completion.text, completion.finish) == ("word word word ", "stop") and len(pieces) == 3
    assert left.wait(20)


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
