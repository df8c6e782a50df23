import json
import threading
from dataclasses import replace

import pytest

from augmentlm.distill import rows
from augmentlm.distill.samples import System
from augmentlm.engines.refused import PLAIN
from augmentlm.engines.scripted import echo
from augmentlm.errors import EngineError, StoppedError
from augmentlm.tasks import Message
from engines.chat_server import environment, in_turn, refuse, say, serve_chats  # noqa: F401
from scripted_cli import ScriptedPool
from scripted_refusals import RefusingEngine, filtered, too_long

CHATS = {f"q-{n}": (Message("user", f"question {n}"),) for n in range(6)}


def test_what_was_asked_is_never_asked_again(teacher):
    asked = []

    def script(request):
        asked.append(request.messages[-1].content)
        return f"answer to {request.messages[-1].content}"

    first = teacher(script).ask("work", CHATS, temperature=0.5)
    again = teacher(script).ask("work", CHATS, temperature=0.5)
    assert first == again and first["q-3"].text == "answer to question 3"
    assert len(asked) == 6
    teacher(script).ask("work", CHATS, temperature=0.6)
    assert len(asked) == 12


def test_two_chats_that_are_alike_are_one_question(teacher):
    asked = []
    chats = {"a": CHATS["q-0"], "b": CHATS["q-0"]}
    found = teacher(lambda request: asked.append(1) or "yes").ask("work", chats)
    assert found["a"] == found["b"] and len(asked) == 1


def test_a_stopped_teacher_keeps_what_it_has_and_goes_on(teacher, tmp_path):
    stop = threading.Event()
    asked = []

    def script(request):
        asked.append(request.messages[-1].content)
        if len(asked) == 3:
            stop.set()
        return "an answer of some words"

    with pytest.raises(StoppedError):
        teacher(script, stop=stop).ask("work", CHATS)
    path = tmp_path / "out" / "answers" / "work.jsonl"
    kept = rows.read(path)
    assert len(kept) == 2 and kept[0]["model"] and kept[0]["finish"] == "stop"
    path.write_bytes(path.read_bytes() + b'{"id": "q-5", "te')  # what a kill leaves
    stop.clear()
    found = teacher(script, stop=stop).ask("work", CHATS)
    assert len(found) == 6 and len(rows.read(path)) == 6
    assert asked[6:] == [f"question {n}" for n in range(2, 6)]


def test_progress_counts_what_was_there(teacher):
    heard = []
    teacher(told=lambda *news: heard.append(news)).ask("work", dict(list(CHATS.items())[:4]))
    teacher(told=lambda *news: heard.append(news)).ask("work", CHATS)
    assert heard[0] == ("work", 0, 4) and heard[5] == ("work", 4, 6) and heard[-1] == ("work", 6, 6)


def test_a_row_says_how_it_was_made(teacher, tmp_path):
    teacher().ask("work", {"q-0": CHATS["q-0"]}, temperature=0.5, max_tokens=9)
    (row,) = [json.loads(line) for line in (tmp_path / "out" / "answers" / "work.jsonl").open(encoding="utf-8")]
    assert row["sampling"] == {"temperature": 0.5, "max_tokens": 9}
    assert {"id", "text", "seed", "engine", "completion_tokens"} <= row.keys()


# ---- what a teacher takes no part in -------------------------------------------------------------------------------


def refusing(teacher, refuses, fault=filtered):
    engine = RefusingEngine(echo, lambda request: refuses(request.messages[-1].content), fault)
    return replace(teacher(), pool=ScriptedPool(engine)), engine


