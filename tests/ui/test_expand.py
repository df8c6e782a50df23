"""The Expand tab, without a browser."""

from __future__ import annotations

import json
import threading

import pytest

from augmentlm import formats
from augmentlm.ui.expand import MOST, _count, _Expand, _file, _instructions, _upload
from scripted_page import USUAL, run_to_end

SEEDS = "Plan a trip to Kyoto\nName three primary colours"


@pytest.fixture
def expand(context):
    """Run the tab on instructions; gives the tab and all that was shown."""

    def run(text=SEEDS, each=2, *, blocks=False, script=None, flag=None, **ways):
        tab = _Expand(context(script, **ways))
        return tab, run_to_end(tab._work(flag or threading.Event(), "en", text, each, blocks, (), *USUAL))

    return run


def test_rows_stream_into_a_table_with_what_they_were_made_from(expand) -> None:
    tab, shown = expand(delay=0.05)
    tables = [step[tab.result].count("<tr") - 1 for step in shown if tab.result in step]
    assert tables[0] < tables[-1] == 4
    assert "Made from" in shown[-1][tab.result]
    assert shown[-1][tab.result].count("Plan a trip to Kyoto") == 2
    assert "4 usable, 0 marked" in shown[-1][tab.progress]
    assert shown[-1][tab.after]["visible"]


def test_one_instruction_needs_no_column_for_it(expand) -> None:
    tab, shown = expand("Plan a trip to Kyoto")
    assert "Made from" not in shown[-1][tab.result]


def test_near_copies_are_marked_with_the_reason_and_left_out_of_the_file(expand) -> None:
    tab, shown = expand("Plan a trip to Kyoto", 1, script=lambda request: "Plan a trip to Kyoto.")
    assert '<tr class="marked">' in shown[-1][tab.result]
    assert "Nearly the same as your instruction (100 % alike)" in shown[-1][tab.result]
    assert "0 usable, 1 marked" in shown[-1][tab.progress]
    assert _file(shown[-1][tab.made]) == ""
    assert "Nothing new came of it." in shown[-1][tab.notes]
    assert not shown[-1][tab.download]["visible"]


def test_the_file_reads_back_and_says_how_each_row_was_made(expand) -> None:
    tab, shown = expand()
    text = _file(shown[-1][tab.made])
    rows = [json.loads(line) for line in text.splitlines()]
    assert formats.read_instructions(text) == [row["instruction"] for row in rows]
    assert len(rows) == 4
    assert rows[0]["made_from"] == "Plan a trip to Kyoto"
    assert rows[0]["model"] == "augmentlm-1.5b-expand"
    assert set(rows[0]) >= {"engine", "quantization", "prompt_version", "seed"}


def test_stop_keeps_what_there_is(expand) -> None:
    flag = threading.Event()
    threading.Timer(0.6, flag.set).start()
    tab, shown = expand(each=20, delay=0.03, flag=flag)
    assert 0 < len(shown[-1][tab.made]) < 40
    assert "Stopped." in shown[-1][tab.notes]
    assert shown[-1][tab.result].count("<tr") > 1


def test_progress_says_how_many_and_how_long(expand) -> None:
    tab, shown = expand(each=20, delay=0.02)
    assert any("of 40 · about" in step[tab.progress] for step in shown)


def test_one_instruction_that_cannot_be_worked_on_does_not_hold_up_the_others(expand) -> None:
    tab, shown = expand(f"{'x' * 30_000}\nName three primary colours", 1)
    assert "Can&#x27;t be worked on: The text has 30,000 characters" in shown[-1][tab.result]
    assert "1 usable, 1 marked" in shown[-1][tab.progress]


@pytest.mark.parametrize(
    ("text", "each", "sentence"),
    [
        ("", 1, "There is no instruction to work on."),
        ("a\n" * (MOST + 1), 1, f"at most {MOST} at once"),
        ('{"instruction": "broken', 1, "breaks off in the middle"),
        ('{"text": "no column"}', 1, "Row 1 has no instruction."),
    ],
)
def test_input_that_cannot_be_worked_on_gets_a_sentence(expand, text, each, sentence) -> None:
    tab, shown = expand(text, each)
    assert sentence in shown[-1][tab.notes]
    assert tab.result not in shown[-1]
    assert not shown[-1][tab.after]["visible"]


def test_jsonl_and_blocks_carry_several_lines() -> None:
    assert _instructions('{"instruction": "a\\nb"}\n{"prompt": "c"}', blocks=False) == ["a\nb", "c"]
    assert _instructions("a\nb\n \nc\n\n\n", blocks=True) == ["a\nb", "c"]


def test_the_count_says_what_pressing_the_button_would_make() -> None:
    assert "2 × 3 = 6 new" in _count(SEEDS, False, 3, "en")
    assert _count("  ", False, 3, "en") == ""
    assert "breaks off" in _count('{"instruction": "', False, 3, "en")


@pytest.mark.parametrize(
    ("name", "content", "box"),
    [
        ("a.csv", "instruction,n\nPlan a trip,1\nName a bird,2\n", "Plan a trip\nName a bird"),
        ("a.jsonl", '{"instruction": "one\\ntwo"}\n', '{"instruction": "one\ntwo"}\n'),
        ("a.txt", "Plan a trip\r\nName a bird", "Plan a trip\nName a bird"),
        ("a.jsonl", '{"instruction": "[1]"}\n{"instruction": "{\\"a\\"}"}', None),
    ],
)
def test_an_uploaded_file_goes_into_the_box_and_means_the_same_there(tmp_path, name, content, box) -> None:
    path = tmp_path / name
    path.write_text(content)
    text, blocks, problem = _upload(str(path), "en")
    assert (blocks, problem) == (False, "")
    assert _instructions(text, blocks) == formats.read_instructions(path)
    if box:
        assert text == box.replace("one\ntwo", "one\\ntwo")


def test_a_file_that_is_too_long_or_broken_leaves_the_box_alone(tmp_path) -> None:
    path = tmp_path / "a.txt"
    for content, sentence in (("a\n" * 1000, "1,000 new instructions"), ("", "There is no data in it.")):
        path.write_text(content)
        text, _, problem = _upload(str(path), "en")
        assert "value" not in text
        assert sentence in problem
