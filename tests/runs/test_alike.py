"""Likeness by meaning: the nearest of all texts so far, each embedded once."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from augmentlm.runs import alike
from augmentlm.runs.alike import Alike
from scripted_run import letters


class Counting:
    """Knows which texts it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.seen += texts
        return letters(texts)


def test_the_nearest_text_above_the_limit_is_named() -> None:
    known = Alike(0.95, letters)
    assert known.find("a boat") is None
    known.add("a boat", "seed 1")
    known.add("two hens", "seed 2")
    score, name = known.find("boat a boat")
    assert name == "seed 1"
    assert 0.95 < score < 1.001
    assert known.find("quiz") is None


@pytest.mark.parametrize("first_rows", [1, 4, 256])
def test_the_match_is_that_of_comparing_with_every_text_however_many_came(monkeypatch, first_rows) -> None:
    monkeypatch.setattr(alike, "_FIRST_ROWS", first_rows)
    dice = random.Random(5)
    known, rows, found = Alike(0.9, letters), [], 0
    for number in range(300):
        text = "".join(dice.choices("abcdefgh", k=12))
        match = known.find(text)
        scores = letters(rows) @ letters([text])[0] if rows else np.zeros(1)
        assert (match is not None) == (scores.max() > 0.9)
        if match:
            found += 1
            assert match[0] == pytest.approx(scores.max(), abs=1e-6)
            assert scores[int(match[1])] == pytest.approx(scores.max(), abs=1e-6)
        if number % 3:  # some are found to be new and added, some added unseen, some neither
            rows.append(text)
            known.add(text, str(len(rows) - 1))
        if number % 7 == 0:
            rows.append(text[::-1] + "x")
            known.add(rows[-1], str(len(rows) - 1))
    assert 20 < found < 280


def test_a_text_is_embedded_once_whether_it_was_looked_up_before_or_not() -> None:
    embed = Counting()
    known = Alike(0.99, embed)
    known.add("a boat", "seed 1")
    for text in ("two hens", "a quiz", "red kettle"):
        assert known.find(text) is None
        known.add(text, text)
    assert known.find("kettle red")[1] == "red kettle"
    assert embed.seen == ["a boat", "two hens", "a quiz", "red kettle", "kettle red"]


def test_many_texts_move_what_is_there_only_now_and_then(monkeypatch) -> None:
    known = Alike(0.99, letters)
    arrays = set()
    for number in range(3000):
        text = f"{number:b}".replace("0", "o").replace("1", "l")
        known.find(text)
        known.add(text, str(number))
        arrays.add(id(known._rows) if known._rows is not None else 0)
    assert len(arrays) < 10
