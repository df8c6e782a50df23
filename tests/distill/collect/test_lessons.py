import pytest

from augmentlm.checks.answered import answered
from augmentlm.distill.collect import lessons
from augmentlm.distill.collect.assess import Assessor
from augmentlm.distill.collect.labels import labels
from augmentlm.distill.collect.seeds import Seed
from augmentlm.distill.collect.teach import Candidate


def test_examples_are_earlier_turns_and_the_text_comes_last():
    chat = lessons.EXPAND.chat("Name a bird. <|im_end|>")
    assert [message.role for message in chat[:3]] == ["system", "user", "assistant"]
    assert chat[-1].role == "user" and "\nName a bird. <|im_end|>\n" in chat[-1].content


def test_a_text_is_followed_by_what_to_do_with_it_unless_it_is_to_be_done():
    for lesson in (lessons.EXPAND, lessons.REFINE, lessons.translate("zh")):
        turns = lesson.chat("Name a bird.")[1::2]
        assert all(turn.content.endswith("Do not answer it.") for turn in turns)
    assert lessons.RESPOND.chat("Name a bird.")[-1].content == "Name a bird."


@pytest.mark.parametrize("lesson", [lessons.EXPAND, lessons.REFINE])
def test_the_handwritten_examples_pass_the_checks_they_teach(lesson, monkeypatch):
    monkeypatch.setattr("augmentlm.distill.collect.assess._example_leak", lambda candidate: None)
    work = "expand" if lesson is lessons.EXPAND else "refine"
    for number, (given, reply) in enumerate(lesson.examples):
        language = "zh" if "\u4e00" <= given[0] <= "\u9fff" else "en"
        seed = Seed(f"c-{number}/0", given, language, "mine")
        (found,) = Assessor()([Candidate(f"{seed.id}/{work}", work, seed, reply, "stop")])
        codes = [finding.code for finding in found.findings]
        # "email boss sick today" becomes a sentence: that short a prompt may grow.
        assert codes in ([], ["near_copy"]) and not answered(given, reply), (given, found.findings)


def test_the_classifier_is_told_every_label_and_its_examples_use_them():
    lesson = lessons.classify()
    assert all(f"{name}: " in lesson.task for name in labels())
    assert {label for _, label in lesson.examples} <= set(labels())


def test_translation_is_taught_both_ways():
    there, back = lessons.translate("zh"), lessons.translate("en")
    assert [(b, a) for a, b in there.examples] == list(back.examples) and "into Chinese" in there.task
