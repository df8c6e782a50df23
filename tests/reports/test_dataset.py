import itertools
import json
import re
import zlib

import numpy as np
import pytest

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError, MissingExtraError
from augmentlm.hub.metadata import faults, read
from augmentlm.reports import dataset
from augmentlm.reports.dataset import is_current, keep_current, run_report
from augmentlm.reports.dataset_page import dataset_page
from augmentlm.runs import shelf
from augmentlm.runs.outputs import Output
from augmentlm.runs.rows import read_run
from augmentlm.runs.run import Using, resume, run
from scripted_cli import ScriptedPool

EVIL = '<img src=x onerror="alert(1)">'
SEEDS = [
    {"instruction": "Name three rivers of Europe and where they begin", "response": "Rhine, Rhone, Po."},
    {"instruction": f"Explain {EVIL} to a child in plain words", "response": "It is a broken picture."},
    {"instruction": "Plan a birthday party for twelve children", "response": "Start at two."},
]
IDEAS = (
    "Sort the planets by their distance from the sun",
    "Name three rivers of Europe and where they begin",  # a copy of a seed
    f"Describe {EVIL} in a poem about autumn leaves",
    "List healthy breakfasts for a week in summer",
    "Compare trams with buses for a small town",
    "Ok",  # too short
    "Write a toast for the wedding of an old friend",
    "Draft a polite reminder about an unpaid invoice",
    "Suggest names for a grey kitten that likes boats",
)


class Script:
    def __init__(self):
        self.made = 0

    def __call__(self, request):
        text = request.messages[-1].content
        if "new instruction" not in text:
            return "Gladly: here it is, in full."
        self.made += 1
        return IDEAS[(self.made - 1) % len(IDEAS)]


def nothing_embeds():
    raise MissingExtraError("Sentence embeddings need torch, not installed here.", hint="Install it.")


def vectors(texts):
    rows = np.zeros((len(texts), 32), dtype="float32")
    for row, text in zip(rows, texts, strict=True):
        for word in text.split():
            row[zlib.crc32(word.encode()) % 32] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "mine | [x]"
    pool = ScriptedPool(ScriptedEngine(Script()))
    base = Using(model="qwen2.5-coder-0.5b-instruct")
    for _ in run(SEEDS, out, n=6, steps=("expand", "respond"), using={"expand": base, "respond": base}, pool=pool):
        pass
    run_report(out, lambda: vectors)
    return out


@pytest.fixture
def small(tmp_path):
    """A run that may be changed."""
    pool = ScriptedPool(ScriptedEngine(Script()))
    list(run(SEEDS, tmp_path / "small", n=3, steps=("expand",), pool=pool))
    run_report(tmp_path / "small", nothing_embeds)
    return tmp_path / "small"


