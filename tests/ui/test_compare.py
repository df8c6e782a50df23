"""The Compare tab, without a browser."""

from __future__ import annotations

import json
import sqlite3
import threading
import time

import pytest

from augmentlm import catalog
from augmentlm.arena.duel import Duel
from augmentlm.arena.votes import Votes
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import EngineError
from augmentlm.ui.answers import answers_to
from augmentlm.ui.compare import CHOICES, _Compare, _keep, _next_prompt
from augmentlm.ui.context import Context
from scripted_duel import LONG, TwoPool, breaks, says
from scripted_page import run_to_end

USUAL = {
    "view": "plain",
    "task": "refine",
    "prompt": "write about Maria and 3 dogs",
    "left": "embedded",
    "left_form": "",
    "right": "reference",
    "right_form": "",
    "blind": True,
    "longest": 1024,
    "endpoint": None,
    "endpoint_model": None,
    "api_key": None,
    "price_in": None,
    "price_out": None,
}
NAMES = [name for entry in catalog.models().values() for name in (entry.name, entry.title)]


@pytest.fixture
def compare(context, tmp_path, monkeypatch):
    """Run the tab on two engines; gives the tab, all that was shown, and the duel."""
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))

    def run(small="Write about Maria and 3 dogs.", large="Describe dogs.", *, local=True, flag=None, **values):
        made: Context = context(local=local)
        engines = {
            name: says(text, 0.01) if isinstance(text, str) else text
            for name, text in (("small", small), ("large", large))
        }
        made.pool = TwoPool(**engines)
        tab = _Compare(made)
        shown = run_to_end(tab._work(flag or threading.Event(), "en", *{**USUAL, **values}.values()))
        duel = next((step[tab.duel] for step in shown if tab.duel in step), None)
        return tab, shown, duel

    return run


def said(tab, shown) -> str:
    """Everything that a page was given, in the order in which it came."""
    return "\n".join(str(value) for step in shown for box, value in step.items() if box is not tab.duel)


def test_both_texts_grow_and_end_in_full(compare) -> None:
    tab, shown, _ = compare()
    growing = [step for step in shown if 'aria-busy="true"' in str(step.get(tab.texts[0]))]
    assert growing
    ends = [shown[-1][box] for box in tab.texts]
    assert sorted(ends) == [
        '<div class="alm-text">Describe dogs.</div>',
        '<div class="alm-text">Write about Maria and 3 dogs.</div>',
    ]
    assert shown[-1][tab.votes]["visible"]


def test_nothing_that_the_page_gets_before_the_vote_tells_who_wrote_what(compare) -> None:
    tab, shown, _ = compare()
    everything = said(tab, shown)
    assert not [name for name in [*NAMES, "left", "right", "tokens", "first word", " s ", "GB"] if name in everything]


def test_the_vote_is_kept_and_tells_who_was_who(compare) -> None:
    tab, _, duel = compare()
    place = "a" if duel.sides["a"] is duel.left else "b"
    shown = tab._vote(place, duel, "en")
    [vote] = Votes().all()
    assert (vote.winner, vote.left.text, vote.prompt) == ("left", "Write about Maria and 3 dogs.", USUAL["prompt"])
    verdict = shown[tab.verdict]
    assert "You preferred AugmentLM 0.5B Refine." in verdict
    head = verdict.partition("<thead>")[2]
    assert (head.index("AugmentLM 0.5B Refine") < head.index("Qwen2.5 Coder")) == (place == "a")
    for row in ("Precision", "On the disk", "In memory", "First word after", "Tokens per second", "In all"):
        assert row in verdict
    assert "<td>Maria, 3</td>" in verdict or "<td>3, Maria</td>" in verdict  # what the other one lost
    assert "AugmentLM 0.5B Refine better: <strong>1</strong>" in shown[tab.standing]
    assert "Too few votes to say which is better." in shown[tab.standing] and "judged by people" in shown[tab.standing]
    assert not shown[tab.votes]["visible"] and shown[tab.after]["visible"]


def test_where_strangers_visit_a_vote_is_written_nowhere(compare, tmp_path) -> None:
    tab, _, duel = compare()
    tab.context.local = False
    assert "You preferred" in tab._vote("a", duel, "en", "one")[tab.verdict]
    shown = tab._vote("a", duel, "en", "one")[tab.standing]
    assert "votes: 1" in shown and "forgotten when you close this page" in shown
    assert len(tab.context.votes("one").all()) == 1 and not list(tmp_path.iterdir())


def test_a_second_click_is_no_second_vote(compare) -> None:
    tab, _, duel = compare()
    first = tab._vote("tie", duel, "en")
    second = tab._vote("a", duel, "en")
    assert [vote.winner for vote in Votes().all()] == ["tie"]
    assert "You found both equally good." in first[tab.verdict] and first[tab.verdict] == second[tab.verdict]


