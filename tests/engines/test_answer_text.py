import pytest

from augmentlm.engines.answer_text import AnswerText


def read(*pieces: str) -> tuple[list[str], str]:
    text = AnswerText()
    shown = [text.add(piece) for piece in pieces]
    return [*shown, text.end()], str(text)


def test_an_answer_without_thoughts_is_shown_as_it_comes():
    assert read("Par", "is", ".") == (["Par", "is", ".", ""], "Paris.")
    assert read("\n", "Paris") == (["", "\nParis", ""], "\nParis")


@pytest.mark.parametrize(
    "pieces",
    [
        ("<think>\nThe user asks …\n</think>\n\nParis.",),
        ("<th", "ink>", "The user", " asks</th", "ink>", "\n\n", "Paris", "."),
        ("\n<think></think>", "Paris."),
        tuple("<think>a < b </thin </think>\nParis."),
    ],
)
def test_thoughts_are_neither_shown_nor_kept(pieces):
    shown, text = read(*pieces)
    assert text == "".join(shown) == "Paris."


def test_thoughts_that_have_not_ended_are_no_answer():
    assert read("<think>Paris, or", " Lyon?") == (["", "", ""], "")


def test_what_only_begins_like_thoughts_is_an_answer():
    assert read("<", "b>bold</b>")[1] == "<b>bold</b>"
    assert read("<thi")[1] == "<thi"
    assert read("Write <think> and </think>.")[1] == "Write <think> and </think>."


def test_halves_of_a_character_are_joined_and_others_dropped():
    shown, text = read("Look: ", "\ud83d", "\ude00", " is a face")
    assert text == "".join(shown) == "Look: 😀 is a face"
    assert read("a\udc00b\ud83d")[1] == "ab"
