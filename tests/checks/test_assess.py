"""The checks together, as an augmenter uses them."""

from augmentlm.checks import assess
from augmentlm.tasks import Pair, format_pair, parse

PAIRS = [Pair("Name a fruit that grows on trees.", "Apple."), Pair("Name a bird that can't fly.", "Emu.")]
STEPS = (("pack", "books"), ("label", "boxes"), ("call", "driver"), ("clean", "kitchen"), ("return", "keys"))


def codes(task, value, text, finish="stop", earlier=None):
    return [finding.code for finding in assess(task, value, parse(task, text), finish, earlier)]


def test_a_good_refinement_passes():
    assert codes("refine", "3 facts about Mars", "List three facts about Mars, one sentence each.") == []


def test_a_refinement_that_drops_a_fact_or_changes_language_is_found():
    assert codes("refine", "3 facts about Mars", "List some facts about Mars.") == ["facts_lost"]
    assert codes("refine", "give some facts on the moon", "请列出一些关于月球的事实。") == ["language"]


def test_a_prompt_without_words_may_be_refined_in_any_language():
    assert codes("refine", "2, 3, 5, 8 -> ?", "Continue the series 2, 3, 5, 8 and explain the rule.") == []


def test_a_chinese_prompt_about_english_words_may_be_answered_in_chinese():
    assert codes("refine", "affect effect 区别", "请说明 affect 和 effect 的区别。") == []


def test_an_answer_in_place_of_a_prompt_is_found_but_a_short_request_is_not_taken_for_one():
    seed = "Describe the gardens of Kyoto in autumn."
    assert codes("expand", seed, "Kyoto is lovely in autumn, when the maples turn red and it is cool.") == ["answered"]
    assert codes("refine", "gardens kyoto autumn", "The gardens there are lovely, above all in late autumn.") == [
        "answered"
    ]
    assert codes("expand", seed, "Paint a boat in a storm.") == []


def test_an_expansion_too_near_the_seed_or_an_earlier_result_is_found():
    seed = "Plan a three-day trip to Kyoto for two."
    assert codes("expand", seed, "Plan a three-day trip to Osaka for two.") == ["near_copy"]
    other = "Write a packing list for a week of hiking in Norway."
    assert codes("expand", seed, other) == []
    assert codes("expand", seed, other, earlier={"result 1": other}) == ["near_copy"]


def test_a_new_pair_passes_and_a_repeated_example_does_not():
    assert codes("pair", PAIRS, format_pair(Pair("Which metal is liquid at room temperature?", "Mercury."))) == []
    assert codes("pair", PAIRS, format_pair(PAIRS[0])) == ["near_copy"]


def test_text_out_of_form_says_what_is_missing():
    (finding,) = assess("pair", PAIRS, parse("pair", "no headings here"), "stop")
    assert finding.code == "form"
    assert "### Instruction" in finding.evidence


def test_a_text_that_hit_the_limit_is_cut_off_whatever_else_it_is():
    assert codes("refine", "dogs", "Write about dogs and", finish="length") == ["cut_off"]
    assert codes("pair", PAIRS, "### Instruction\n\nhalf", finish="length") == ["cut_off", "form"]


def test_a_response_that_refuses_is_found_for_itself_and_in_a_pair():
    assert codes("respond", "Sing me a song.", "I'm sorry, but I can't sing.") == ["refused"]
    pair = "### Instruction\nName a tall tree.\n\n### Response\nAs an AI language model, I have never seen a tree."
    examples = [Pair("Name a red fruit.", "A cherry."), Pair("Name a small bird.", "A wren.")]
    assert codes("pair", examples, pair) == ["refused"]


def test_a_pair_whose_response_copies_an_example_or_repeats_itself_is_found():
    plan = " ".join(f"Step {number}: {verb} the {thing}." for number, (verb, thing) in enumerate(STEPS, 1))
    examples = [Pair("Plan a move to a new flat.", plan), *PAIRS]
    assert codes("pair", examples, format_pair(Pair("Plan a garden party for ten.", plan))) == ["near_copy"]
    same = "The cat is afraid of the dog because the dog is afraid of the cat. " * 3
    assert codes("pair", PAIRS, format_pair(Pair("Why do cats run?", same))) == ["loop"]
    assert codes("respond", "Why do cats run?", same) == ["loop"]
