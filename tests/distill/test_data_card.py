"""The numbers in the card of the teaching data are those of the data."""

from collections import Counter
from pathlib import Path

import pytest

from augmentlm.distill.sets import read_rows

DATA = Path(__file__).parents[2] / "data"
CARD = (DATA / "README.md").read_text(encoding="utf-8")


def cells(first: str, columns: int) -> list[list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in CARD.splitlines() if line[:1] == "|"]
    return [line for line in lines if line[0] == first and len(line) == columns]


@pytest.mark.parametrize(
    "name",
    [
        "refine",
        "expand",
        "families",
        "siblings",
        "pair",
        "corrected/refine",
        "corrected/expand",
        "corrected/pair",
        "corrected-again/refine",
        "corrected-again/expand",
        "corrected-again/pair",
        "corrected-later/expand",
        "corrected-later/pair",
        "scored/expand",
        "scored/pair",
    ],
)
def test_the_card_counts_what_is_there(name: str) -> None:
    rows = list(read_rows(DATA / name))
    languages = Counter(row["lang"] for row in rows)
    ((_, total, english, chinese, _, fields),) = cells(f"`{name}/`", 6)
    assert [total, english, chinese] == [f"{n:,}" for n in (len(rows), languages["en"], languages["zh"])]
    assert {fields} == {", ".join(f"`{key}`" for key in row) for row in rows}  # the hub reads a set as one table
    ((_, train, dev),) = cells(f"`{name}/`", 3)
    counts = [sum(1 for _ in read_rows(DATA / name, split)) for split in ("train", "dev")]
    assert [train, dev] == [f"{n:,}" for n in counts]


def test_the_card_counts_the_categories() -> None:
    main = {row["category"] for row in read_rows(DATA / "families")}
    assert f"{len(main)} categories" in CARD
    others = {row["category"] for row in read_rows(DATA / "refine")} - main
    assert f"has {len(others)} smaller" in CARD.replace("\n", " ")


def test_already_good_prompts_are_as_many_as_the_card_says() -> None:
    rows = list(read_rows(DATA / "refine"))
    alike = sum(row["raw"].split()[:6] == row["refined"].split()[:6] and len(row["raw"]) > 60 for row in rows)
    assert 1 / 30 < alike / len(rows) < 1 / 8


@pytest.mark.parametrize("task", ["expand", "pair"])
def test_the_scored_texts_of_all_files_load_as_one_table(task: str, tmp_path: Path) -> None:
    """As the hub and `datasets` read them: columns of the first file, by name, decide for the others."""
    load = pytest.importorskip("datasets").load_dataset
    files = sorted(map(str, (DATA / "scored" / task).glob("*.jsonl")))
    found = load("json", data_files=files, split="train", cache_dir=str(tmp_path))
    assert found.num_rows == len(list(read_rows(DATA / "scored" / task)))
