import json
from pathlib import Path

import pytest

from augmentlm.distill.sets import examples, family_of, files_of, read_rows, split_of
from augmentlm.errors import InputError
from augmentlm.tasks import Pair, format_pair, parse

DATA = Path(__file__).parents[2] / "data"


def test_siblings_of_a_family_never_part():
    assert family_of("math-01/3") == "math-01"
    assert {split_of(f"math-01/{n}") for n in range(4)} == {split_of("math-01")}


def test_the_split_is_fixed_for_good():
    # A model was trained on this split: a change here would let its training rows into the evaluation.
    dev = {family_of(row["id"]) for row in read_rows(DATA / "families", "dev")}
    assert len(dev) == 44
    assert {"math-01", "zh-math-01"} & dev == set()
    assert sum(1 for _ in read_rows(DATA / "refine", "dev")) == 399


def test_no_prompt_stands_in_both_splits():
    for folder, field in (("refine", "raw"), ("expand", "instruction")):
        train = {row[field] for row in read_rows(DATA / folder, "train")}
        assert not [row["id"] for row in read_rows(DATA / folder, "dev") if row[field] in train]


def test_every_set_splits_alike_and_whole():
    for name in ("refine", "expand", "families"):
        ids = [row["id"] for row in read_rows(DATA / name)]
        parts = [[row["id"] for row in read_rows(DATA / name, split)] for split in ("train", "dev")]
        assert len(ids) == len(set(ids)) == len(parts[0]) + len(parts[1])


def test_an_expansion_example_has_all_expansions_of_its_seed(tiny_data):
    seeds = [example for example in examples("expand", tiny_data, "train") if example.prompt.startswith("Say")]
    assert seeds
    assert all(example.completions == ("What is letter a?", "Name letter b, please.") for example in seeds)