def test_the_standing_moves_from_where_it_was(compare) -> None:
    for choice, width in (("tie", "--from:100.00%;--to:100.00%"), ("both_bad", "--from:100.00%;--to:100.00%")):
        tab, _, duel = compare()
        assert width in tab._vote(choice, duel, "en")[tab.standing]
    tab, _, duel = compare()
    moved = tab._vote("a", duel, "en")[tab.standing]
    assert "--from:100.00%;--to:66.67%" in moved and "--from:0.00%;--to:33.33%" in moved
    assert "Of the equal ones, 1 were both bad." in moved


def test_a_vote_that_can_not_be_kept_tells_nothing_and_can_be_given_again(compare, monkeypatch) -> None:
    tab, _, duel = compare()
    connect = sqlite3.connect
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda where, **more: connect(where.replace("=rwc", "=ro"), **more))
        shown = tab._vote("a", duel, "en")
    assert "can&#x27;t be written" in shown[tab.verdict] and tab.votes not in shown and tab.standing not in shown
    assert not [name for name in NAMES if name in str(shown)]
    assert "You preferred" in tab._vote("a", duel, "en")[tab.verdict] and len(Votes().all()) == 1


def test_a_damaged_file_of_votes_stays_as_it_is(compare, tmp_path) -> None:
    tab, _, duel = compare()
    (tmp_path / "votes.sqlite").write_text("notes " * 500)
    assert "the file is damaged" in tab._vote("a", duel, "en")[tab.verdict]
    (tmp_path / "votes.sqlite").unlink()
    assert "You preferred" in tab._vote("a", duel, "en")[tab.verdict]


@pytest.mark.parametrize("large", [EngineError("There is no memory.", hint="Close something."), breaks(3)])
def test_when_a_model_fails_the_other_goes_on_and_no_vote_is_taken(compare, large) -> None:
    tab, shown, duel = compare(large=large)
    ends = "".join(shown[-1][box] for box in tab.texts)
    assert 'role="alert"' in ends and "Write about Maria and 3 dogs." in ends
    assert "no vote is taken" in shown[-1][tab.notes] and not shown[-1][tab.votes]["visible"]
    assert "One of the models failed" in tab._vote("a", duel, "en")[tab.verdict]
    assert Votes().all() == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"prompt": " "}, "There is no text to work on."),
        ({"prompt": None}, "There is no text to work on."),
        ({"left": "reference"}, "Both sides are the same model."),
        ({"left": ""}, "One side has no model."),
        ({"left": None}, "One side has no model."),
        ({"right": "server"}, "The server has no address."),
        ({"right": "server", "endpoint": "http://127.0.0.1:9/v1"}, "A server needs the name of a model."),
        ({"right": "qwen2-7b-instruct-exp"}, "can&#x27;t do refine"),
        ({"task": "pair", "prompt": "hello"}, "column"),
        ({"task": "pair", "prompt": ""}, "Pairs are needed"),
        ({"right": "server", "endpoint": "http://127.0.0.1:9/v1", "price_in": "cheap"}, "“cheap” is not a price."),
    ],
)
def test_what_can_not_be_compared_gets_a_sentence(compare, values, sentence) -> None:
    tab, shown, duel = compare(**values)
    assert sentence in shown[-1][tab.notes] and 'role="alert"' in shown[-1][tab.notes]
    assert duel is None and len(shown) == 1


def test_a_server_that_is_down_is_a_sentence_on_its_side(compare, monkeypatch) -> None:
    monkeypatch.setattr("augmentlm.engines.endpoint.FIRST_WAIT", 0.01)
    tab, shown, _ = compare(right="server", endpoint="http://127.0.0.1:9/v1", endpoint_model="qwen-max")
    ends = "".join(shown[-1][box] for box in tab.texts)
    assert 'role="alert"' in ends and "Write about Maria and 3 dogs." in ends


@pytest.mark.parametrize("task", ["refine", "expand", "pair"])
def test_the_two_that_stand_there_can_be_compared_by_strangers_before_anything_is_downloaded(compare, task) -> None:
    tab, shown, duel = compare(local=False, task=task, prompt=_next_prompt(task, None)[0], blind=False)
    assert duel is not None and "not downloaded" not in said(tab, shown)


def test_strangers_can_not_send_requests_elsewhere(compare, monkeypatch) -> None:
    monkeypatch.setattr("augmentlm.ui.options.is_cached", lambda artifact: True)
    tab, shown, _ = compare(local=False, right="server", endpoint="http://127.0.0.1:9/v1", endpoint_model="x")
    assert "Other servers can&#x27;t be used from here." in shown[-1][tab.notes]


