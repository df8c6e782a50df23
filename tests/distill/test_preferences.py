import json
from pathlib import Path

import pytest

from augmentlm.distill.preferences import preferences
from augmentlm.distill.sets import Place, split_of
from augmentlm.errors import InputError
from augmentlm.tasks import Pair, format_pair, format_pairs

DATA = Path(__file__).parents[2] / "data"
TRAINED, HELD_OUT = (next(f"a-{n}" for n in range(99) if split_of(f"a-{n}") == split) for split in ("train", "dev"))
PAIRS = [{"instruction": f"Double {n}.", "response": str(2 * n)} for n in range(4)]
WRONG = {"instruction": "Double 3.", "response": "9"}


def put(folder: Path, *rows: dict) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mine.jsonl"
    file.write_text("".join(json.dumps({"id": TRAINED, **row}) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize("task", ["expand", "refine"])
def test_a_given_preference_has_the_preferred_text_first(tmp_path, task):
    name = {"expand": "instruction", "refine": "raw"}[task]
    file = put(
        tmp_path / "preferred" / task,
        {name: "a", "preferred": "good", "rejected": "bad"},
        {"id": f"{HELD_OUT}/3/2", name: "a", "preferred": "held", "rejected": "out"},
        {"id": f"{TRAINED}/3/2", name: "b", "preferred": "fine", "rejected": "poor"},
        {name: "c", "preferred": "same", "rejected": "same"},
    )
    put(tmp_path / task, {name: "never read", "student": "x", "refined": "y", "expansions": ["y"]})
    first, second = preferences(task, tmp_path, "train")
    assert (first.prompt, first.completions, first.rows) == ("a", ("good", "bad"), (Place(file, 1),))
    assert (second.id, second.completions, second.rows) == (f"{TRAINED}/3/2", ("fine", "poor"), (Place(file, 3),))
    assert [example.prompt for example in preferences(task, tmp_path, "dev")] == ["a"]


def test_a_given_preference_of_pairs_is_in_the_form_that_a_model_writes(tmp_path):
    row = {"examples": PAIRS[:2], "preferred": PAIRS[3], "rejected": WRONG}
    put(tmp_path / "preferred" / "pair", row)
    (example,) = preferences("pair", tmp_path, "train")
    assert example.prompt == format_pairs([Pair(**each) for each in PAIRS[:2]])
    assert example.completions == (format_pair(Pair(**PAIRS[3])), format_pair(Pair(**WRONG)))


def test_a_correction_is_preferred_to_what_the_student_wrote(tmp_path):
    put(tmp_path / "expand", {"instruction": "a", "student": "odd", "expansions": ["right", "one more"]})
    put(tmp_path / "refine", {"raw": "a", "student": "odd", "refined": "right"})
    put(tmp_path / "pair", {"examples": PAIRS[:2], "student": WRONG, "pairs": [PAIRS[3]]})
    for task in ("expand", "refine"):
        (example,) = preferences(task, tmp_path, "train")
        assert (example.prompt, example.completions) == ("a", ("right", "odd"))
    (example,) = preferences("pair", tmp_path, "train")
    assert example.completions == (format_pair(Pair(**PAIRS[3])), format_pair(Pair(**WRONG)))


def test_rows_that_prefer_nothing_are_left_out(tmp_path):
    text = {"instruction": "a", "expansions": ["right"]}
    put(tmp_path / "expand", text, *({**text, "student": each} for each in (None, "", " ", "right", "odd")))
    assert [example.completions for example in preferences("expand", tmp_path, "train")] == [("right", "odd")]
    pair = {"examples": PAIRS[:2], "pairs": [PAIRS[3]]}
    empty = {"instruction": "", "response": ""}
    students = (None, empty, {**WRONG, "response": " "}, PAIRS[3], {}, WRONG)
    put(tmp_path / "pair", pair, *({**pair, "student": each} for each in students))
    (example,) = preferences("pair", tmp_path, "train")
    assert example.rows[0].line == 7


@pytest.mark.parametrize(
    ("task", "folder", "row", "field"),
    [
        ("expand", "preferred/expand", {"preferred": "a", "rejected": "b"}, "instruction"),
        ("expand", "preferred/expand", {"instruction": "a", "rejected": "b"}, "preferred"),
        ("refine", "preferred/refine", {"raw": "a", "preferred": "b", "rejected": ""}, "rejected"),
        ("refine", "preferred/refine", {"raw": "a", "preferred": "b", "rejected": ["c"]}, "rejected"),
        ("pair", "preferred/pair", {"preferred": WRONG, "rejected": PAIRS[3]}, "examples"),
        ("pair", "preferred/pair", {"examples": PAIRS[:2], "preferred": "a", "rejected": WRONG}, "preferred"),
        (
            "pair",
            "preferred/pair",
            {"examples": PAIRS[:2], "preferred": WRONG, "rejected": {"instruction": "a"}},
            "rejected",
        ),
        ("expand", "expand", {"instruction": "a", "student": "b", "expansions": []}, "expansions"),
        ("expand", "expand", {"instruction": "a", "student": 3, "expansions": ["b"]}, "student"),
        ("refine", "refine", {"raw": "a", "student": "b"}, "refined"),
        ("pair", "pair", {"examples": PAIRS[:2], "student": "b", "pairs": PAIRS[:1]}, "student"),
        ("pair", "pair", {"examples": PAIRS[:2], "student": WRONG}, "pairs"),
    ],
)
def test_a_row_that_lacks_something_is_named_with_the_field(tmp_path, task, folder, row, field):
    put(tmp_path / folder, row)
    with pytest.raises(InputError, match=f"{TRAINED} .*'{field}'"):
        preferences(task, tmp_path, "train")


@pytest.mark.parametrize("task", ["expand", "refine", "pair"])
def test_data_that_prefers_nothing_is_named(tmp_path, task):
    with pytest.raises(InputError, match=f"no {task} preference") as raised:
        preferences(task, tmp_path, "train")
    assert str(tmp_path / "preferred" / task) in raised.value.hint
    if task != "pair":  # texts alone, and no student's beside them
        with pytest.raises(InputError, match=f"no {task} preference"):
            preferences(task, DATA, "train")


@pytest.mark.parametrize(
    ("folder", "task", "least"),
    [
        ("corrected", "refine", 700),
        ("corrected", "expand", 650),
        ("corrected", "pair", 250),
        ("corrected-later", "expand", 480),
        ("corrected-later", "pair", 400),
    ],
)
def test_the_corrected_sets_are_preferences(folder, task, least):
    found = preferences(task, DATA / folder, "train")
    assert len(found) >= least
    assert all(example.completions[0] != example.completions[1] for example in found)
