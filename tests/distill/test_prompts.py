from pathlib import Path

import pytest

from augmentlm.distill.prompts import Prompt, dev_prompts, file_prompts, fingerprint, some
from augmentlm.distill.sets import family_of, split_of
from augmentlm.errors import InputError

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("task", ["refine", "expand", "pair"])
def test_dev_prompts_are_of_families_never_trained_on(task):
    prompts = dev_prompts(task, DATA)
    assert prompts and {split_of(str(prompt.family)) for prompt in prompts} == {"dev"}
    assert len({prompt.id for prompt in prompts}) == len(prompts)


def test_pair_prompts_show_each_sibling_once():
    prompts = [prompt for prompt in dev_prompts("pair", DATA) if prompt.family == "math-02"]
    assert [prompt.id for prompt in prompts] == ["math-02/0-1", "math-02/2-3"]
    shown = [pair.instruction for prompt in prompts for pair in prompt.value]
    assert len(set(shown)) == 4


def test_a_file_is_read_in_any_known_form(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "dogs"}\n{"instruction": "cats"}\n', encoding="utf-8")
    assert [(prompt.id, prompt.value) for prompt in file_prompts("refine", path)] == [
        ("mine-0001", "dogs"),
        ("mine-0002", "cats"),
    ]


def test_pairs_of_a_file_go_two_by_two(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("question,answer\na?,A\nb?,B\nc?,C\nd?,D\n", encoding="utf-8")
    prompts = file_prompts("pair", path)
    assert [[pair.response for pair in prompt.value] for prompt in prompts] == [["A", "B"], ["C", "D"]]
    path.write_text("question,answer\na?,A\nb?,B\nc?,C\n", encoding="utf-8")
    with pytest.raises(InputError, match="3 pairs"):
        file_prompts("pair", path)


def test_a_prompt_that_cannot_be_worked_on_is_named(tmp_path):
    path = tmp_path / "long.txt"
    path.write_text(f"short\n{'long ' * 5000}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"long-0002.*24,999 characters"):
        file_prompts("refine", path)


@pytest.mark.parametrize(("task", "folder"), [("refine", "refine"), ("expand", "expand"), ("pair", "families")])
def test_an_own_row_without_its_text_is_named(tmp_path, task, folder):
    held_out = next(f"own-{number}" for number in range(100) if split_of(f"own-{number}") == "dev")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "own.jsonl").write_text(f'{{"id": "{held_out}"}}\n', encoding="utf-8")
    with pytest.raises(InputError, match=held_out):
        dev_prompts(task, tmp_path)


def test_an_own_row_needs_no_category(tmp_path):
    held_out = next(f"own-{number}" for number in range(100) if split_of(f"own-{number}") == "dev")
    (tmp_path / "refine").mkdir()
    row = f'{{"id": "{held_out}", "raw": "dogs"}}\n'
    (tmp_path / "refine" / "own.jsonl").write_text(row, encoding="utf-8")
    assert [(prompt.value, prompt.category) for prompt in dev_prompts("refine", tmp_path)] == [("dogs", None)]


def test_there_are_no_dev_prompts_to_respond_to():
    with pytest.raises(InputError, match="respond"):
        dev_prompts("respond", DATA)


def test_some_are_the_same_every_time_and_from_all_over():
    prompts = dev_prompts("expand", DATA)
    few = some(prompts, 12)
    assert few == some(prompts, 12) == [prompt for prompt in prompts if prompt in few]
    assert len({family_of(prompt.id) for prompt in few}) >= 8
    assert set(map(id, some(prompts, 6))) <= set(map(id, few))  # a longer run goes on where a short one ended
    assert some(prompts, None) == some(prompts, 10_000) == prompts


def test_another_prompt_is_another_fingerprint():
    prompts = [Prompt("a", "dogs"), Prompt("b", "cats")]
    assert fingerprint(prompts) == fingerprint(list(prompts))
    assert fingerprint(prompts) != fingerprint([prompts[0], Prompt("b", "cat")])
