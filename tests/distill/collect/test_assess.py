from dataclasses import replace

import pytest

from augmentlm.checks import Finding
from augmentlm.distill.collect import lessons
from augmentlm.distill.collect.assess import Assessor
from augmentlm.distill.collect.seeds import Seed
from augmentlm.distill.collect.teach import Candidate

SEED = "Write a mail of 80 words to Ms Ito about the late delivery of order 2291."
CODE = "Why does `x = []` print None?"


def candidate(work, text, given=SEED, finish="stop", name="c-1/0"):
    language = "zh" if "\u4e00" <= given[0] <= "\u9fff" else "en"
    return Candidate(f"{name}/{work}", work, Seed(name, given, language, "mine", category="planning"), text, finish)


def codes(*candidates, known=()):
    return [[finding.code for finding in each.findings] for each in Assessor(known)(candidates)]


@pytest.mark.parametrize(
    ("work", "text", "given"),
    [
        ("expand", "Write a letter of 90 words to Mr Sol about a broken window in flat 7.", SEED),
        ("refine", f"{SEED} Keep it polite, with a subject line and a clear question at the end.", SEED),
        ("translate", "写一封80个词的邮件给Ito女士，说明订单2291延迟送达。", SEED),
        ("translate", "Why is the sky blue, explained in simple words?", "天空为什么是蓝色的？请简单解释。"),
        ("respond", "Dear Ms Ito, order 2291 is late. We are sorry.", SEED),
        ("respond", "会议九点开始。", "Translate into Chinese: The meeting begins at nine."),
        ("rewrite", "It begins at nine.", "When does it begin?"),
    ],
)
def test_good_texts_pass(work, text, given):
    assert codes(candidate(work, text, given)) == [[]]


@pytest.mark.parametrize(
    ("work", "text", "given", "code"),
    [
        ("expand", "", SEED, "form"),
        ("expand", "Dear Ms Ito, we are sorry that your order is late and hope for patience.", SEED, "answered"),
        ("expand", SEED.replace("80", "90"), SEED, "near_copy"),
        ("expand", "写一封给王先生的邮件，说明修理窗户的时间要推迟。", SEED, "language"),
        ("expand", "Name a bird.", SEED, "length"),
        ("expand", lessons.EXPAND.examples[0][1], SEED, "example_leak"),
        ("expand", "Name a bird of the same type of task, the same form and language.", SEED, "prompt_leak"),
        ("refine", "Write a polite mail to Ms Ito about a late delivery, in about 80 words.", SEED, "facts_lost"),
        ("refine", f"{SEED} Show two strings that match and two that do not.", SEED, "example_leak"),
        ("refine", SEED, SEED, "unchanged"),
        ("refine", f"Sure! Here is the rewritten prompt: {SEED}", SEED, "preamble"),
        ("translate", SEED, SEED, "language"),
        ("translate", "写一封邮件给客户，说明延迟送达的原因，请保持礼貌。", SEED, "facts_lost"),
        ("translate", "为什么会显示None这个结果呢？", CODE, "facts_lost"),
        ("respond", "word " * 451, SEED, "length"),
        ("respond", "尊敬的客户，您的订单延迟了。", SEED, "language"),
        ("rewrite", "Sure! Here you are: it begins at nine.", "When does it begin?", "preamble"),
    ],
)  # fmt: skip
def test_bad_texts_are_told_with_a_reason(work, text, given, code):
    (found,) = codes(candidate(work, text, given))
    assert code in found


def test_a_text_that_broke_off_is_told():
    assert codes(candidate("respond", "Dear Ms Ito, order", finish="length")) == [["cut_off"]]


def test_duplicates_are_told_across_seeds_and_against_what_is_known():
    new = "Write a letter of 90 words to Mr Sol about a broken window in flat 7."
    twice = [
        candidate("expand", new),
        candidate("expand", new, "Draft a note to the whole staff on parking.", name="c-2/0"),
    ]
    assert codes(*twice) == [[], ["duplicate"]]
    (found,) = Assessor([("row 7", new)])(twice[:1])
    assert found.findings[0].evidence == "1.00 ROUGE-L with row 7"


def test_a_rejected_text_does_not_stand_in_the_way_of_a_good_one():
    cut = candidate("expand", "Write a letter of 90 words to Mr Sol about a broken window.", finish="length")
    good = candidate("expand", "Write a letter of 90 words to Mr Sol about a broken window.", name="c-2/0")
    assert codes(cut, good) == [["cut_off"], []]


def test_a_response_may_be_given_twice():
    yes = [
        candidate("respond", "Yes.", "Is iron a metal?"),
        candidate("respond", "Yes.", "Is ice water?", name="c-2/0"),
    ]
    assert codes(*yes) == [[], []]


def test_what_an_evaluation_uses_is_never_written_either():
    text = "Write a letter of 90 words to Mr Sol about a broken window in flat 7."
    chinese = "写一封80个词的邮件给Ito女士，说明订单2291延迟送达。"
    refined = f"{SEED} Keep it polite, with a subject line and a clear question at the end."
    given = [candidate("expand", text), candidate("translate", chinese), candidate("refine", refined)]
    found = Assessor(held_out=[text.replace("90", "95"), chinese, refined])(given)
    assert [[finding.code for finding in each.findings] for each in found] == [["held_out"]] * 3
    assert found[0].findings[0].evidence.endswith("with held-out text 1")


def test_a_refinement_may_end_as_a_held_out_one_does():
    refined = f"{SEED} Keep it polite, with a subject line and a clear question at the end."
    other = refined.replace("Ms Ito", "Mr Sol").replace("late delivery", "broken window")
    (found,) = Assessor(held_out=[other])([candidate("refine", refined)])
    assert found.findings == ()


def test_what_the_teacher_took_no_part_in_keeps_its_reason():
    reason = Finding("refused", "content filter")
    (found,) = Assessor()([replace(candidate("expand", ""), findings=(reason,))])
    assert found.findings == (reason,)
