from augmentlm.checks import Finding
from augmentlm.distill.collect.report import Report, readable
from augmentlm.distill.collect.seeds import Seed
from augmentlm.distill.collect.teach import Candidate

SEED = Seed("c-1/0", "Name a bird.", "en", "mine", category="open_qa")


def test_texts_are_counted_by_stage_task_reason_and_mark():
    report = Report({"teacher": "Ada"})
    good = Candidate("a", "expand", SEED, "Name a fish.", "stop", score=5)
    low = Candidate("b", "expand", SEED, "Fish", "stop", (Finding("judge_score", "2 of 5"),), 2)
    report.work("write", [good, low])
    report.seeds("seeds", [SEED])
    values = report.as_json()
    assert values["stages"] == [{"stage": "write: expand", "before": 2, "after": 1, "rejected": {"judge_score": 1}}]
    assert values["marks"] == {"write: expand": {"2": 1, "5": 1}}
    assert values["by_task"] == {"open_qa": {"expand, written": 2, "expand, kept": 1, "seeds": 1}}
    text = readable(values)
    assert "| write: expand | 2 | 1 | judge_score 1 |" in text and "| write: expand | 0 | 1 | 0 | 0 | 1 |" in text
    assert "| open_qa | 2 | 1 | 1 |" in text and "- teacher: Ada" in text