def test_stop_keeps_what_is_there_to_be_voted_on(compare) -> None:
    flag, written = threading.Event(), {"small": 0, "large": 0}

    class Counted(ScriptedEngine):
        """Presses Stop once both have written some words."""

        def stream(self, request, stop):
            side = "small" if request.adapter else "large"
            for piece in super().stream(request, stop):
                written[side] += 1
                if min(written.values()) == 40:
                    flag.set()
                yield piece

    tab, shown, duel = compare(*[Counted(lambda request: LONG, delay=0.01) for _ in written], flag=flag)
    assert "Stopped." in shown[-1][tab.notes] and shown[-1][tab.votes]["visible"]
    tab._vote("tie", duel, "en")
    [vote] = Votes().all()
    assert not vote.whole and vote.left.text == vote.right.text == duel.shown()[0]


def test_a_vote_that_is_still_being_kept_is_no_stop(compare, monkeypatch) -> None:
    start, add = Duel.start, Votes.add

    def vote(duel: Duel) -> None:
        while not all(duel.shown()):
            time.sleep(0.01)
        with duel.voting:
            _keep(duel, "tie", Votes())

    def start_and_vote(duel: Duel, stop: threading.Event) -> None:
        start(duel, stop)
        threading.Thread(target=vote, args=(duel,)).start()

    monkeypatch.setattr(Duel, "start", start_and_vote)
    monkeypatch.setattr(Votes, "add", lambda votes, given: (time.sleep(0.5), add(votes, given)))
    tab, shown, duel = compare(LONG, LONG)
    assert duel.vote is not None and "Stopped." not in shown[-1][tab.notes] and tab.votes not in shown[-1]


def test_markup_is_shown_as_text(compare) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    tab, shown, duel = compare(nasty, nasty, prompt=nasty)
    assert "<img" not in said(tab, shown)
    assert "<img" not in str(tab._vote("a", duel, "en"))


def test_changes_are_marked_on_request(compare) -> None:
    tab, _, duel = compare()
    assert not any("<ins>" in text for text in tab._look(duel, "plain", "en").values())
    assert all("<ins>" in text for text in tab._look(duel, "added", "en").values())
    assert any("<del>" in text for text in tab._look(duel, "all", "en").values())


@pytest.mark.parametrize("view", ["plain", "added", "all"])
def test_the_next_duel_is_shown_as_the_visitor_chose_to_see_the_one_before(compare, view) -> None:
    tab, shown, duel = compare(view=view)
    assert {box: shown[-1][box] for box in tab.texts} == tab._look(duel, view, "en")


def test_a_text_that_is_looked_at_again_stays_in_the_visitors_language(compare) -> None:
    tab, _, duel = compare(small="")
    assert any("这个模型什么也没写" in text for text in tab._look(duel, "all", "zh").values())


def test_the_answers_are_to_the_raw_prompt_and_to_both_refined_ones_by_the_larger_model(compare) -> None:
    tab, _, duel = compare()
    answers = answers_to(duel, tab.context)
    assert [answer.prompt for answer in answers.answers] == [USUAL["prompt"], *duel.shown()]
    assert answers.by.model == "qwen2.5-coder-1.5b-instruct"
    answers.start(threading.Event())
    assert all(answer.over.wait(5) for answer in answers.answers)
    assert {answer.text for answer in answers.answers} == {"Describe dogs."}


def test_the_price_of_a_server_is_shown_after_the_vote(compare) -> None:
    tab, _, duel = compare()
    object.__setattr__(duel.right.contender, "price", (2.0, 6.0))
    result = duel.right.result
    expected = f"{(result.prompt_tokens * 2 + result.completion_tokens * 6) / 1000:.2f}"
    assert f"<td>{expected}</td>" in tab._vote("a", duel, "en")[tab.verdict]


@pytest.mark.parametrize("task", ["refine", "expand", "pair"])
def test_built_in_prompts_come_one_after_the_other_and_can_be_worked_on(compare, task) -> None:
    text, place = _next_prompt(task, None)
    seen = {text}
    for _ in range(40):
        text, place = _next_prompt(task, place)
        seen.add(text)
    assert len(seen) >= 6
    tab, shown, duel = compare("x", "y", task=task, prompt=text, blind=False)
    assert duel is not None and shown[-1][tab.votes]["visible"]


def test_every_choice_is_a_vote(compare) -> None:
    for choice in CHOICES:
        tab, _, duel = compare("x", "y")
        tab._vote(choice, duel, "zh")
    kept = [json.loads(json.dumps(vote.as_json())) for vote in Votes().all()]
    assert len(kept) == 4 and {vote["winner"] for vote in kept} >= {"tie", "both_bad"}