@pytest.fixture(scope="module")
def numbers(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_every_candidate_is_in_the_funnel(folder, numbers):
    found = read_run(folder)
    expand, respond = numbers["funnel"]
    assert numbers["candidates"] == expand["came"] == len(found.records)
    assert expand["came"] == expand["passed"] + sum(expand["reasons"].values())
    assert respond["came"] == expand["passed"] and respond["passed"] == numbers["accepted"] == 6
    assert set(expand["reasons"]) == {record.code for record in found.rejected} >= {"near_copy"}


def test_the_accepted_rows_pay_for_all_texts(folder, numbers):
    expand, respond = numbers["cost"]
    made = {each.key: each for record in read_run(folder).records for each in record.made}
    assert expand["texts"] + respond["texts"] == len(made)
    written = sum(each.completion_tokens for each in made.values())
    assert expand["completion_tokens"] + respond["completion_tokens"] == written
    assert respond["completion_tokens_per_row"] == pytest.approx(respond["completion_tokens"] / 6, abs=0.01)


def test_sets_are_measured_before_and_after(numbers):
    assert [len(values) for values in numbers["lengths"]["instruction"].values()] == [3, 6]
    assert numbers["tasks"]["by"] == "opening word" and numbers["tasks"]["seeds"] == {
        "name": 1,
        "explain": 1,
        "plan": 1,
    }
    assert numbers["diversity"]["seeds"]["texts"] == numbers["diversity"]["accepted"]["texts"] == 3
    assert all(0 <= value <= 0.7 for value in numbers["nearest_seed"]["rouge_l"])
    assert len(numbers["meaning"]["nearest_seed"]) == 6 and len(numbers["meaning"]["map"]["accepted"]["places"]) == 6


def test_the_page_shows_rows_as_text_and_fetches_nothing(folder):
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert EVIL.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;") in html
    assert "<img" not in html and "<script" not in html and not re.search(r'(?:src|href)="(?!#)', html)
    for title in ("Why candidates were rejected", "Kinds of tasks", "Map of seeds", "Accepted rows", "Rejected rows"):
        assert title in html
    assert "expand: near_copy" in html


def test_the_card_has_the_hubs_metadata_and_where_the_rows_come_from(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert faults(text, "dataset") == []
    assert read(text)["configs"] == [{"config_name": "default", "data_files": "data.jsonl"}]
    assert "| expand | qwen2.5-coder-0.5b-instruct |" in text and "sha256:" in text and "near_copy" in text
    assert "# mine \\| \\[x\\]" in text and "apache-2.0" in text


def test_without_embeddings_the_rest_is_there_and_a_sentence_says_so(folder):
    html = run_report(folder, nothing_embeds).read_text(encoding="utf-8")
    assert "Left out: Sentence embeddings need torch" in html and "Nearest seed, by words" in html
    assert "Map of seeds" not in html


def test_the_page_says_that_all_its_numbers_are_in_the_file_beside_it(numbers):
    html = dataset_page({**numbers, "nearest_seed": {"rouge_l": [0.1] * 50}})
    assert "10 more in report.json" in html and ".csv" not in html


def test_the_card_names_the_file_that_the_run_writes_now_and_not_one_of_before(small):
    shelf.rewrite(small, Output(file="csv"))
    assert (small / "data.jsonl").is_file()
    run_report(small, nothing_embeds)
    text = (small / "README.md").read_text(encoding="utf-8")
    assert read(text)["configs"] == [{"config_name": "default", "data_files": "data.csv"}]


def test_a_report_is_current_until_the_rows_or_their_file_change(small):
    assert is_current(read_run(small))
    shelf.strike(small, [read_run(small).accepted[0].candidate])
    assert not is_current(read_run(small))
    keep_current(small, nothing_embeds)
    assert is_current(read_run(small))
    assert "expand: struck" in (small / "report.html").read_text(encoding="utf-8")
    list(resume(small, n=5, pool=ScriptedPool(ScriptedEngine(Script()))))
    assert not is_current(read_run(small))
    keep_current(small, nothing_embeds)
    shelf.rewrite(small, Output(file="json"))
    assert not is_current(read_run(small))
    keep_current(small, nothing_embeds)
    (small / "report.html").unlink()
    assert not is_current(read_run(small))


def test_a_report_that_is_not_current_takes_one_reading_of_the_run(small, monkeypatch):
    readings = []
    monkeypatch.setattr(dataset, "read_run", lambda folder: readings.append(folder) or read_run(folder))
    shelf.strike(small, [read_run(small).accepted[0].candidate])
    keep_current(small, nothing_embeds)
    assert is_current(read_run(small)) and readings == [small]


def test_a_report_of_which_a_kill_left_a_part_is_not_current(small, monkeypatch):
    shelf.strike(small, [read_run(small).accepted[0].candidate])
    for broken in ("README.md", "report.html", "report.json"):

        def write(path, text, broken=broken):
            if path.name == broken:
                raise KeyboardInterrupt
            path.write_text(text, encoding="utf-8")

        monkeypatch.setattr(dataset, "write", write)
        with pytest.raises(KeyboardInterrupt):
            keep_current(small, nothing_embeds)
        assert not is_current(read_run(small))


def test_what_a_person_wrote_into_the_card_stays_while_the_rows_do(small):
    card = small / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace("license: unknown", "license: mit"), encoding="utf-8")
    keep_current(small, nothing_embeds)
    assert read(card.read_text(encoding="utf-8"))["license"] == "mit"


def test_a_judge_and_likeness_by_embeddings_are_told(tmp_path):
    def script(request):
        return "4" if "1 to 5" in request.messages[-1].content else next(ideas)

    ideas = itertools.cycle(IDEAS)
    pool = ScriptedPool(ScriptedEngine(script))
    base = Using(model="qwen2.5-coder-0.5b-instruct")
    for _ in run(SEEDS, tmp_path / "j", n=2, steps=("expand",), using={"expand": base}, judge=base, pool=pool):
        pass
    run_report(tmp_path / "j", lambda: vectors)
    card = (tmp_path / "j" / "README.md").read_text(encoding="utf-8")
    assert "the judge's mark (1 to 5) at least 4" in card and "| judge | qwen2.5-coder-0.5b-instruct |" in card
    assert "cosine of embeddings" not in card


def test_a_run_that_accepted_nothing_is_reported_too(tmp_path):
    pool = ScriptedPool(ScriptedEngine(lambda request: SEEDS[0]["instruction"]))
    base = Using(model="qwen2.5-coder-0.5b-instruct")
    for _ in run(SEEDS, tmp_path / "none", n=2, steps=("expand",), using={"expand": base}, pool=pool):
        pass
    html = run_report(tmp_path / "none", lambda: vectors).read_text(encoding="utf-8")
    assert "0 of 2 rows accepted" in html and "There are none." in html


def test_a_folder_without_a_run_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no run"):
        run_report(tmp_path)