def test_each_text_of_an_expand_row_teaches_those_worded_otherwise(tmp_path):
    (tmp_path / "expand").mkdir()
    texts = ["Write a poem about rain.", "Write a poem about snow.", "Two rhyming lines on an old clock, please."]
    row = {"id": next(f"a-{n}" for n in range(99) if split_of(f"a-{n}") == "train")}
    row |= {"instruction": texts[0], "expansions": texts[1:]}
    (tmp_path / "expand" / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    taught = {example.prompt: example.completions for example in examples("expand", tmp_path, "train")}
    assert taught == {texts[0]: (texts[2],), texts[1]: (texts[2],), texts[2]: (texts[0], texts[1])}


def test_a_pair_is_a_target_at_most_once_and_never_in_its_own_context(tiny_data):
    by_family: dict[str, list[str]] = {}
    for example in examples("pair", tiny_data, "train"):
        by_family.setdefault(example.id, []).extend(example.completions)
        assert not any(target in example.prompt for target in example.completions)
    # Two in context both ways give four targets, three in context give one.
    assert all(len(targets) == len(set(targets)) for targets in by_family.values())
    assert {len(targets) for targets in by_family.values()} == {1, 4}


def test_families_with_plain_siblings_teach_those_and_never_their_rich_answers(tiny_data):
    plain = [{"instruction": f"Double {n}.", "response": f"Plain {n}"} for n in range(4)]
    (tiny_data / "siblings").mkdir()
    known = [row["id"] for row in read_rows(tiny_data / "families", "train")]
    lines = [json.dumps({"id": name, "items": plain}) + "\n" for name in known[:9]]
    (tiny_data / "siblings" / "all.jsonl").write_text("".join(lines), encoding="utf-8")
    found = examples("pair", tiny_data, "train")
    taught = [example for example in found if example.id in known[:9]]
    assert all("Double" in target for example in taught for target in example.completions)
    rich = [example for example in taught if "Add" in example.prompt]
    assert [len(example.completions) for example in rich] == [4] * 9
    others = [example for example in taught if "Add" not in example.prompt]
    assert others and not any(target in example.prompt for example in others for target in example.completions)
    assert all("Add" in target for example in found if example.id in known[9:] for target in example.completions)


def test_given_pairs_are_taught_behind_the_examples_they_were_written_for(tmp_path):
    (tmp_path / "pair").mkdir()
    pairs = [{"instruction": f"Double {n}.", "response": str(2 * n)} for n in (4, 5)]
    row = {"id": next(f"a-{n}" for n in range(99) if split_of(f"a-{n}") == "train"), "pairs": pairs}
    row["examples"] = [{"instruction": f"Double {n}.", "response": str(2 * n)} for n in (1, 2)]
    (tmp_path / "pair" / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (example,) = examples("pair", tmp_path, "train")
    assert example.completions == tuple(format_pair(Pair(**pair)) for pair in pairs)
    assert "Double 1." in example.prompt and "Double 4." not in example.prompt


def test_plain_siblings_are_of_families_in_training():
    families = {row["id"]: row["category"] for row in read_rows(DATA / "families", "train")}
    siblings = list(read_rows(DATA / "siblings"))
    assert {row["id"]: row["category"] for row in siblings} == families
    assert all(len(row["items"]) == 4 for row in siblings)


def test_pair_targets_are_what_the_pair_parser_reads():
    for example in examples("pair", DATA, "dev"):
        for text in example.completions:
            value = parse("pair", text).value
            assert value is not None and format_pair(value) == text


def test_a_respond_set_does_not_exist(tiny_data):
    with pytest.raises(ValueError, match="respond"):
        examples("respond", tiny_data, "train")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no JSONL files"):
        list(read_rows(tmp_path))


@pytest.mark.parametrize("line", ["{", "[]", '{"raw": "no id"}', "3"])
def test_a_broken_line_is_named_with_its_number(tmp_path, line):
    (tmp_path / "a.jsonl").write_text('{"id": "a"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="Line 2"):
        list(read_rows(tmp_path, "train"))


# ---- data of one's own ----------------------------------------------------------------------------------------------

TRAINED = next(f"a-{n}" for n in range(99) if split_of(f"a-{n}") == "train")
PAIRS = [{"instruction": f"Double {n}.", "response": str(2 * n)} for n in range(6)]


def put(data: Path, folder: str, *rows: dict) -> None:
    (data / folder).mkdir(exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (data / folder / "mine.jsonl").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", [7, None, ["a"]])
def test_an_id_that_is_no_text_is_named_with_its_line(tmp_path, name):
    put(tmp_path, "refine", {"id": TRAINED, "raw": "a", "refined": "b"}, {"id": name, "raw": "a", "refined": "b"})
    with pytest.raises(InputError, match=r"Line 2 of .*mine\.jsonl"):
        examples("refine", tmp_path, "train")
    with pytest.raises(InputError, match="Line 2"):
        list(read_rows(tmp_path / "refine"))


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"id": "a", "raw": "café"}\n'.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.jsonl can't be read"):
        list(read_rows(tmp_path))


@pytest.mark.parametrize(
    ("task", "folder", "row", "field"),
    [
        ("refine", "refine", {"refined": "b"}, "raw"),
        ("refine", "refine", {"raw": "a"}, "refined"),
        ("refine", "refine", {"raw": "a", "refined": " "}, "refined"),
        ("refine", "refine", {"raw": 3, "refined": "b"}, "raw"),
        ("expand", "expand", {"expansions": ["b"]}, "instruction"),
        ("expand", "expand", {"instruction": "a"}, "expansions"),
        ("expand", "expand", {"instruction": "a", "expansions": "b"}, "expansions"),
        ("expand", "expand", {"instruction": "a", "expansions": ["b", None]}, "expansions"),
        ("pair", "families", {}, "items"),
        ("pair", "families", {"items": ["a", "b", "c"]}, "items"),
        ("pair", "families", {"items": [*PAIRS[:3], {"instruction": "a"}]}, "items"),
        ("pair", "pair", {"pairs": PAIRS[:1]}, "examples"),
        ("pair", "pair", {"examples": PAIRS[:2]}, "pairs"),
        ("pair", "pair", {"examples": PAIRS[:2], "pairs": []}, "pairs"),
        ("pair", "pair", {"examples": [], "pairs": PAIRS[:1]}, "examples"),
    ],
)
def test_a_row_that_lacks_something_is_named_with_the_field(tmp_path, task, folder, row, field):
    put(tmp_path, folder, {"id": TRAINED, **row})
    with pytest.raises(InputError, match=f"{TRAINED} .*'{field}'"):
        examples(task, tmp_path, "train")


def test_a_pair_may_say_more_than_it_teaches(tmp_path):
    put(
        tmp_path,
        "pair",
        {"id": TRAINED, "examples": [{**each, "source": "me"} for each in PAIRS[:2]], "pairs": PAIRS[2:3]},
    )
    (example,) = examples("pair", tmp_path, "train")
    assert example.completions == (format_pair(Pair(**PAIRS[2])),)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_family_too_small_to_teach_is_named(tmp_path, count):
    put(tmp_path, "families", {"id": TRAINED, "items": PAIRS[:count]})
    with pytest.raises(InputError, match=f"{TRAINED} has {count} pairs in 'items', and needs 3"):
        examples("pair", tmp_path, "train")


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_every_example_of_a_family_has_two_in_context_and_something_to_learn(tmp_path, count):
    put(tmp_path, "families", {"id": TRAINED, "items": PAIRS[:count]})
    for seed in range(20):
        found = examples("pair", tmp_path, "train", seed)
        taught = [text for example in found for text in example.completions]
        assert found and all(example.completions for example in found)
        assert all(example.prompt.count("### Instruction") >= 2 for example in found)
        assert len(taught) == len(set(taught))
        assert not any(text in example.prompt for example in found for text in example.completions)


def test_beside_plain_siblings_two_rich_pairs_are_enough(tmp_path):
    put(tmp_path, "families", {"id": TRAINED, "items": PAIRS[:2]})
    put(tmp_path, "siblings", {"id": TRAINED, "items": PAIRS[2:6]})
    found = examples("pair", tmp_path, "train")
    assert len(found[0].completions) == 4 and found[0].prompt.count("### Instruction") == 2


def test_the_files_of_examples_are_named_with_the_rows_that_are_in_them(tmp_path):
    put(tmp_path, "families", {"id": TRAINED, "items": PAIRS[:4]}, {"id": f"{TRAINED}/other", "items": PAIRS[:4]})
    put(tmp_path, "siblings", {"id": TRAINED, "items": PAIRS[2:6]}, {"id": f"{TRAINED}/no", "items": PAIRS[2:6]})
    found = examples("pair", tmp_path, "train")
    named = {each["file"]: each["rows"] for each in files_of(found, tmp_path)}
    assert list(named.values()) == [2, 1] and [Path(name).parent.name for name in named] == ["families", "siblings"]
    assert len(found[0].rows) == 2  # its examples in context are of the family, its targets of the siblings
    assert files_of([], tmp_path) == []
