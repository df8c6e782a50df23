import random

import pytest

from augmentlm.checks.novelty import copied_response, near_copy, rouge_l


def plain_rouge_l(a: list[str], b: list[str]) -> float:
    """The textbook table, to hold the bit-parallel one against."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if x == y else max(table[i - 1][j], table[i][j - 1])
    return 2 * table[-1][-1] / (len(a) + len(b))


def test_scores_are_those_of_the_textbook_table():
    rng = random.Random(7)
    for _ in range(300):
        a = [rng.choice("abcdefg") for _ in range(rng.randint(1, 90))]
        b = [rng.choice("abcdefg") for _ in range(rng.randint(1, 90))]
        assert rouge_l(" ".join(a), " ".join(b)) == pytest.approx(plain_rouge_l(a, b))


def test_case_and_punctuation_do_not_make_a_text_new():
    assert rouge_l("Plan a trip, to Kyoto!", "plan a trip to kyoto") == 1.0


def test_chinese_is_compared_by_character():
    assert 0.5 < rouge_l("写一首关于春天的诗", "写一首关于秋天的歌") < 1.0


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Напиши рассказ про дождь и старый дом", "Напиши рассказ про снег и старый дом"),
        ("Γράψε ένα ποίημα για τη θάλασσα", "Γράψε ένα ποίημα για το βουνό"),
        ("मेरी बेटी को एक कविता लिखो", "मेरी बेटी को एक कहानी लिखो"),
        ("اكتب قصة قصيرة عن المطر", "اكتب قصة قصيرة عن البحر"),
        ("Écris un poème sur l'été", "Écris un poème sur l'hiver"),
    ],
)
def test_words_of_every_script_are_compared(text, near):
    assert rouge_l(text, text + "!") == 1.0
    assert 0.5 < rouge_l(text, near) < 1.0
    assert rouge_l("3 " + text, "Что такое 3 цикла") < 0.6


def test_vowel_signs_belong_to_their_words():
    assert rouge_l("दिन", "दीन") == rouge_l("मेरी बेटी को बताओ", "मेरा बेटा का बात") == 0.0


def test_an_accent_in_two_pieces_is_the_same_letter():
    assert rouge_l("cafe\u0301 noir", "caf\u00e9 noir") == 1.0


def test_texts_without_words_are_alike_only_when_equal():
    assert rouge_l("???", "???") == 1.0
    assert rouge_l("???", "!!!") == 0.0


def test_the_nearest_other_is_named_with_its_score():
    finding = near_copy("plan a trip to Kyoto", {"the seed": "plan a trip to Osaka", "result 1": "bake a cake"})
    assert (finding.code, finding.evidence) == ("near_copy", "0.80 ROUGE-L with the seed")
    assert near_copy("bake bread", {"the seed": "plan a trip to Osaka"}) is None


def test_a_long_response_that_is_an_examples_is_copied_and_a_label_may_be_the_same():
    plan = (
        "Now: write a recipe card with photos, train one colleague on two cakes, freeze biscuits and put a cap on "
        "orders."
    )
    found = copied_response(plan.replace("two", "three"), {"example 1": "Yes.", "example 2": plan})
    assert found.code == "near_copy" and "example 2" in found.evidence and "response" in found.evidence
    other = (
        "Before the storm: bring in the chairs, close every window, charge the lamps and fill six bottles with clean "
        "water."
    )
    assert copied_response(other, {"example 1": plan}) is None
    assert copied_response("Sports", {"example 1": "Sports"}) is None
