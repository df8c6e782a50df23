"""Engines that stumble: nothing is lost, the rest goes on, and what can't go on says why in a sentence."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from augmentlm.engines import endpoint, refused
from augmentlm.engines.base import Request
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import EngineError, StoppedError
from augmentlm.examples import Example
from augmentlm.runs.rows import read_run
from augmentlm.runs.run import Using, run
from augmentlm.tasks import Message
from engines.chat_server import environment, in_turn, refuse, say, serve_chats  # noqa: F401
from scripted_cli import ScriptedPool
from scripted_refusals import RefusingEngine, filtered, too_long
from scripted_run import dreamed


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(refused, "FIRST_WAIT", 0.001)


class Stumbling(ScriptedEngine):
    """Breaks off after a few rows of every batch, with an error made by `fault`; `most` rows fit at once."""

    def __init__(self, fault, after: int = 3, most: int = 1000) -> None:
        super().__init__(dreamed)
        self.fault, self.after, self.most = fault, after, most
        self.sizes: list[int] = []

    def generate(self, requests, stop):
        self.sizes.append(len(requests))
        if len(requests) > self.most:
            raise self.fault()
        for index, completion in super().generate(requests, stop):
            if index == self.after:
                raise self.fault()
            yield index, completion


def test_rows_that_are_missing_after_a_fault_are_asked_for_again(work) -> None:
    engine = Stumbling(lambda: EngineError("Lost.", retryable=True))
    found, _ = work(engine, n=20)
    calm, _ = work(n=20, out="calm")
    assert [record.example for record in found.records] == [record.example for record in calm.records]


def test_where_memory_runs_out_the_batch_is_halved(work) -> None:
    engine = Stumbling(lambda: EngineError("Out of memory.", retryable=True), after=1000, most=5)
    found, _ = work(engine, n=20)
    assert len(found.accepted) == 20
    assert max(size for size in engine.sizes if size <= 5) >= 2
    assert len(engine.sizes) < 60


def test_an_engine_that_never_works_ends_the_run_at_once(work) -> None:
    for retryable in (True, False):
        engine = Stumbling(lambda: EngineError("Gone.", hint="Start it.", retryable=retryable), after=0)  # noqa: B023
        with pytest.raises(EngineError, match="Gone"):
            work(engine, n=20)
        assert len(engine.sizes) < 10


def test_a_row_that_an_engine_never_takes_is_a_reject_and_the_rest_goes_on(work) -> None:
    class Choosy(ScriptedEngine):
        def generate(self, requests, stop):
            for index, completion in super().generate(requests, stop):
                if requests[index].sampling.seed % 7 == 0:
                    raise EngineError("This one I do not like.")
                yield index, completion

    found, _ = work(Choosy(dreamed), n=30)
    assert len(found.accepted) == 30
    reasons = Counter(record.code for record in found.rejected)
    assert reasons["refused"] >= 1
    assert "I do not like" in next(record.evidence for record in found.rejected if record.code == "refused")


FILTERED = [f"{verb} the forbidden boat" for verb in ("Paint", "Sell", "Sink", "Tow", "Hide", "Name")]


def forbidden(request: Request) -> bool:
    return "forbidden" in request.messages[-1].content


@pytest.mark.parametrize("seeds", [["Paint two hens", *FILTERED], FILTERED], ids=["the last rows", "all rows"])
@pytest.mark.parametrize(("fault", "code"), [(filtered, "refused"), (too_long, "input")])
def test_a_run_whose_last_rows_are_all_refused_ends_with_them_as_rejects(work, seeds, fault, code) -> None:
    engine = RefusingEngine(dreamed, forbidden, fault)
    found, told = work(engine, seeds=seeds, steps=["refine"], n=len(seeds))
    gone = [record for record in found.rejected if "forbidden" in record.seed.instruction]
    assert {record.seed.instruction for record in gone} == set(FILTERED)
    assert {(record.code, record.evidence) for record in gone} == {(code, str(fault()))}
    assert told[-1].ended.startswith("Exhausted") and f"{len(gone)} {code}" in told[-1].ended
    count = len(engine.asked)
    again, _ = work(engine, seeds=seeds, steps=["refine"], n=len(seeds))
    assert again.records == found.records and len(engine.asked) == count


def test_a_run_whose_last_rows_an_engine_always_stumbles_over_ends_when_it_goes_on(work) -> None:
    seeds = ["Paint two hens", *FILTERED[:2]]
    fault = lambda: EngineError("This one I do not like.")  # noqa: E731
    with pytest.raises(StoppedError):
        work(RefusingEngine(dreamed, forbidden, StoppedError), seeds=seeds, steps=["refine"], n=3)
    found, told = work(RefusingEngine(dreamed, forbidden, fault), seeds=seeds, steps=["refine"], n=3)
    assert {record.code for record in found.rejected if "forbidden" in record.seed.instruction} == {"refused"}
    assert told[-1].ended


def test_an_engine_that_refuses_everything_rejects_no_row(work, out) -> None:
    engine = RefusingEngine(dreamed, lambda request: True)
    with pytest.raises(EngineError, match="content filter"):
        work(engine, n=20)
    assert not read_run(out).records


def test_a_server_that_takes_no_system_message_ends_the_run_and_rejects_no_row(work, out) -> None:
    engine = RefusingEngine(dreamed, lambda request: request.messages[0].role == "system")
    seeds = [Example(f"Name {n} birds", "Wren.", (Message("system", "Be brief"),)) for n in range(6)]
    with pytest.raises(EngineError, match="content filter"):
        work(engine, seeds=seeds, steps=["respond"], n=1)
    assert not read_run(out).records


def test_stop_ends_the_pause_before_another_try(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(refused, "FIRST_WAIT", 60)
    stop = threading.Event()

    def script(request: Request) -> str:
        if script.count == 5:
            threading.Timer(0.05, stop.set).start()
            script.count += 1
        if script.count > 5:
            raise EngineError("Lost.", retryable=True)
        script.count += 1
        return dreamed(request)

    script.count = 0
    with pytest.raises(StoppedError):
        list(run(["Paint a boat"], tmp_path, n=20, stop=stop, pool=ScriptedPool(ScriptedEngine(script))))


# ---- a server on the other side -----------------------------------------------------------------------------------


def answered(exchange) -> None:
    words = dreamed(_as_request(exchange))
    say(words)(exchange)


def _as_request(exchange) -> Request:
    from augmentlm.catalog import Sampling
    from augmentlm.tasks import Message

    messages = tuple(Message(**message) for message in exchange.body["messages"])
    return Request(messages, Sampling(seed=exchange.body["seed"]))


def half(exchange) -> None:
    exchange.begin()
    exchange.piece("And then")
    exchange.close_connection = True
    exchange.connection.close()


def silent(exchange) -> None:
    time.sleep(1.0)
    exchange.close_connection = True


@pytest.mark.parametrize(
    "trouble",
    [
        silent,
        refuse(429, "Slow down"),
        refuse(500, "Oops"),
        half,
        lambda exchange: exchange.reply(200, b"<html>garbage</html>"),
        refuse(400, "This text is not allowed."),
    ],
)
def test_a_server_in_trouble_now_and_then_loses_no_row(tmp_path, server, trouble, monkeypatch) -> None:
    monkeypatch.setattr(endpoint, "SILENCE_SECONDS", 0.5)
    answers = iter([answered] * 5 + [trouble] + [answered] * 6 + [trouble])
    server.answer = lambda exchange: next(answers, answered)(exchange)
    using = Using(model="m", endpoint=server.address)
    told = list(run(["Paint a boat", "Sell hens"], tmp_path, steps=["expand"], n=20, using={"expand": using}))
    assert told[-1].accepted == 20


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (refuse(401, "No such key"), "wants a key"),
        (lambda exchange: exchange.reply(200, b"<html>garbage</html>"), "not OpenAI-compatible"),
        (refuse(404, "no route"), "doesn't answer like"),
        (refuse(400, "This text is not allowed."), "This text is not allowed"),
        (refuse(500, "Oops"), "Oops"),
    ],
)
def test_a_server_that_fails_from_some_row_on_ends_the_run_with_its_words_and_all_rows_kept(
    tmp_path, server, trouble, said
) -> None:
    server.answer = in_turn(*[answered] * 6, trouble)
    using = {"expand": Using(model="m", endpoint=server.address)}
    with pytest.raises(EngineError, match=said):
        list(run(["Paint a boat", "Sell hens"], tmp_path, steps=["expand"], n=20, using=using))
    made = len(server.seen)
    server.answer = answered
    told = list(run(["Paint a boat", "Sell hens"], tmp_path, steps=["expand"], n=20, using=using))
    assert told[-1].accepted == 20
    assert told[0].accepted + told[0].rejected >= 4
    assert len(server.seen) - made < 24
