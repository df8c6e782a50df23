import pytest

from augmentlm.checks.language import language, languages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write about dogs", "en"),
        ("Écris un poème", "en"),
        ("写一首关于狗的诗", "zh"),
        ("用 Python 写一个排序函数", "zh"),
        ("Напиши стихотворение", "other"),
        ("12 + 30 = ?", "other"),
        ("`print(x)` 报错怎么办", "zh"),
    ],
)
def test_language_is_told_by_script(text, expected):
    assert language(text) == expected


def test_a_mixed_text_has_both_languages():
    assert languages("npm install 报错 EACCES permission denied") == {"en", "zh"}


def test_a_text_without_words_has_none():
    assert languages("Z3, X6, V12, T24 -> ?") == languages("12 + 30 = ?") == frozenset()
