"""Addresses, events and refusals of OpenAI-compatible servers."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate
from time import time

import pytest

from augmentlm.catalog import Sampling
from augmentlm.engines.base import Request
from augmentlm.engines.chat_api import (
    BusyError,
    Event,
    RefusedError,
    base_address,
    body,
    fault,
    is_loopback,
    lines,
    read_line,
    retry_after,
    said,
)
from augmentlm.errors import EngineError, InputError
from augmentlm.tasks import Message


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        (" http://127.0.0.1:8000/v1/ ", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000/v1/chat/completions", "http://[::1]:8000/v1"),
        ("https://example.com/vllm", "https://example.com/vllm/v1"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("https://example.com/v1beta/openai/", "https://example.com/v1beta/openai"),
        ("https://example.com/api/paas/v4", "https://example.com/api/paas/v4"),
    ],
)
def test_an_address_may_come_with_or_without_its_version(given, base):
    assert base_address(given) == base


@pytest.mark.parametrize(
    "given",
    [
        "",
        "127.0.0.1:8000",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "http://example.com:port",
        "http://[::1",
    ],
)
def test_only_web_addresses_are_taken(given):
    with pytest.raises(InputError) as caught:
        base_address(given)
    assert "http://127.0.0.1:8000/v1" in caught.value.hint


@pytest.mark.parametrize(
    "given", ["https://me:hunter2@example.com/v1", "https://hunter2@example.com", "https://example.com/v1?key=hunter2"]
)
def test_an_address_that_holds_a_secret_is_refused_without_repeating_it(given):
    with pytest.raises(InputError) as caught:
        base_address(given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("given", ["http://exam ple.com", "http://example.com/\r\nX: y", "http://müller.example"])
def test_characters_that_no_address_has_are_refused(given):
    with pytest.raises(InputError, match="characters"):
        base_address(given)


def test_addresses_on_this_machine_are_known():
    assert (
        is_loopback("http://localhost:1/v1") and is_loopback("http://127.0.0.9/v1") and is_loopback("http://[::1]/v1")
    )
    assert not is_loopback("http://192.168.0.4/v1") and not is_loopback("https://localhost.example.com/v1")


def test_the_request_carries_messages_and_sampling():
    sampling = Sampling(temperature=0.4, top_p=0.8, top_k=30, max_tokens=77, seed=5)
    sent = body("some-model", Request((Message("user", "Hi"),), sampling), without=())
    assert sent["messages"] == [{"role": "user", "content": "Hi"}]
    assert (sent["model"], sent["temperature"], sent["top_p"], sent["top_k"]) == ("some-model", 0.4, 0.8, 30)
    assert (sent["max_tokens"], sent["seed"], sent["stream"]) == (77, 5, True)
    assert sent["stream_options"] == {"include_usage": True}


def test_a_seed_that_is_not_given_and_fields_that_are_not_taken_are_left_out():
    sent = body("m", Request((Message("user", "Hi"),), Sampling()), without={"top_k"})
    assert "seed" not in sent and "top_k" not in sent


def split(*chunks: bytes) -> list[bytes]:
    async def source():
        for chunk in chunks:
            yield chunk

    async def collect():
        return [line async for line in lines(source())]

    return asyncio.run(collect())


def test_lines_end_at_line_feeds_alone():
    text = "data: a\u2028b\x85c\r\n\r\ndata: d".encode()
    assert split(text) == ["data: a\u2028b\x85c".encode(), b"", b"data: d"]
    assert split(*(bytes([byte]) for byte in text)) == split(text)


def test_a_line_without_end_is_given_up():
    with pytest.raises(EngineError, match="line without end"):
        split(*[b"x" * 400_000] * 3)


def data(**chunk) -> bytes:
    return b"data: " + json.dumps(chunk).encode()


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"", Event()),
        (b": keep-alive", Event()),
        (b"event: message", Event()),
        (b"data: [DONE]", Event(done=True)),
        (data(choices=[{"delta": {"role": "assistant"}}]), Event()),
        (data(choices=[{"delta": {"content": "Bon"}}]), Event("Bon")),
        (data(choices=[{"delta": {"content": None}, "finish_reason": "stop"}]), Event(finish="stop")),
        (data(choices=[{"delta": {"content": "x"}, "finish_reason": "length"}], usage=None), Event("x", "length")),
        (data(choices=[{"delta": {}, "finish_reason": "eos_token"}]), Event(finish="stop")),
        (data(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 4}), Event(usage=(9, 4))),
        (data(choices=[{"delta": {"content": "x"}}]).replace(b"data: ", b"data:"), Event("x")),
    ],
)
def test_an_event_is_read(line, event):
    assert read_line(line) == event


@pytest.mark.parametrize(
    "line",
    [
        b"<html>",
        b'{"choices": []}',
        b"data: {",
        b"data: []",
        b"data: 5",
        b"data: {}",
        b"data: \xff",
        data(choices=5),
        data(choices=[{}]),
        data(choices=[{"delta": {"content": 5}}]),
        data(choices=[{"delta": "x"}]),
        data(choices=[], usage={"prompt_tokens": "many"}),
    ],
)
def test_other_lines_come_from_another_kind_of_server(line):
    with pytest.raises(EngineError, match="not OpenAI-compatible") as caught:
        read_line(line)
    assert not isinstance(caught.value, RefusedError)


@pytest.mark.parametrize(
    "line",
    [data(error={"message": "out of blocks"}), data(error="out of blocks"), b'error: {"message": "out of blocks"}'],
)
def test_an_error_in_the_middle_is_told_in_the_servers_words(line):
    with pytest.raises(RefusedError, match="out of blocks"):
        read_line(line)


def test_an_answer_that_was_filtered_is_not_passed_off_as_finished():
    with pytest.raises(RefusedError, match="content_filter"):
        read_line(data(choices=[{"delta": {}, "finish_reason": "content_filter"}]))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"error": {"message": "No such\nmodel", "type": "x"}}, "No such model"),
        ({"error": "Input is too long", "error_type": "validation"}, "Input is too long"),
        ({"object": "error", "message": "Too long", "code": 400}, "Too long"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs", "input": 5}]}, "body.top_k: Extra inputs"),
        ({"error": {"code": 5}}, ""),
        ([1, 2], ""),
        ("text", "text"),
        ({"error": {"message": "\x1b[31mred"}}, "[31mred"),
    ],
)
def test_the_message_of_an_error_is_found_in_every_form(answer, message):
    assert said(json.dumps(answer).encode()) == message


def test_a_message_is_cut_and_a_page_is_none():
    assert len(said(json.dumps({"error": "x" * 5000}).encode())) == 300
    assert said(b"<html>Not found</html>") == ""


def refusal(status: int, answer: object = None, *, has_key: bool = True, wait: float | None = None) -> EngineError:
    content = b"<html>" if answer is None else json.dumps({"error": {"message": answer}}).encode()
    return fault(status, content, "http://host/v1", "qwen-max", has_key=has_key, wait=wait)


@pytest.mark.parametrize(
    ("error", "says", "kind"),
    [
        (refusal(401, "Bad key"), "http://host/v1 refuses the key: Bad key.", EngineError),
        (refusal(403, has_key=False), "wants a key (HTTP 403). Give its key, or set $AUGMENTLM_API_KEY.", EngineError),
        (refusal(404, "The model does not exist"), "has no model 'qwen-max': The model does not exist.", EngineError),
        (refusal(404), "doesn't answer like an OpenAI-compatible server (HTTP 404).", EngineError),
        (refusal(301), "doesn't answer like an OpenAI-compatible server (HTTP 301).", EngineError),
        (refusal(400, "max_tokens is too large"), "refused the request: max_tokens is too large.", RefusedError),
        (refusal(429, "Slow down!", wait=90), "now: Slow down! It asks for a pause of 90 seconds.", BusyError),
        (refusal(503), "failed (HTTP 503). Try again later.", BusyError),
    ],
)
def test_a_refusal_is_a_sentence_with_what_to_do(error, says, kind):
    assert says in str(error)
    assert type(error) is kind
    assert error.retryable == (kind is BusyError)


def test_the_optional_fields_that_a_server_names_are_found():
    assert refusal(400, "Unrecognized request argument supplied: top_k").fields == ["top_k"]
    assert refusal(422, "stream_options: Extra inputs; body.seed: Extra inputs").fields == ["stream_options", "seed"]
    assert refusal(400, "seeds must be sown").fields == []


def test_a_pause_is_given_in_seconds_or_as_a_date():
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after": formatdate(time() + 20, usegmt=True)}) == pytest.approx(20, abs=2)
    assert retry_after({"retry-after": formatdate(time() - 20)}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None
