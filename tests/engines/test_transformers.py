"""The engine on torch, on a model a thousand times smaller than the real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from augmentlm.catalog import Chat, Sampling
from augmentlm.engines import decoding, transformers
from augmentlm.engines.base import Completion, Request
from augmentlm.engines.tokens import ChatTokenizer
from augmentlm.engines.torch_model import compute_type, quantization_config
from augmentlm.engines.transformers import TransformersEngine
from augmentlm.errors import EngineError, InputError
from augmentlm.tasks import Message
from tiny_models import write_adapter

pytestmark = pytest.mark.usefixtures("one_thread")

CHAT = Chat("Be helpful.", (256, 300))
TEXTS = ["Say hello.", "你好", "x" * 90, "Name three colours and say why you like them.", "?"]
NAMES = {"tuned-0.5b": 1, "other": 2}


@pytest.fixture(scope="module")
def adapters(tiny_base, tmp_path_factory) -> dict[str, Path]:
    return {name: write_adapter(tiny_base, tmp_path_factory.mktemp("lora"), seed) for name, seed in NAMES.items()}


@pytest.fixture(scope="module")
def engine(tiny_base, adapters) -> TransformersEngine:
    return TransformersEngine(tiny_base, CHAT, quantization="fp32", device="cpu", adapters=adapters)


def ask(text: str = TEXTS[0], adapter: str | None = None, **sampling: Any) -> Request:
    settings = Sampling(**{"temperature": 0.0, "max_tokens": 16, "seed": 1, **sampling})
    return Request((Message("user", text),), settings, adapter)


def stream(engine: TransformersEngine, request: Request) -> Completion:
    *pieces, completion = engine.stream(request, threading.Event())
    assert isinstance(completion, Completion)
    assert "".join(pieces) == completion.text
    return completion


def generate(engine: TransformersEngine, requests: list[Request]) -> list[Completion]:
    """The rows in order; each has come exactly once."""
    rows = list(engine.generate(requests, threading.Event()))
    assert sorted(index for index, _ in rows) == list(range(len(requests)))
    return [completion for _, completion in sorted(rows, key=lambda row: row[0])]


@pytest.fixture(scope="module")
def expected(tiny_base, adapters) -> Callable[..., str]:
    """What transformers and PEFT themselves write, greedily."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    ours = ChatTokenizer(tiny_base, CHAT)

    def expected(text: str, adapter: str | None = None, tokens: int = 16, **loading: Any) -> str:
        model: Any = AutoModelForCausalLM.from_pretrained(tiny_base, **{"dtype": torch.float32, **loading}).eval()
        if adapter:
            model = PeftModel.from_pretrained(model, adapters[adapter]).eval()
        chat = [{"role": "user", "content": text}]
        inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        made = model.generate(
            **inputs, do_sample=False, max_new_tokens=tokens, eos_token_id=list(CHAT.stop_ids), pad_token_id=0
        )
        writer = ours.writer()
        for token in made[0, inputs["input_ids"].shape[1] :].tolist():
            if token not in CHAT.stop_ids:
                writer.add(token)
        return writer.text

    return expected


def test_greedy_text_is_that_of_transformers(engine, expected):
    completion = stream(engine, ask(TEXTS[3]))
    assert completion.text == expected(TEXTS[3]) != ""
    assert completion.prompt_tokens == len(ChatTokenizer.encode(engine._tokenizer, ask(TEXTS[3]).messages))
    assert completion.finish == "length" and completion.completion_tokens == 16
    assert 0 < completion.ttft_s < completion.seconds


def test_rows_of_a_batch_are_those_made_alone(engine):
    requests = [ask(text, max_tokens=limit) for text, limit in zip(TEXTS, (16, 3, 9, 16, 1), strict=True)]
    alone = [stream(engine, request) for request in requests]
    together = generate(engine, requests)
    for one, other in zip(alone, together, strict=True):
        assert (one.text, one.finish, one.prompt_tokens) == (other.text, other.finish, other.prompt_tokens)


def test_many_rows_with_and_without_adapters_come_once_each_and_short_ones_do_not_wait(engine, monkeypatch):
    monkeypatch.setattr(engine, "_most_rows", 4)
    choices = (None, "other", "tuned-0.5b")
    requests = [ask(TEXTS[n % 5], choices[n % 3], max_tokens=2 + 9 * (n % 2)) for n in range(23)]
    rows = generate(engine, requests)
    for request, row in zip(requests, rows, strict=True):
        assert row.completion_tokens <= request.sampling.max_tokens
    found = {(TEXTS[n % 5], choices[n % 3], n % 2, rows[n].text) for n in range(23)}
    assert len(found) == len({key[:3] for key in found})  # the same request, the same text
    first_index, first = next(engine.generate(requests[:4], threading.Event()))
    assert first.completion_tokens == 2 and first_index in (0, 2)


