"""The Refine tab, without a browser: what its parts show while a run goes on and when it is over."""

from __future__ import annotations

import threading

import gradio as gr
import pytest

from augmentlm.ui.refine import _Refine, _replace, _undo
from scripted_page import USUAL, run_to_end

PROMPT = "email Maria about 3 rooms"


@pytest.fixture
def refine(context):
    """Run the tab on a prompt; gives the tab and all that was shown."""

    def run(prompt=PROMPT, *, says=lambda request: "Write an email to Maria about 3 rooms.", view="added", **ways):
        flag = ways.pop("flag", threading.Event())
        values = ways.pop("values", USUAL)
        tab = _Refine(context(says, **ways))
        return tab, run_to_end(tab._work(flag, ways.get("language", "en"), prompt, view, (), *values))

    return run


def test_the_text_grows_word_by_word_and_ends_with_the_additions_marked(refine) -> None:
    tab, shown = refine(delay=0.05)
    growing = [step[tab.result] for step in shown[:-1] if 'aria-busy="true"' in step[tab.result]]
    assert len(growing) > 2
    assert growing == sorted(growing, key=len)
    assert shown[-1][tab.result] == (
        '<div class="alm-text"><ins>Write an</ins> email <ins>to</ins> Maria about 3 rooms<ins>.</ins></div>'
    )
    assert shown[-1][tab.plain] == "Write an email to Maria about 3 rooms."
    assert shown[-1][tab.after]["visible"]


def test_facts_of_the_prompt_are_kept_or_lost(refine) -> None:
    tab, shown = refine(says=lambda request: "Write an email about 3 rooms.")
    notes = shown[-1][tab.notes]
    assert 'class="alm-chip lost" title="Maria: lost"' in notes
    assert 'class="alm-chip kept" title="3: kept"' in notes
    assert "Lost facts" not in notes  # the chips say it


def test_speed_and_model_stand_below(refine) -> None:
    tab, shown = refine(delay=0.01)
    assert "augmentlm-0.5b-refine (llamacpp, Q4_K_M) · first word after 0.0 s" in shown[-1][tab.notes]
    assert "tokens per second · 8 tokens" in shown[-1][tab.notes]


def test_a_prompt_that_is_already_good_is_said_to_be(refine) -> None:
    tab, shown = refine(says=lambda request: PROMPT)
    assert "already good" in shown[-1][tab.notes]
    assert "<ins>" not in shown[-1][tab.result]


def test_a_warning_is_in_words(refine) -> None:
    tab, shown = refine(says=lambda request: "Sure, here is the refined prompt: email Maria about 3 rooms")
    assert "Begins with chatter" in shown[-1][tab.notes]


def test_stop_keeps_what_is_written(refine) -> None:
    flag = threading.Event()
    threading.Timer(0.5, flag.set).start()
    tab, shown = refine(says=lambda request: " ".join(map(str, range(1000))), delay=0.05, flag=flag)
    text = shown[-1][tab.plain]
    assert text.startswith("0 1 2")
    assert "Stopped." in shown[-1][tab.notes]
    assert shown[-1][tab.after]["visible"]


def test_a_run_that_was_stopped_before_its_turn_says_so(refine) -> None:
    flag = threading.Event()
    flag.set()
    tab, shown = refine(flag=flag)
    assert (shown[-1][tab.result], shown[-1][tab.plain]) == ("", "")
    assert "Stopped." in shown[-1][tab.notes]
    assert not shown[-1][tab.after]["visible"]


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("", "There is no text to work on."),
        (" \n\t", "There is no text to work on."),
        ("\x00\x01\x02", "There is no text to work on."),
        ("x" * 200_000, "The text has 200,000 characters"),
    ],
)
def test_a_prompt_that_cannot_be_worked_on_gets_a_sentence(refine, prompt, sentence) -> None:
    tab, shown = refine(prompt)
    assert sentence in shown[-1][tab.notes]
    assert 'role="alert"' in shown[-1][tab.notes]


def test_a_model_that_writes_nothing_gets_a_sentence(refine) -> None:
    tab, shown = refine(says=lambda request: " \n ")
    assert "The model wrote nothing." in shown[-1][tab.notes]


def test_what_nobody_foresaw_goes_to_the_terminal_and_the_page_stays_usable(refine, capsys) -> None:
    def fails(request):
        raise ZeroDivisionError("deep inside")

    tab, shown = refine(says=fails)
    assert "Something unexpected went wrong" in shown[-1][tab.notes]
    assert "deep inside" not in shown[-1][tab.notes]
    assert "ZeroDivisionError: deep inside" in capsys.readouterr().err


def test_markup_in_prompt_and_result_is_text(refine) -> None:
    nasty = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) <|im_start|>system {{value}} ${1+1}"
    tab, shown = refine(f"Explain {nasty}", says=lambda request: f"Explain well {nasty}", delay=0.01)
    for step in shown:
        assert "<img" not in step[tab.result]
        assert "<img" not in step.get(tab.notes, "")
    assert shown[-1][tab.plain] == f"Explain well {nasty}"


def test_options_reach_the_model(refine) -> None:
    seen = []

    def says(request):
        seen.append(request.sampling)
        return "Fine."

    refine(says=says, values=("", "", 0.2, 0.5, 7, 48, " 42 ", None, None, None))
    [sampling] = seen
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.2, 0.5, 7)
    assert (sampling.max_tokens, sampling.seed) == (48, 42)


def test_a_prompt_that_was_replaced_comes_back() -> None:
    text, earlier, undo = _replace("refined", "mine", [])
    assert (text, earlier, undo["visible"]) == ("refined", ["mine"], True)
    text, earlier, undo = _undo(earlier)
    assert (text, earlier, undo["visible"]) == ("mine", [], False)


def test_an_empty_box_is_nothing_to_come_back_to() -> None:
    assert _replace("an example", "  ", []) == ("an example", [], gr.update(visible=False))
