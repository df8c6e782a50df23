"""The Results tab, without a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gradio as gr
import pytest

from augmentlm import catalog
from augmentlm.arena.exports import preference_rows, vote_rows
from augmentlm.arena.votes import Entry, Vote, Votes
from augmentlm.ui.results import _Results, shipped, taken, voted

RATE = {"share": 0.75, "low": 0.5, "high": 0.9, "passed": 3, "rows": 4, "prompts": 4}
REPORT = {
    "task": "refine",
    "date": "2026-11-26",
    "prompts": {"source": "the held-out families", "count": 56, "sha256": "0"},
    "systems": {
        "augmentlm-0.5b-refine": {"rates": {"valid": RATE, "facts_kept": RATE, "unheard_of": RATE}},
        "qwen2.5-coder-1.5b-instruct": {"rates": {"valid": RATE}},
    },
    "judged": [
        {
            "judge": "Ada <b>",
            "kind": "reader",
            "left": "augmentlm-0.5b-refine",
            "right": "qwen2.5-coder-1.5b-instruct",
            "prompts": 56,
            "wins": 39,
            "ties": 3,
            "losses": 14,
        },
        {"judge": "qwen2.5-coder-1.5b-instruct", "kind": "model", "answers": {}},
    ],
}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def cards(tmp_path, monkeypatch) -> Path:
    """A folder of cards with one evaluation."""
    folder = tmp_path / "cards"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "eval.json").write_text(json.dumps(REPORT))
    monkeypatch.setattr(catalog, "cards_folder", lambda: folder)
    return folder


def given(winner: str, *, judge: str = "people", text: str = "A text.") -> None:
    def entry(model: str, text: str) -> Entry:
        return Entry(model, "llamacpp", "Q4_K_M", {"x": "sha256:0"}, text, "stop", 1, 2, 3, 0.1, 0.2)

    vote = Vote(
        id=f"{winner}-{judge}-{text}",
        at="2026-11-26T01:02:03+00:00",
        task="refine",
        prompt="=cmd()",
        left=entry("augmentlm-0.5b-refine", text),
        right=entry("qwen2.5-coder-1.5b-instruct", "Another."),
        order="left_first",
        winner=winner,
        judge=judge,
        blind=True,
        sampling={},
        prompt_version="1",
    )
    Votes().add(vote)


def test_what_was_measured_is_shown_with_who_judged_and_how_sure_it_is(cards) -> None:
    page = shipped("en")
    assert "Refine a prompt" in page and "on 56 prompts" in page
    assert "AugmentLM 0.5B Refine better: <strong>39</strong> <span>70 % (57–80)</span>" in page
    assert "judged blind by Ada &lt;b&gt;" in page
    assert "<td>75 % (50–90)</td><td>75 % (50–90)</td>" in page and "<td>75 % (50–90)</td><td>–</td>" in page
    assert "unheard_of" not in page


def test_a_judge_of_its_own_texts_is_named_as_such(cards, home) -> None:
    said = "The judge is one of the two"
    assert said not in shipped("en")
    given("right", judge="qwen2.5-coder-1.5b-instruct")
    given("left")
    assert voted("en", Votes()).count(said) == 1
    by_itself = {**REPORT["judged"][0], "kind": "model", "judge": "qwen2.5-coder-1.5b-instruct"}
    (cards / "a" / "eval.json").write_text(json.dumps({**REPORT, "judged": [by_itself]}))
    assert said in shipped("en")


def test_a_report_that_can_not_be_read_is_left_out(cards, capsys) -> None:
    (cards / "b").mkdir()
    (cards / "b" / "eval.json").write_text("{")
    assert shipped("zh").count("<section") == 1
    assert "JSONDecodeError" in capsys.readouterr().err
    shutil.rmtree(cards / "a")
    assert "No measurements come with this version." in shipped("en")


def test_every_evaluation_that_comes_along_is_shown() -> None:
    reports = list(catalog.cards_folder().glob("*/eval.json"))
    page = shipped("en")
    assert page.count("<section") == len(reports)
    assert page.index("Refine a prompt") < page.index("Expand an instruction") < page.index("Make a pair")


def test_votes_are_told_apart_by_judge(home) -> None:
    assert "There are no votes yet." in voted("en", Votes())
    for text in ("One.", "Two."):
        given("left", text=text)
    given("right", judge="qwen2.5-coder-1.5b-instruct")
    page = voted("en", Votes())
    assert page.index("votes: 2 · judged by people") < page.index("votes: 1 · judged by a model, Qwen2.5 Coder 1.5B")
    assert "Too few votes to say which is better." in page


def test_a_damaged_file_of_votes_leaves_the_rest_of_the_tab(home) -> None:
    (home / "votes.sqlite").write_text("notes " * 500)
    assert 'role="alert"' in voted("en", Votes()) and "the file is damaged" in voted("en", Votes())
    assert "the file is damaged" in taken(vote_rows, Votes(), "en")[1]


def test_votes_and_preference_pairs_are_taken_away(home) -> None:
    given("left")
    given("tie", text="Other.")
    text, said = taken(vote_rows, Votes(), "en")
    assert len(text.splitlines()) == 2 and said == ""
    [row] = map(json.loads, taken(preference_rows, Votes(), "en")[0].splitlines())
    assert (row["prompt"], row["chosen"], row["rejected"]) == ("=cmd()", "A text.", "Another.")


def test_nothing_to_take_away_is_said(home) -> None:
    given("tie")
    text, said = taken(preference_rows, Votes(), "en")
    assert text == "" and "There is nothing to take away" in said


def test_where_strangers_visit_each_sees_and_takes_only_the_own_votes(context, home) -> None:
    made = context(local=False)
    given("left", text="Somebody's secret.")  # of whoever owns this computer
    [vote] = Votes().all()
    made.votes("one").add(vote)
    with gr.Blocks(), gr.Tab("Results") as page:
        tab = _Results(made, page)
    ask = {name: gr.Request(session_hash=name) for name in ("one", "two")}
    assert tab._refresh(ask["one"], "en")[tab.taken]["visible"]
    assert "Somebody's secret." in tab._taker(vote_rows)(ask["one"], "en")[0]
    assert not tab._refresh(ask["two"], "en")[tab.taken]["visible"]
    assert "There are no votes yet." in tab._refresh(ask["two"], "en")[tab.voted]
    assert tab._taker(vote_rows)(ask["two"], "en")[0] == ""
    made.leave("one")
    assert made.votes("one").all() == []