def test_a_sampled_row_repeats_by_its_seed(engine):
    request = ask(temperature=1.5, top_k=0, top_p=1.0, seed=5)
    texts = {stream(engine, request).text, generate(engine, [request])[0].text}
    assert len(texts) == 1
    other = replace(request, sampling=replace(request.sampling, seed=6))
    assert stream(engine, other).text not in texts


def test_a_seed_that_is_drawn_is_told_and_repeats_the_row(engine):
    request = ask(temperature=1.5, top_k=0, seed=None)
    first, second = generate(engine, [request, request])
    assert first.seed is not None and first.seed != second.seed
    again = replace(request, sampling=replace(request.sampling, seed=first.seed))
    assert stream(engine, again).text == first.text


# ---- adapters --------------------------------------------------------------------------------------------------------


def test_an_adapter_is_applied_to_its_requests_alone(engine, expected):
    bare = expected(TEXTS[0])
    texts = {None: bare, **{name: expected(TEXTS[0], name) for name in NAMES}}
    assert len(set(texts.values())) == 3
    for adapter in ("tuned-0.5b", None, "other", "tuned-0.5b", "other", None):
        assert stream(engine, ask(adapter=adapter)).text == texts[adapter]


def test_two_callers_with_different_adapters_do_not_disturb_each_other(engine):
    requests = {name: ask(TEXTS[3], name, max_tokens=30) for name in (None, *NAMES)}
    alone = {name: stream(engine, request).text for name, request in requests.items()}
    together: dict[str | None, str] = {}

    def call(name: str | None) -> None:
        together[name] = stream(engine, requests[name]).text

    callers = [threading.Thread(target=call, args=(name,)) for name in requests]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(120)
    assert together == alone


def test_an_adapter_that_is_not_loaded_is_refused_before_any_work(engine):
    with pytest.raises(EngineError, match="adapter nobody is not loaded"):
        next(engine.generate([ask(), ask(adapter="nobody")], threading.Event()))
    with pytest.raises(EngineError, match="adapter nobody is not loaded"):
        next(engine.stream(ask(adapter="nobody"), threading.Event()))


# ---- stopping --------------------------------------------------------------------------------------------------------


def test_stop_ends_a_stream_and_keeps_what_was_written(engine):
    stop = threading.Event()
    pieces = engine.stream(ask("count", "tuned-0.5b", max_tokens=4000), stop)
    written = [next(pieces), next(pieces)]
    stop.set()
    stopped = time.monotonic()
    *more, completion = pieces
    assert completion.finish == "cancelled"
    assert completion.text == "".join(written + more) and completion.completion_tokens < 4000
    assert time.monotonic() - stopped < 5


def test_stop_ends_every_row_once_also_those_not_begun(engine, monkeypatch):
    monkeypatch.setattr(engine, "_most_rows", 2)
    stop = threading.Event()
    rows = []
    for index, completion in engine.generate([ask(text, max_tokens=5) for text in TEXTS], stop):
        rows.append((index, completion.finish))
        stop.set()
    assert sorted(index for index, _ in rows) == list(range(5))
    assert [finish for _, finish in rows].count("cancelled") >= 3


def test_a_reader_who_leaves_lets_the_next_one_in(engine):
    pieces = engine.stream(ask(adapter="tuned-0.5b", max_tokens=4000), threading.Event())
    next(pieces)
    pieces.close()
    assert stream(engine, ask(max_tokens=3)).completion_tokens == 3


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_a_text_longer_than_the_model_reads_is_refused_and_the_other_rows_come(engine, monkeypatch):
    monkeypatch.setattr(engine._preparation, "_context", 100)
    with pytest.raises(InputError, match=r"has 1\d\d tokens; the model reads 100"):
        next(engine.stream(ask("x" * 90), threading.Event()))
    rows = engine.generate([ask("x" * 90), ask("hi", max_tokens=5)], threading.Event())
    assert next(rows)[0] == 1
    with pytest.raises(InputError, match="Shorten it"):
        next(rows)


def test_a_row_ends_where_the_model_reads_no_further(engine, monkeypatch):
    room = 7
    monkeypatch.setattr(engine._preparation, "_context", stream(engine, ask()).prompt_tokens + room)
    completion = stream(engine, ask(max_tokens=50))
    assert (completion.finish, completion.completion_tokens) == ("length", room)


class Cramped:
    """A model on a device with room for a few rows once they have so many columns."""

    def __init__(self, model: Any, rows: int, error: Exception, columns: int = 0) -> None:
        self._model = model
        self._rows = rows
        self._columns = columns
        self._error = error
        self.tried: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, **inputs: Any) -> Any:
        self.tried.append(len(inputs["input_ids"]))
        if len(inputs["input_ids"]) > self._rows and inputs["attention_mask"].shape[1] > self._columns:
            raise self._error
        return self._model(**inputs)


NO_ROOM = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
]


