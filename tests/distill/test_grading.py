import threading

import pytest

from augmentlm.augmenter import load
from augmentlm.distill.grading import complexity, factuality, read_grade
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.tasks import Pair
from scripted_cli import ScriptedPool


class Script:
    def __init__(self):
        self.asked = []

    def __call__(self, request):
        text = request.messages[-1].content
        self.asked.append(text)
        if "Rate it" in text:
            return "Grade: 8" if "proof" in text else "hm" if "mumble" in text else "2/10"
        return "No, the moon is not made of cheese." if "cheese" in text else "Yes"

    @property
    def judge(self):
        return load("respond", "qwen2.5-coder-1.5b-instruct", pool=ScriptedPool(ScriptedEngine(self)))


TEXTS = {"a": "Write a proof", "b": "Say hello", "c": "mumble"}


def test_grades_are_read_and_what_is_none_is_left_out(tmp_path):
    script = Script()
    assert complexity(script.judge, TEXTS, tmp_path / "g.jsonl", stop=threading.Event()) == {"a": 8, "b": 2}
    assert len(script.asked) == 3


def test_the_same_question_is_asked_once(tmp_path):
    path = tmp_path / "g.jsonl"
    first = complexity(Script().judge, TEXTS, path, stop=threading.Event())
    again = Script()
    assert complexity(again.judge, {**TEXTS, "d": "Say hello"}, path, stop=threading.Event()) == {**first, "d": 2}
    assert again.asked == []


def test_a_text_and_a_response_are_judged_for_truth(tmp_path):
    script = Script()
    texts = {"a": "Explain why the moon is made of cheese", "b": Pair("What is 2 + 2?", "4")}
    assert factuality(script.judge, texts, tmp_path / "g.jsonl", stop=threading.Event()) == {"a": False, "b": True}
    assert "[Response]\n4" in script.asked[1]


@pytest.mark.parametrize(("reply", "grade"), [("7", 7), ("10", 10), ("**6**/10", 6), ("11", None), ("none", None)])
def test_a_grade_is_a_number_from_1_to_10(reply, grade):
    assert read_grade(reply) == grade
