import json
import math
from pathlib import Path

import pytest

from augmentlm.distill.packing import Tokens
from augmentlm.distill.preferences import MENDED, preferences, prefers, shortened
from augmentlm.distill.sets import Place, split_of
from augmentlm.errors import InputError
from augmentlm.tasks import Pair, format_pair, format_pairs

TRAINED, HELD_OUT = (next(f"a-{n}" for n in range(99) if split_of(f"a-{n}") == split) for split in ("train", "dev"))
PAIRS = [{"instruction": f"Double {n}.", "response": str(2 * n)} for n in range(4)]
WRONG = {"instruction": "Double 3.", "response": "9"}
INPUT = {"expand": {"instruction": "a"}, "refine": {"raw": "a"}, "pair": {"examples": PAIRS[:2]}}


def scored(*scores: float, **more: object) -> list[dict]:
    return [{"text": f"text {place}", "score": score, **more} for place, score in enumerate(scores)]


def put(data: Path, task: str, *rows: dict) -> Path:
    folder = data / "scored" / task
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mine.jsonl"
    file.write_text("".join(json.dumps({"id": TRAINED, **row}) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize("task", ["expand", "refine"])
def test_the_texts_of_a_prompt_keep_their_scores(tmp_path, task):
    file = put(
        tmp_path,
        task,
        {**INPUT[task], "texts": scored(3, 9, 4.5)},
        {**INPUT[task], "id": f"{HELD_OUT}/3/2", "texts": scored(0, 10)},
        {**INPUT[task], "id": f"{TRAINED}/3/2", "texts": scored(7, 5)},
    )
    first, second = preferences(task, tmp_path, "train", gap=2)
    assert (first.prompt, first.rows) == ("a", (Place(file, 1),))
    assert (first.completions, first.scores) == (("text 0", "text 1", "text 2"), (3, 9, 4.5))
    assert (second.id, second.scores, second.rows) == (f"{TRAINED}/3/2", (7, 5), (Place(file, 3),))
    assert [example.scores for example in preferences(task, tmp_path, "dev", gap=2)] == [(0, 10)]


def test_scored_pairs_are_in_the_form_that_a_model_writes(tmp_path):
    put(tmp_path, "pair", {**INPUT["pair"], "texts": [{**WRONG, "score": 1}, {**PAIRS[3], "score": 8}]})
    (example,) = preferences("pair", tmp_path, "train", gap=2)
    assert example.prompt == format_pairs([Pair(**each) for each in PAIRS[:2]])
    assert example.completions == (format_pair(Pair(**WRONG)), format_pair(Pair(**PAIRS[3])))
    assert example.scores == (1, 8)


def test_rows_that_prefer_nothing_are_left_out_and_the_same_text_counts_once(tmp_path):
    same = [{"text": "one", "score": 2}, {"text": "one", "score": 8}]
    mended = [{"text": "one", "score": 2}, {"text": "two", "score": 10, "mended": True}]
    left_out = ([], scored(9), scored(5, 5), scored(5, 6.5, 4.75), same, mended)
    rows = [{**INPUT["expand"], "texts": texts} for texts in (*left_out, [*same, {"text": "two", "score": 4}])]
    put(tmp_path, "expand", *rows)
    (example,) = preferences("expand", tmp_path, "train", gap=2)
    assert (example.completions, example.scores) == (("one", "two"), (2, 4))
    put(tmp_path, "expand", *rows[:-1])
    with pytest.raises(InputError, match=r"no expand prompt .* differ by 2 or more"):
        preferences("expand", tmp_path, "train", gap=2)


def test_votes_are_preferences_in_the_folder_of_their_task(tmp_path):
    voted = {"prompt": "a", "chosen": "won", "rejected": "lost", "judge": "people"}
    others = [{**voted, "task": "refine"}, {**voted, "chosen": "lost"}]
    file = put(tmp_path, "expand", *others, {**voted, "task": "expand"})
    (example,) = preferences("expand", tmp_path, "train", gap=2)
    assert (example.prompt, example.completions, example.scores) == ("a", ("won", "lost"), (10, 0))
    assert example.rows == (Place(file, 3),)
    put(tmp_path, "expand", {**voted, "id": HELD_OUT, "task": "refine"})
    with pytest.raises(InputError, match="no expand prompt"):
        preferences("expand", tmp_path, "train", gap=2)
    put(tmp_path, "expand", {**voted, "chosen": 7})
    with pytest.raises(InputError, match="no text in 'chosen'"):
        preferences("expand", tmp_path, "train", gap=2)


def test_a_mended_text_needs_no_score_and_makes_no_difference(tmp_path):
    texts = [*scored(7, 5, mended=False), {"text": "mended", "mended": True}]
    put(tmp_path, "expand", {**INPUT["expand"], "texts": texts})
    (example,) = preferences("expand", tmp_path, "train", gap=2)
    assert example.scores[:2] == (7, 5) and math.isnan(example.scores[2])
    assert not prefers([MENDED, 5, 6], 2) and not prefers([MENDED], 2) and prefers([MENDED, 5, 7], 2)


@pytest.mark.parametrize(
    ("task", "row", "field"),
    [
        ("expand", {"texts": scored(1, 9)}, "instruction"),
        ("refine", {"texts": scored(1, 9)}, "raw"),
        ("pair", {"texts": [{**WRONG, "score": 1}, {**PAIRS[3], "score": 8}]}, "examples"),
        ("expand", INPUT["expand"], "texts"),
        ("expand", {**INPUT["expand"], "texts": ["a", "b"]}, "texts"),
        ("refine", {**INPUT["refine"], "texts": [{"score": 3}]}, "text"),
        ("refine", {**INPUT["refine"], "texts": [{"text": " ", "score": 3}]}, "text"),
        ("pair", {**INPUT["pair"], "texts": "a"}, "texts"),
        ("pair", {**INPUT["pair"], "texts": [{"instruction": "a", "score": 3}]}, "texts"),
        ("expand", {**INPUT["expand"], "texts": [{"text": "a"}]}, "score"),
        *(("expand", {**INPUT["expand"], "texts": scored(each)}, "score") for each in (-1, 11, "7", True, math.nan)),
        ("expand", {**INPUT["expand"], "texts": scored(7, mended="yes")}, "mended"),
    ],
)
def test_a_row_that_lacks_something_is_named_with_the_field(tmp_path, task, row, field):
    put(tmp_path, task, row)
    with pytest.raises(InputError, match=f"{TRAINED} .*'{field}'"):
        preferences(task, tmp_path, "train", gap=2)


@pytest.mark.parametrize("task", ["expand", "refine", "pair"])
def test_data_without_scores_is_named(tmp_path, task):
    with pytest.raises(InputError, match=f"no {task} prompt") as raised:
        preferences(task, tmp_path, "train", gap=2)
    assert str(tmp_path / "scored" / task) in raised.value.hint


def test_scores_of_held_out_families_alone_are_said_to_be_so(tmp_path):
    put(tmp_path, "expand", {**INPUT["expand"], "id": f"{HELD_OUT}/1", "texts": scored(0, 10)})
    with pytest.raises(InputError, match="in a held-out family"):
        preferences("expand", tmp_path, "train", gap=2)


def texts(*sizes: int) -> list[list[int]]:
    return [[place] * size for place, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("most", "left"),
    [
        (23, [0, 1, 2, 3, 4]),  # all of them, as they stood
        (22, [3, 1, 0, 4]),  # the best, the worst, the second best, the second worst
        (14, [3, 1, 0]),
        (12, [3, 1, 4]),  # the second best is too long, the second worst is not
        (9, [3, 1]),
        (7, [0, 1, 2, 3, 4]),  # of the best alone nothing is learnt: too long for a row, it will be left out
    ],
)
def test_a_short_row_keeps_the_best_and_the_worst_texts(most, left):
    scores = (7.0, 0.0, 5.0, 9.0, 2.0)
    whole = Tokens([1, 2, 3], texts(5, 4, 6, 2, 3), scores)
    short = shortened(whole, most, 2)
    assert [text[0] for text in short.completions] == left
    assert short.prompt == whole.prompt and short.scores == tuple(scores[place] for place in left)
    assert len(short) <= most or short == whole


def test_a_short_row_keeps_what_it_compares_then_the_mended_text_then_others():
    whole = Tokens([1], texts(2, 2, 2, 2, 2), (9.0, 3.0, 5.0, 4.0, MENDED))
    assert [text[0] for text in shortened(whole, 7, 2).completions] == [0, 1, 4]
    assert [text[0] for text in shortened(whole, 6, 2).completions] == [0, 1]
    assert shortened(whole, 4, 2) is whole and shortened(whole, 7, 6.5) is whole
    too_long_a_best = Tokens([1], texts(6, 2, 2, 2), (9.0, 8.0, 3.0, MENDED))
    assert [text[0] for text in shortened(too_long_a_best, 6, 2).completions] == [2, 1]
