import copy
import json

import pytest

from augmentlm import catalog
from augmentlm.distill.card import BEGIN, END, table, what_is_stale, write_card
from augmentlm.distill.samples import System
from augmentlm.errors import InputError

NAME, OTHER = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"


def share(value, low, high):
    return {"share": value, "low": low, "high": high, "passed": 0, "rows": 0, "prompts": 0}


def system(name, valid):
    return {
        "weights": System(name).weights(),
        "engine": "batch",
        "quantization": "int8",
        "rates": {"valid": share(valid, valid - 0.05, valid + 0.01)},
        "distinct_samples": {"of": 8, "mean": 7.5, "at_least": 7, "rate": share(0.9, 0.8, 0.95)},
        "length": {"en": {"texts": 4, "mean": 31.5, "median": 30}},
        "distinct_1": 0.5,
        "distinct_2": 0.75,
        "self_bleu": 0.123,
        "spread": None,
    }


REPORT = {
    "task": "expand",
    "date": "2026-11-24",
    "prompts": {"source": "the held-out families", "count": 96, "sha256": "0" * 16},
    "samples": 8,
    "sampling": {"temperature": 0.7, "top_p": 0.95, "top_k": 50, "max_tokens": 1024},
    "left_out": "",
    "systems": {NAME: system(NAME, 0.98), OTHER: system(OTHER, 0.5)},
    "judged": [
        {
            "judge": "Ada | a reader",
            "kind": "reader",
            "left": NAME,
            "right": OTHER,
            "prompts": 56,
            "wins": 39,
            "ties": 3,
            "losses": 14,
            "decided": {"share": 0.7358, "low": 0.604, "high": 0.836},
        },
        {"judge": OTHER, "kind": "model", "answers": {NAME: share(0.8, 0.7, 0.9), OTHER: None}},
    ],
}
TEXT = f"# A model\n\nWords before.\n\n{BEGIN}\nold numbers\n{END}\n\nWords after, with \\1.\n"


@pytest.fixture
def card(tmp_path):
    path = tmp_path / NAME / "README.md"
    path.parent.mkdir()
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_the_table_stands_between_the_marks_and_the_rest_is_left(card):
    write_card(card, REPORT)
    text = card.read_text(encoding="utf-8")
    assert text.startswith(f"# A model\n\nWords before.\n\n{BEGIN}\nMeasured on 2026-11-24 on 96 prompts")
    assert text.endswith(f"|\n{END}\n\nWords after, with \\1.\n") and "old numbers" not in text
    assert json.loads(card.with_name("eval.json").read_text(encoding="utf-8")) == REPORT


def test_a_row_is_a_measure_and_a_column_a_system():
    lines = table(REPORT).splitlines()
    assert f"|  | {catalog.model(NAME).title} | {catalog.model(OTHER).title} |" in lines
    assert "| whole and in the right form | 98.0 % (93–99) | 50.0 % (45–51) |" in lines
    assert "| at least 7 of 8 different | 90.0 % (80–95) | 90.0 % (80–95) |" in lines
    assert "| words, median | 30 | 30 |" in lines
    assert "| self-BLEU | 0.12 | 0.12 |" in lines
    assert "| engine | batch, int8 | batch, int8 |" in lines
    assert not any("spread" in line or "Chinese" in line for line in lines)  # nobody has a number


def test_the_table_says_who_judged_and_how():
    lines = table(REPORT).splitlines()
    assert r"| preferred by Ada \| a reader (blind) |  | 39 / 3 / 14: 73.6 % (60–84) of decided |" in lines
    assert f"| response answers its instruction, says {catalog.model(OTHER).title} | 80.0 % (70–90) | – |" in lines


def test_what_was_left_out_is_said():
    assert table({**REPORT, "left_out": "Sentence embeddings need torch."}).endswith(
        "Left out: Sentence embeddings need torch."
    )


def test_writing_again_changes_nothing(card):
    write_card(card, REPORT)
    once = card.read_bytes()
    write_card(card, REPORT)
    assert card.read_bytes() == once


def test_a_card_is_fresh_until_somebody_types_a_number(card):
    write_card(card, REPORT)
    assert what_is_stale(card) is None
    card.write_text(card.read_text(encoding="utf-8").replace("98.0 %", "99.0 %"), encoding="utf-8")
    assert "are not those of its eval.json" in what_is_stale(card)


def test_a_card_is_stale_when_the_weights_are_others(card):
    report = copy.deepcopy(REPORT)
    report["systems"][NAME]["weights"] = {"adapter": "sha256:before"}
    write_card(card, report)
    assert "other weights" in what_is_stale(card)


@pytest.mark.parametrize("content", [None, "{", "{}", "[]"])
def test_a_card_without_a_report_is_stale(card, content):
    if content is not None:
        card.with_name("eval.json").write_text(content, encoding="utf-8")
    assert "no eval.json" in what_is_stale(card)


def test_a_card_without_marks_is_said(card):
    card.write_text("# A model\n", encoding="utf-8")
    with pytest.raises(InputError, match="no place for the numbers"):
        write_card(card, REPORT)
    assert "has no numbers" in what_is_stale(card)
    assert not card.with_name("eval.json").exists()
