"""What a rewrite added and took away."""

import pytest

from augmentlm.ui.diff import MAX_WORDS, Span, diff


def test_added_and_removed_words_in_reading_order() -> None:
    assert diff("write about dogs", "Write a poem about big dogs.") == [
        Span("same", "Write "),
        Span("added", "a poem"),
        Span("same", " about "),
        Span("added", "big"),
        Span("same", " dogs"),
        Span("added", "."),
    ]
    assert diff("please write about dogs", "write about cats") == [
        Span("removed", "please "),
        Span("same", "write about "),
        Span("removed", "dogs"),
        Span("added", "cats"),
    ]


def test_chinese_goes_character_by_character() -> None:
    assert diff("写一首诗", "写一首关于春天的诗") == [
        Span("same", "写一首"),
        Span("added", "关于春天的"),
        Span("same", "诗"),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "all of it is new"),
        ("a  b\n\nc", "a b\n c d\n"),
        ("<b>x</b> {{y}}", "<b>z</b>\t{{y}} ${1}"),
        ("三天北京 trip", "trip 北京三天，2000元"),
        ("same", "same"),
    ],
)
def test_without_the_removed_it_is_the_new_text_to_the_character(old, new) -> None:
    assert "".join(span.text for span in diff(old, new) if span.change != "removed") == new


def test_long_texts_are_not_compared_word_by_word() -> None:
    old, new = "word " * (MAX_WORDS + 1), "other"
    assert diff(old, new) == [Span("removed", old), Span("added", new)]
