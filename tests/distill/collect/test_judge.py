from dataclasses import replace

import pytest

from augmentlm.checks import Finding
from augmentlm.distill.collect.judge import judged, question, read_mark
from augmentlm.distill.collect.seeds import Seed
from augmentlm.distill.collect.teach import Candidate
from scripted_cli import ScriptedPool
from scripted_refusals import RefusingEngine, filtered
from scripted_teacher import Script

TEXT = Candidate("c-1/0/expand", "expand", Seed("c-1/0", "Name a bird.", "en", "mine"), "Name a fish.", "stop")


@pytest.mark.parametrize(
    ("reply", "mark"),
    [("4", 4), (" 5.", 5), ("Mark: 3", 3), ("**2**/5", 2), ("评分：4", 4), ("10", None), ("4.5", None), ("good", None)],
)
def test_a_mark_is_read_from_the_start_of_a_reply(reply, mark):
    assert read_mark(reply) == mark


@pytest.mark.parametrize(
    ("reply", "score", "codes"),
    [("5", 5, []), ("4", 4, []), ("3", 3, ["judge_score"]), ("fine", None, ["judge_unreadable"])],
)
def test_a_text_needs_a_mark_that_is_high_enough(teacher, reply, score, codes):
    (found,) = judged([TEXT], teacher(Script(mark=reply)))
    assert (found.score, [finding.code for finding in found.findings]) == (score, codes)


def test_what_the_rules_found_bad_is_not_shown_to_the_judge(teacher):
    script = Script()
    bad = replace(TEXT, findings=(Finding("length", "too long"),))
    assert judged([bad], teacher(script)) == [bad] and script.asked == []


def test_the_judge_sees_both_texts_and_what_a_good_one_is():
    system, user = question(TEXT)
    assert "New instruction" in user.content and "Name a bird." in user.content and "Name a fish." in user.content
    assert "about something else" in system.content
    assert "Response" in question(replace(TEXT, work="respond"))[1].content


def test_a_text_that_the_judge_takes_no_part_in_has_no_mark_and_says_why(teacher):
    engine = RefusingEngine(Script(), lambda request: "Name a fish." in request.messages[-1].content)
    other = replace(TEXT, id="c-1/0/expand-2", text="Name a tree.")
    bad, good = judged([TEXT, other], replace(teacher(), pool=ScriptedPool(engine)))
    assert bad.findings == (Finding("judge_unreadable", f"no mark: {filtered()}"),) and bad.score is None
    assert good.findings == () and good.score == 5
