import json
import threading

import pytest

from augmentlm.distill import rows
from augmentlm.errors import StoppedError
from augmentlm.tasks import Message

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
