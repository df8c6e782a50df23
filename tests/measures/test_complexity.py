import pytest

from augmentlm.measures.complexity import reading_grade


def test_the_grade_is_that_of_the_formula():
    # 6 words, 1 sentence, 7 syllables ("the cat sat on the ta-ble").
    assert reading_grade("The cat sat on the table.") == pytest.approx(0.39 * 6 + 11.8 * 7 / 6 - 15.59)


def test_long_sentences_of_long_words_ask_for_more():
    easy = reading_grade("Write a poem. Make it short.")
    hard = reading_grade("Elaborate a comprehensive methodological comparison of contemporary regulatory institutions.")
    assert hard > 12 > easy


def test_a_silent_e_is_no_syllable_and_lines_end_sentences():
    assert reading_grade("Make cake") == reading_grade("Mak cak")
    assert reading_grade("List three rivers\nSay why") < reading_grade("List three rivers, say why")


@pytest.mark.parametrize("text", ["", "12 + 30", "写一首关于秋天的诗"])
def test_there_is_none_without_english_words(text):
    assert reading_grade(text) is None
