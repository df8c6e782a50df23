"""The Pairs tab, without a browser."""

from __future__ import annotations

import itertools
import json
import threading

import pytest

from augmentlm import formats
from augmentlm.tasks import MIN_PAIRS, Pair
from augmentlm.ui.pairs import EXAMPLES, MOST_EXAMPLES, _added, _file, _Pairs, _paste
from augmentlm.ui.rows import pairs, row, rows
from scripted_page import USUAL, run_to_end

GIVEN = [Pair("Name a colour.", "Red."), Pair("Name a bird.", "Wren.")]


@pytest.fixture
def grow(context):
    """Run the tab on examples; gives the tab, all that was shown and the new rows."""

    def run(given=None, n=3, *, script=None, flag=None, **ways):
        tab = _Pairs(context(script, **ways))
        examples = rows(GIVEN) if given is None else given
        shown = run_to_end(tab._work(flag or threading.Event(), "en", examples, n, (), *USUAL))
        return tab, shown, next((step[tab.result] for step in reversed(shown) if tab.result in step), [])

    return run


def test_new_pairs_stream_in(grow) -> None:
    tab, shown, new = grow(delay=0.1)
    counts = [len(step[tab.result]) for step in shown if tab.result in step]
    assert len(new) == 3
    assert all(one["response"] == "Gladly." and one["keep"] and not one["note"] for one in new)
    assert len(counts) >= 2
    assert "done in" in shown[-1][tab.notes]


def test_a_near_copy_is_marked_and_left_out_until_somebody_wants_it(grow) -> None:
    text = "### Instruction\n\nName a bird!\n\n### Response\n\nRobin."
    _, _, [one] = grow(n=1, script=lambda request: text)
    assert one["note"] == "Nearly the same as example 2 (100 % alike)"
    assert not one["keep"]
    assert _file([one], "en")[0] == ""
    assert pairs([json.loads(_file([{**one, "keep": True}], "en")[0])]) == [Pair("Name a bird!", "Robin.")]


def test_what_is_not_a_pair_is_counted_and_shown_as_text(grow) -> None:
    tab, shown, new = grow(n=2, script=lambda request: "<b>no</b> pair")
    assert new == []
    assert "2 could not be read as a pair" in shown[-1][tab.notes]
    assert "&lt;b&gt;no&lt;/b&gt; pair" in shown[-1][tab.notes]
    assert "there is no &#x27;### Instruction&#x27; line at the start" in shown[-1][tab.notes]


def test_markup_formulas_and_headings_in_cells_are_carried_as_they_are(grow) -> None:
    odd = Pair("=SUM(A1)\n### Response\n<b>x</b>", '<script>alert("1")</script>\n### Instruction\n{{value}}')
    seen = []

    def script(request) -> str:
        seen.append(request.messages[-1].content)
        return r"""### Instruction

@cmd \### is no heading
\### Response

### Response

=1+1 <img src=x>"""

    _, _, [one] = grow(rows([odd, GIVEN[0]]), 1, script=script)
    assert "\\### Response\n<b>x</b>" in seen[0]
    assert (one["instruction"], one["response"]) == ("@cmd \\### is no heading\n### Response", "=1+1 <img src=x>")
    text, _ = _file([one], "en")
    assert formats.read_pairs(text) == [Pair(one["instruction"], one["response"])]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "At least 2 example pairs are needed, 0 given."),
        (rows([GIVEN[0], Pair(" ", "")]), "At least 2 example pairs are needed, 1 given."),
        (rows([GIVEN[0], Pair("Name a bird.", " ")]), "Example 2 has no response."),
        ("not rows at all", "At least 2 example pairs are needed"),
        ([{"id": 1}, {"instruction": 5, "response": None}], "At least 2 example pairs are needed"),
    ],
)
def test_examples_that_are_too_few_or_unfinished_get_a_sentence(grow, given, sentence) -> None:
    tab, shown, new = grow(given)
    assert new == []
    assert sentence in shown[-1][tab.notes]


def test_stop_keeps_what_there_is(grow) -> None:
    flag = threading.Event()
    threading.Timer(0.8, flag.set).start()
    tab, shown, new = grow(n=30, delay=0.03, flag=flag)
    assert 0 < len(new) < 30
    assert "Stopped." in shown[-1][tab.notes]


def test_the_file_holds_the_rows_as_they_were_edited(grow) -> None:
    _, _, new = grow()
    new[0] |= {"instruction": "Edited by hand."}
    new[1] |= {"keep": False}
    new[2] |= {"response": "  "}
    lines = [json.loads(line) for line in _file(new, "en")[0].splitlines()]
    assert [line["instruction"] for line in lines] == ["Edited by hand.", new[2]["instruction"]]
    assert lines[0]["model"] == "augmentlm-1.5b-pair"


def test_nothing_to_download_is_said() -> None:
    text, note = _file([], "en")
    assert text == ""
    assert "tick at least one" in note


def test_pasted_rows_come_after_those_that_are_there() -> None:
    given = rows([GIVEN[0], Pair("", "")])
    examples, problem, box = _paste('{"prompt": "p", "completion": "c"}', given, "en")
    assert pairs(examples) == [GIVEN[0], Pair("p", "c")]
    assert examples[0]["id"] == given[0]["id"]
    assert (problem, box) == ("", "")


def test_pasted_rows_that_cannot_be_read_stay_in_the_box() -> None:
    examples, problem, box = _paste('{"prompt": "p"}', rows(GIVEN), "en")
    assert "Row 1 has no completion." in problem
    assert "value" not in examples
    assert "value" not in box


def test_an_uploaded_csv_is_added(tmp_path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text('question,answer\n"What, exactly?",=1+1\n')
    examples, problem = _added(path, [], "en")
    assert pairs(examples) == [Pair("What, exactly?", "=1+1")]
    assert problem == ""


def test_too_many_examples_get_a_sentence() -> None:
    lines = '{"prompt": "p", "completion": "c"}\n' * MOST_EXAMPLES
    _, problem = _added(lines, rows(GIVEN), "en")
    assert f"at most {MOST_EXAMPLES} at once" in problem


def test_rows_have_names_of_their_own() -> None:
    given = [row(GIVEN[0]) for _ in range(100)]
    assert len({one["id"] for one in given}) == 100


def test_the_examples_to_click_are_enough_and_can_be_worked_on(grow) -> None:
    for key, given in EXAMPLES.items():
        assert len(given) >= MIN_PAIRS, key
    numbers = itertools.count()
    says = f"### Instruction\n\n新问题{next(numbers)}\n\n### Response\n\n好"
    _, _, new = grow(rows(EXAMPLES["pairs.example_3"]), 1, script=lambda request: says)
    assert [one["note"] for one in new] == [""]