@pytest.mark.parametrize("error", NO_ROOM)
def test_a_batch_too_large_for_memory_is_halved_and_every_row_comes_once(engine, monkeypatch, error):
    requests = [ask(f"row {n}", max_tokens=4 + n % 5, temperature=1.0, seed=n) for n in range(11)]
    wanted = [row.text for row in generate(engine, requests)]
    columns = stream(engine, requests[-1]).prompt_tokens + 4  # the shortest rows are done before it runs out
    cramped = Cramped(engine._model, 3, error, columns)
    monkeypatch.setattr(engine, "_model", cramped)
    assert [row.text for row in generate(engine, requests)] == wanted
    assert cramped.tried[:2] == [11, 11] and cramped.tried[-1] <= 3


@pytest.mark.parametrize("error", NO_ROOM)
def test_a_single_row_too_large_for_memory_is_one_clear_error(engine, monkeypatch, error):
    monkeypatch.setattr(engine, "_model", Cramped(engine._model, 0, error))
    for work in (engine.stream(ask(), threading.Event()), engine.generate([ask(), ask()], threading.Event())):
        with pytest.raises(EngineError, match="ran out of memory") as caught:
            list(work)
        assert caught.value.retryable


def test_a_batch_holds_as_many_rows_as_their_cache_fits_memory(engine, monkeypatch):
    of_token = 2 * 1 * 32 * 2 * 4  # layers, heads, numbers of a head, keys and values, bytes of fp32
    row = stream(engine, ask()).prompt_tokens + 16
    monkeypatch.setattr(
        transformers.torch_model, "free_bytes", lambda _: 2.5 * row * of_token / transformers.CACHE_SHARE
    )
    cramped = Cramped(engine._model, 99, RuntimeError())
    monkeypatch.setattr(engine, "_model", cramped)
    generate(engine, [ask() for _ in range(5)])
    assert max(cramped.tried) == 2


def test_a_fault_inside_of_torch_is_one_clear_error(engine, monkeypatch):
    monkeypatch.setattr(engine, "_model", Cramped(engine._model, 0, RuntimeError("CUDA error: lost\nstack\nstack")))
    with pytest.raises(EngineError) as caught:
        stream(engine, ask())
    assert str(caught.value) == "The model stopped working: CUDA error: lost."


# ---- loading and closing ---------------------------------------------------------------------------------------------


def test_closing_ends_work_under_way_and_what_comes_after(tiny_base):
    engine = TransformersEngine(tiny_base, CHAT, quantization="fp32", device="cpu")
    running = engine.stream(ask(max_tokens=4000), threading.Event())
    next(running)
    errors: list[Exception] = []
    begun = threading.Event()

    def batch() -> None:
        begun.set()
        try:
            list(engine.generate([ask(text, max_tokens=30_000) for text in TEXTS], threading.Event()))
        except EngineError as error:
            errors.append(error)

    thread = threading.Thread(target=batch)
    thread.start()
    begun.wait(10)
    time.sleep(0.2)
    engine.close()
    thread.join(60)
    assert not thread.is_alive()
    for work in (running, engine.stream(ask(), threading.Event())):
        with pytest.raises(EngineError, match="was unloaded") as caught:
            list(work)
        errors.append(caught.value)
    assert len(errors) == 3 and all(error.retryable for error in errors)
    engine.close()


def test_nf4_on_a_cpu_writes_what_bitsandbytes_writes(tiny_base, adapters, expected):
    engine = TransformersEngine(tiny_base, CHAT, quantization="nf4", device="cpu", adapters=adapters)
    dtype = compute_type("nf4", "cpu")
    loading = {"quantization_config": quantization_config("nf4", "cpu"), "dtype": dtype}
    tokens = 16 if dtype == torch.float32 else 3  # in bf16 rounding soon tips near-equal tokens of random weights
    for adapter in (None, "other"):
        wanted, request = expected(TEXTS[0], adapter, tokens, **loading), ask(adapter=adapter, max_tokens=tokens)
        assert stream(engine, request).text == wanted
        assert [row.text for row in generate(engine, [request, request])] == [wanted] * 2


def test_bf16_on_a_cpu_writes_text(tiny_base):
    engine = TransformersEngine(tiny_base, CHAT, quantization="bf16", device="cpu")
    assert stream(engine, ask(max_tokens=5)).completion_tokens > 0


def test_a_long_prompt_is_read_in_steps_without_a_change(engine, monkeypatch):
    whole = stream(engine, ask("x y " * 50)).text
    monkeypatch.setattr(decoding, "PREFILL_TOKENS", 32)
    assert stream(engine, ask("x y " * 50)).text == whole


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_is_not_whole_is_refused(tiny_base, tmp_path, name):
    for file in tiny_base.iterdir():
        if file.name != name:
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(EngineError) as caught:
        TransformersEngine(tmp_path, CHAT, quantization="fp32", device="cpu")
    assert "download it again" in caught.value.hint


def test_an_adapter_that_is_not_whole_is_refused(tiny_base, tmp_path):
    with pytest.raises(EngineError, match="There is no adapter_config"):
        TransformersEngine(tiny_base, CHAT, quantization="fp32", device="cpu", adapters={"mine": tmp_path})
