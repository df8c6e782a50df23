import math

import numpy as np
import pytest

from augmentlm.measures.diversity import distinct, distinct_n, length, lengths, self_bleu, spread

CAT = "the cat sat on the mat"
DOG = "a dog ran over my lawn"


def test_near_copies_count_once():
    assert distinct([CAT, CAT, DOG]) == [CAT, DOG]
    # Five of six words in common is ROUGE-L 0.83, four of six 0.67.
    assert distinct([CAT, "the cat sat on the rug"]) == [CAT]
    assert len(distinct([CAT, "the cat lay on a mat"])) == 2


def test_distinct_n_is_types_over_tokens_of_the_set():
    assert distinct_n([CAT], 1) == 5 / 6
    assert distinct_n([CAT, CAT], 1) == 5 / 12
    assert distinct_n([CAT, CAT], 2) == 5 / 10
    assert distinct_n(["天天"], 1) == 1 / 2
    assert distinct_n(["one"], 2) is None


def test_self_bleu_is_one_for_copies_and_low_for_strangers():
    assert self_bleu([CAT, CAT, CAT]) == pytest.approx(1.0)
    # No match in any order: 0.1 of 6, 5, 4 and 3 n-grams.
    assert self_bleu([CAT, DOG]) == pytest.approx(math.prod(0.1 / total for total in (6, 5, 4, 3)) ** 0.25)


def test_self_bleu_follows_the_formula():
    # Each has 3 of 4 words, 2 of 3 bigrams, 1 of 2 trigrams in common and no 4-gram; same length, no penalty.
    expected = (3 / 4 * 2 / 3 * 1 / 2 * 0.1 / 1) ** 0.25
    assert self_bleu(["a b c d", "a b c e"]) == pytest.approx(expected)


def test_self_bleu_clips_repeats_and_punishes_brevity():
    # "a a b c" against "a b c d e": one of its two "a" counts; the lengths differ by one.
    short = (3 / 4 * 2 / 3 * 1 / 2 * 0.1 / 1) ** 0.25 * math.exp(1 - 5 / 4)
    long = (3 / 5 * 2 / 4 * 1 / 3 * 0.1 / 2) ** 0.25
    assert self_bleu(["a a b c", "a b c d e"]) == pytest.approx((short + long) / 2)


def test_one_text_has_no_self_bleu_and_no_spread():
    assert self_bleu([CAT, ""]) is None
    assert spread(np.eye(1, 3)) is None


def test_spread_is_the_mean_distance_of_all_pairs():
    assert spread(np.eye(4)) == pytest.approx(1.0)
    assert spread(np.array([[1.0, 0.0]] * 3)) == pytest.approx(0.0)
    # Distances 0, 1 and 1.
    assert spread(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)) == pytest.approx(2 / 3)


def test_chinese_is_measured_in_characters_and_english_in_words():
    assert length("Don't stop, please.") == 3
    assert length("请写一首诗。") == 5
    assert lengths(["one two", "one two three four", "写诗"]) == {
        "en": {"texts": 2, "mean": 3.0, "median": 3.0},
        "zh": {"texts": 1, "mean": 2.0, "median": 2},
    }
