import random

import pytest

from augmentlm.checks import near_copies
from augmentlm.checks.near_copies import Match, NearCopies
from augmentlm.checks.novelty import rouge_l


def plain_find(rows: dict[str, str], text: str, threshold: float) -> Match | None:
    """Compared with every one, to hold the index against."""
    score, name = max(((rouge_l(text, row), name) for name, row in rows.items()), key=lambda pair: pair[0])
    return Match(score, name) if score > threshold else None


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("letters", ["abcdefgh", "写一首关于春天的诗歌和雨"])
def test_the_match_is_that_of_comparing_with_every_row(threshold: float, letters: str):
    rng = random.Random(11)
    copies, rows = NearCopies(threshold), {}
    for number in range(150):
        text = " ".join(rng.choices(letters, weights=range(1, len(letters) + 1), k=rng.randint(1, 25)))
        if rows and rng.random() < 0.5:  # a near copy of an earlier one
            words = rng.choice(list(rows.values())).split()
            for _ in range(rng.randint(0, 6)):
                words[rng.randrange(len(words))] = rng.choice(letters)
            text = " ".join(words)
        if rows:
            assert copies.find(text) == plain_find(rows, text, threshold)
        rows[f"row {number}"] = text
        copies.add(text, f"row {number}")
    assert len(copies) == 150


def test_nothing_is_near_where_nothing_was_added():
    assert NearCopies().find("write about dogs") is None


def test_of_equally_near_texts_the_first_is_named():
    copies = NearCopies()
    copies.add("plan a trip to Osaka", "the seed")
    copies.add("plan a trip to Kobe", "row 1")
    assert copies.find("plan a trip to Kyoto") == Match(0.8, "the seed")


def test_texts_without_words_are_near_only_when_equal():
    copies = NearCopies()
    copies.add("???", "row 1")
    copies.add("plan a trip", "row 2")
    assert copies.find(" ??? ") == Match(1.0, "row 1")
    assert copies.find("!!!") is None


def test_a_score_of_exactly_the_threshold_is_not_above_it():
    copies = NearCopies(0.7)
    copies.add("a b c d e f g h i j", "row 1")
    assert copies.find("a b c d e f g x y z") is None
    assert copies.find("a b c d e f g h y z") == Match(0.8, "row 1")


def test_the_index_answers_as_the_plain_comparison_does_when_it_was_put_in_order_several_times(monkeypatch):
    monkeypatch.setattr(near_copies, "_FIRST_ORDER", 4)
    rng = random.Random(3)
    words = [f"word{number}" for number in range(300)]
    copies, rows = NearCopies(), {}
    found = 0
    for number in range(400):
        text = rng.choices(words, weights=[1 / (1 + rank) for rank in range(300)], k=rng.randint(3, 40))
        if number % 3 == 2:
            text = rng.choice(list(rows.values())).split()
            for _ in range(rng.randint(0, len(text) // 2)):
                text[rng.randrange(len(text))] = rng.choice(words)
        text = " ".join(text)
        match = copies.find(text)
        found += match is not None
        assert match == (plain_find(rows, text, 0.7) if rows else None)
        rows[f"row {number}"] = text
        copies.add(text, f"row {number}")
    assert 50 < found < 350


def test_words_that_share_a_character_in_the_fast_comparison_are_still_told_apart(monkeypatch):
    monkeypatch.setattr(near_copies, "_CHARACTERS", 1)  # all words share one
    copies = NearCopies()
    copies.add("plan a trip to Osaka in spring", "row 1")
    assert copies.find("Osaka in spring: plan a trip to") is None
    assert copies.find("plan a trip to Osaka in autumn") == Match(2 * 6 / 14, "row 1")
