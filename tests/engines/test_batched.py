"""The engine for many rows, on a model a thousand times smaller than the real one."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from augmentlm.catalog import Chat, Sampling
from augmentlm.engines import batched, int8_qwen2, refill, torch_model
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.batched import BatchEngine
from augmentlm.errors import EngineError, InputError
from augmentlm.tasks import Message
from tiny_models import write_adapter

pytestmark = pytest.mark.usefixtures("one_thread")

CHAT = Chat("Be helpful.", (256, 300))
TEXTS = ["Say hello.", "你好", "x" * 90, "Name three colours and say why you like them.", "?"]
NAMES = {"tuned-0.5b": 1, "other": 2}


@pytest.fixture(scope="module")
def engine(tiny_base, tmp_path_factory) -> BatchEngine:
    adapters = {name: write_adapter(tiny_base, tmp_path_factory.mktemp("lora"), seed) for name, seed in NAMES.items()}
    return BatchEngine(tiny_base, CHAT, adapters=adapters)


def ask(text: str = TEXTS[0], adapter: str | None = None, **sampling: Any) -> Request:
    settings = Sampling(**{"temperature": 0.9, "top_k": 40, "max_tokens": 16, "seed": 1, **sampling})
    return Request((Message("user", text),), settings, adapter)


def stream(engine: BatchEngine, request: Request) -> Completion:
    *pieces, completion = engine.stream(request, threading.Event())
    assert isinstance(completion, Completion)
    assert "".join(pieces) == completion.text
    return completion


def generate(engine: BatchEngine, requests: list[Request]) -> list[Completion]:
    """The rows in order; each has come exactly once."""
    rows = list(engine.generate(requests, threading.Event()))
    assert sorted(index for index, _ in rows) == list(range(len(requests)))
    return [completion for _, completion in sorted(rows, key=lambda row: row[0])]


def many() -> list[Request]:
    choices = (None, "other", "tuned-0.5b")
    return [ask(TEXTS[n % 5], choices[n % 3], max_tokens=2 + 9 * (n % 2), seed=n // 2) for n in range(40)]


def assert_alike(found: list[str], expected: list[str]) -> None:
    """The same, but where rounding tipped a choice between tokens that are nearly equal, as many are for this model."""
    assert sum(one == other for one, other in zip(found, expected, strict=True)) >= 0.8 * len(expected)


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_a_row_is_what_its_seed_makes_it_however_many_stand_beside_it(engine, monkeypatch, rows):
    monkeypatch.setattr(batched, "MAX_ROWS", rows)
    together, alone = generate(engine, many()), [stream(engine, request) for request in many()]
    assert_alike([row.text for row in together], [row.text for row in alone])
    for request, completion, one in zip(many(), together, alone, strict=True):
        assert (completion.seed, completion.prompt_tokens) == (one.seed, one.prompt_tokens)
        assert completion.completion_tokens <= request.sampling.max_tokens
        assert 0 < completion.ttft_s <= completion.seconds


def test_adapters_change_what_is_written(engine):
    assert len({stream(engine, ask(adapter=adapter)).text for adapter in (None, *NAMES)}) == 3
    with pytest.raises(EngineError, match="nobody is not loaded"):
        stream(engine, ask(adapter="nobody"))


def test_what_prompts_share_is_read_once(engine, monkeypatch):
    read = []
    forward = refill.Piece
    monkeypatch.setattr(refill, "Piece", lambda place, start, ids: read.append(len(ids)) or forward(place, start, ids))
    generate(engine, [ask(TEXTS[2], max_tokens=1, seed=seed) for seed in range(8)])
    prompt = stream(engine, ask(TEXTS[2])).prompt_tokens
    assert sum(read[:8]) == prompt + 7  # the first row's prompt, and of the others the last token


def test_a_row_that_ends_makes_room_at_once(engine, monkeypatch):
    monkeypatch.setattr(batched, "MAX_ROWS", 2)
    steps = []
    forward = batched.Int8Qwen2.forward
    monkeypatch.setattr(
        batched.Int8Qwen2, "forward", lambda self, *rest: steps.append(len(rest[0])) or forward(self, *rest)
    )
    requests = [ask("a", max_tokens=40, temperature=0.0), *(ask("b", max_tokens=3, seed=n) for n in range(9))]
    order = [index for index, _ in engine.generate(requests, threading.Event())]
    assert order[-1] == 0  # the long one was never waited for
    assert len(steps) <= 42 and sum(count == 2 for count in steps) >= 9


def test_a_row_that_has_all_that_was_asked_for_makes_room_for_the_next(engine, monkeypatch):
    monkeypatch.setattr(batched, "MAX_ROWS", 1)
    greedy = ask(max_tokens=40, temperature=0.0)
    whole = stream(engine, greedy).text
    over = replace(greedy, is_over=lambda text: len(text) >= 5)
    first, second = generate(engine, [over, greedy])
    assert first.finish == "stop" and whole.startswith(first.text) and 5 <= len(first.text) < len(whole)
    assert second.text == whole


def test_stop_ends_all_rows_and_keeps_what_was_written(engine, monkeypatch):
    monkeypatch.setattr(batched, "MAX_ROWS", 2)
    stop = threading.Event()
    rows = []
    for row in engine.generate([ask(max_tokens=5), *[ask(TEXTS[3], max_tokens=400, seed=n) for n in range(3)]], stop):
        rows.append(row)
        stop.set()
    assert sorted(index for index, _ in rows) == [0, 1, 2, 3]
    finishes = [completion.finish for _, completion in rows[1:]]
    assert "cancelled" in finishes
    assert "length" not in finishes  # one may have come to its end by itself in the same step


def test_a_text_that_is_too_long_is_refused_and_the_others_come(tiny_base, engine):
    long = "x" * 40_000
    with pytest.raises(InputError, match="the model reads 32,768"):
        stream(engine, ask(long))
    came = []
    with pytest.raises(InputError):
        came.extend(engine.generate([ask(), ask(long), ask("b")], threading.Event()))
    rows = engine.generate([ask(), ask(long), ask("b")], threading.Event())
    assert {next(rows)[0], next(rows)[0]} == {0, 2}


def test_memory_that_runs_out_halves_the_batch_and_no_row_is_lost_or_made_twice(engine, monkeypatch):
    forward = batched.Int8Qwen2.forward

    def scarce(self, pieces, *rest):
        if len(pieces) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] can't allocate memory: you tried to allocate")
        return forward(self, pieces, *rest)

    expected = [completion.text for completion in generate(engine, many())]
    monkeypatch.setattr(batched.Int8Qwen2, "forward", scarce)
    assert_alike([completion.text for completion in generate(engine, many())], expected)


def test_memory_that_runs_out_while_loading_is_told_after_one_attempt(tiny_base, monkeypatch):
    attempts = []

    def scarce(weight):
        attempts.append(weight)
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] can't allocate memory: you tried to allocate")

    monkeypatch.setattr(int8_qwen2, "Int8Linear", scarce)
    engine = BatchEngine(tiny_base, CHAT)
    with pytest.raises(EngineError, match="ran out of memory"):
        list(engine.generate([ask(seed=seed) for seed in range(16)], threading.Event()))
    assert len(attempts) == 1
    with pytest.raises(EngineError, match="ran out of memory"):
        stream(engine, ask())


def test_memory_is_counted_when_the_weights_are_in_it(tiny_base, monkeypatch):
    loaded = []
    engine = BatchEngine(tiny_base, CHAT)
    free = torch_model.free_bytes
    monkeypatch.setattr(torch_model, "free_bytes", lambda device: loaded.append(bool(engine._models)) or free(device))
    generate(engine, [ask(max_tokens=2)])
    assert loaded == [True]


def test_nothing_is_loaded_for_work_that_was_stopped(tiny_base):
    engine = BatchEngine(tiny_base, CHAT)
    stop = threading.Event()
    stop.set()
    assert [row.finish for _, row in engine.generate([ask(), ask()], stop)] == ["cancelled", "cancelled"]
    assert not engine._models


def test_where_memory_is_short_fewer_rows_are_worked_on_at_once(engine, monkeypatch):
    prepared = [engine._preparation.one(n, ask(max_tokens=100)) for n in range(64)]
    monkeypatch.setattr(torch_model, "free_bytes", lambda device: 20 * 140 * engine._config.bytes_of_token)
    few = engine._places(prepared)
    monkeypatch.setattr(torch_model, "free_bytes", lambda device: 0)
    assert 5 < few < 20 and engine._places(prepared) == 1


def test_work_on_a_closed_engine_says_so(tiny_base):
    engine = BatchEngine(tiny_base, CHAT)
    pieces = engine.stream(ask(max_tokens=50, temperature=0.0), threading.Event())
    next(pieces)
    engine.close()
    with pytest.raises(EngineError, match="unloaded"):
        list(pieces)


def test_two_callers_at_once_both_get_their_rows(engine):
    expected = [completion.text for completion in generate(engine, many())]
    found: dict[int, list[str]] = {}

    def work(number: int) -> None:
        found[number] = [completion.text for completion in generate(engine, many())]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: expected, 1: expected}


def test_a_folder_without_weights_is_named(tmp_path: Path):
    with pytest.raises(EngineError, match="can't be read"):
        BatchEngine(tmp_path, CHAT)


def test_the_likeliest_of_a_large_vocabulary_are_found_block_by_block():
    torch.manual_seed(0)
    logits = torch.randn(5, 128 * 100)
    rows = [type("R", (), {"sampling": Sampling(top_k=k)}) for k in (3, 50, 7, 1, 20)]
    values, tokens = refill.likeliest(logits, rows)
    expected = torch.topk(logits, 50)
    assert torch.equal(values, expected.values) and torch.equal(tokens, expected.indices)