@pytest.mark.parametrize("fault", [filtered, too_long])
def test_a_chat_that_fails_even_alone_has_an_answer_without_text_and_is_not_asked_again(teacher, tmp_path, fault):
    given, engine = refusing(teacher, lambda text: text in ("question 1", "question 4"), fault)
    found = given.ask("work", CHATS, temperature=0.5)
    assert [name for name, answer in found.items() if answer.refused] == ["q-1", "q-4"]
    assert (found["q-1"].text, found["q-1"].refused) == ("", str(fault()))
    assert found["q-5"].text == "Scripted: question 5" and found["q-5"].refused == ""
    count = len(engine.asked)
    assert given.ask("work", CHATS, temperature=0.5) == found and len(engine.asked) == count
    kept = rows.read(tmp_path / "out" / "answers" / "work.jsonl")
    assert len(kept) == 6 and {row["id"] for row in kept if row.get("refused")} == {"q-1", "q-4"}


def test_a_lone_chat_that_the_teacher_takes_no_part_in_does_not_end_the_work(teacher):
    given, _ = refusing(teacher, lambda text: text.startswith("question"))
    assert given.ask("work", {"q-0": CHATS["q-0"]})["q-0"].refused == str(filtered())


def test_a_server_that_refuses_everything_ends_the_work_and_is_asked_again(teacher, tmp_path):
    given, engine = refusing(teacher, lambda text: True)
    for count in (1, 6):
        with pytest.raises(EngineError, match="content filter"):
            given.ask("work", dict(list(CHATS.items())[:count]))
    assert rows.read(tmp_path / "out" / "answers" / "work.jsonl") == []
    engine.refuses = lambda request: False
    assert not any(answer.refused for answer in given.ask("work", CHATS).values())


def test_a_fault_of_the_server_is_nobody_s_answer(teacher, tmp_path):
    given, engine = refusing(
        teacher, lambda text: text == "question 1", lambda: EngineError("The server can't be reached.", retryable=True)
    )
    with pytest.raises(EngineError, match="reached"):
        given.ask("work", CHATS)
    assert [
        row["id"] for row in rows.read(tmp_path / "out" / "answers" / "work.jsonl")
    ] == "q-0 q-2 q-3 q-4 q-5".split()
    engine.refuses = lambda request: False
    assert given.ask("work", CHATS)["q-1"].text == "Scripted: question 1"


def test_stop_while_a_refusal_is_looked_into_notes_none(teacher, tmp_path):
    stop = threading.Event()

    def script(request):
        if request.messages[-1].content == PLAIN:
            stop.set()
        return echo(request)

    engine = RefusingEngine(script, lambda request: request.messages[-1].content == "question 1")
    with pytest.raises(StoppedError):
        replace(teacher(stop=stop), pool=ScriptedPool(engine)).ask("work", CHATS)
    assert not any("refused" in row for row in rows.read(tmp_path / "out" / "answers" / "work.jsonl"))


@pytest.mark.parametrize("trouble", [refuse(400, "This text is not allowed."), say("Sor", reason="content_filter")])
def test_a_server_s_content_filter_costs_one_answer(teacher, server, trouble):
    server.answer = lambda exchange: (trouble if "question 2" in exchange.text else say("fine"))(exchange)
    given = replace(teacher(), system=System("m", server.address))
    found = given.ask("work", CHATS)
    assert [name for name, answer in found.items() if answer.refused] == ["q-2"]
    seen = len(server.seen)
    assert given.ask("work", CHATS) == found and len(server.seen) == seen


@pytest.mark.parametrize("trouble", [refuse(401, "No such key"), refuse(400, "Your account is in arrears.")])
def test_a_server_that_lets_nobody_in_any_more_ends_the_work(teacher, server, trouble, tmp_path):
    server.answer = in_turn(say("fine"), say("fine"), trouble)
    given = replace(teacher(), system=System("m", server.address))
    with pytest.raises(EngineError, match=r"No such key|in arrears"):
        given.ask("work", CHATS)
    assert len(rows.read(tmp_path / "out" / "answers" / "work.jsonl")) == 2
    server.answer = say("fine")
    assert {answer.text for answer in given.ask("work", CHATS).values()} == {"fine"}
