"""Results as HTML: everything of a user or a model is escaped, and there is a word for every reason."""

from __future__ import annotations

import re

import pytest

from augmentlm.checks import Finding
from augmentlm.checks.novelty import copied_response
from augmentlm.errors import InputError
from augmentlm.ui import markup
from augmentlm.ui.texts import LANGUAGES
from scripted_page import NASTY


def tags(html: str) -> set[str]:
    return set(re.findall(r"<(\w+)", html))


@pytest.mark.parametrize(
    "html",
    [
        markup.writing(NASTY),
        markup.compared("", NASTY, "added"),
        markup.compared(NASTY, "x", "all"),
        markup.compared(NASTY, NASTY, "plain"),
        markup.chips(f"see {NASTY} and https://example.org/<b>", "x", "en"),
        markup.error(InputError(NASTY, hint=NASTY), "en"),
        markup.note(NASTY),
        markup.bar(NASTY, 1, 2),
        markup.folded(NASTY, [(NASTY, NASTY)]),
        markup.summary(NASTY),
    ],
)
def test_nothing_that_is_shown_is_live(html) -> None:
    assert tags(html).isdisjoint({"img", "script", "a"})
    assert "onerror=&quot;" in html or "onerror" not in html


def test_what_was_removed_is_shown_only_when_asked_for() -> None:
    assert "<del>" not in markup.compared("big dogs", "dogs", "added")
    assert "<del>big </del>" in markup.compared("big dogs", "dogs", "all")


def test_a_text_without_hard_facts_has_no_chips() -> None:
    assert markup.chips("write about dogs", "Write about dogs.", "en") == ""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "code", ["near_copy", "preamble", "cut_off", "loop", "prompt_leak", "language", "facts_lost", "form", "input"]
)
def test_every_reason_has_words(language, code) -> None:
    evidence = "0.81 ROUGE-L with example 2" if code == "near_copy" else "missing: 14:30"
    [text] = markup.reasons([Finding(code, evidence)], language)
    assert len(text) > 3
    assert "_" not in text
    assert "ROUGE" not in text


def test_a_near_copy_names_what_it_repeats() -> None:
    found = [Finding("near_copy", f"0.81 ROUGE-L with {other}") for other in ("the seed", "example 2", "result 12")]
    assert markup.reasons(found, "en") == [
        "Nearly the same as your instruction (81 % alike)",
        "Nearly the same as example 2 (81 % alike)",
        "Nearly the same as result 12 (81 % alike)",
    ]


def test_a_copied_response_names_the_example_it_is_of() -> None:
    plan = "Pack the books, label every box, call the driver, clean the kitchen and the bath, and give back both keys."
    found = copied_response(plan, {"example 1": "Yes.", "example 2": plan})
    assert markup.reasons([found], "en") == ["Nearly the same as the response of example 2 (100 % alike)"]
    assert markup.reasons([found], "zh") == ["与例子 2 的回答几乎相同（相似度 100%）"]


def test_sizes_and_times_are_for_people() -> None:
    assert [markup.size(count) for count in (491_400_064, 15_231_000_000)] == ["491 MB", "15.2 GB"]
    assert [markup.duration(seconds, "en") for seconds in (0.2, 89, 150)] == ["1 s", "89 s", "2 min"]


def test_a_bar_is_a_progressbar_for_those_who_hear_the_page() -> None:
    html = markup.bar("1 of 4", 1, 4)
    assert 'role="progressbar" aria-label="1 of 4" aria-valuemin="0" aria-valuemax="100" aria-valuenow="25"' in html
    assert markup.bar("0 of 0", 0, 0)
