"""Data that training code runs on in a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def tiny_data(tmp_path) -> Path:
    """Sixty short refinement, expansion and family rows."""
    data = tmp_path / "data"
    pairs = [{"instruction": f"Add {n} and {n}.", "response": str(2 * n)} for n in range(4)]
    rows = {
        "refine": [{"id": f"r-{n}", "raw": f"sum {n}", "refined": f"Add up the numbers to {n}."} for n in range(60)],
        "expand": [
            {"id": f"e-{n}/0", "instruction": f"Say {n}", "expansions": ["What is letter a?", "Name letter b, please."]}
            for n in range(60)
        ],
        "families": [{"id": f"f-{n}", "items": pairs} for n in range(20)],
    }
    for name, lines in rows.items():
        (data / name).mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (data / name / "all.jsonl").write_text(text, encoding="utf-8")
    return data


@pytest.fixture
def tiny_preferences(tmp_path) -> Path:
    """Thirty scored expand rows of two to four texts, whose good and bad ones are easily told apart."""
    folder = tmp_path / "preferences" / "scored" / "expand"
    folder.mkdir(parents=True)
    rows = [
        {
            "id": f"p-{n}/0",
            "lang": "en",
            "instruction": f"Say {n}",
            "texts": [
                {"text": f"zq {n} zq zq", "score": 2},
                {"text": f"Name {'abc'[n % 3]}, please.", "score": 9},
                {"text": f"Name {n % 3}.", "score": 8},
                {"text": f"Name letter {n % 3}.", "mended": True},
            ][: 2 + n % 3],
        }
        for n in range(30)
    ]
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path / "preferences"
