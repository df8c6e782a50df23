"""The Dataset tab, without a browser."""

from __future__ import annotations

import json
import os
import threading
from contextlib import closing
from itertools import count
from pathlib import Path

import gradio as gr
import pytest

from augmentlm.engines.base import Request
from augmentlm.runs.journal import FILE, Journal, held
from augmentlm.runs.rows import read_run
from augmentlm.runs.spec import check_steps
from augmentlm.ui import dataset_shelf
from augmentlm.ui.dataset import RECIPES, _Dataset
from augmentlm.ui.run_folders import forget_old
from scripted_page import NASTY, run_to_end
from scripted_run import dreamed

SEEDS = "Plan a trip to Kyoto\nName three primary colours\nWrite a toast to a friend"


@pytest.fixture
def tab(context, tmp_path, monkeypatch):
    """The tab, with a home of its own."""
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))

    def make(script=dreamed, **ways) -> _Dataset:
        with gr.Blocks(), gr.Tab("Dataset") as page:
            return _Dataset(context(script, **ways), page)

    return make


def start(tab: _Dataset, text: str = SEEDS, *, recipe="expand,respond", n=5, flag=None, columns=("", "")) -> list:
    table = tab.seeds.paste(text, False, "en")[tab.seeds.table]
    return run_to_end(tab._run(flag or threading.Event(), "en", table, *columns, recipe, n, "", "", 0.7, 256))


def test_seeds_are_shown_as_they_are_read_with_what_is_left_out(tab) -> None:
    page = tab()
    shown = page.seeds.paste('{"prompt": "Name a bird", "completion": "Wren"}\n{"prompt": NaN}\n{"pro', False, "en")
    assert "1 seeds, read as prompt/completion; 1 of them with a response." in shown[page.seeds.preview]
    assert "2 rows left out" in shown[page.seeds.preview]
    assert "Line 2 holds NaN" in shown[page.seeds.preview]
    assert shown[page.seeds.mapping]["visible"]


def test_a_chinese_page_says_in_chinese_what_was_left_out(tab) -> None:
    page = tab()
    shown = page.seeds.paste('{"prompt": "Name a bird", "completion": "Wren"}\n{"prompt": NaN}\n{"pro', False, "zh")
    assert "第 2 行" in shown[page.seeds.preview]
    assert "Line" not in shown[page.seeds.preview]


def test_own_columns_are_chosen_from_a_list(tab) -> None:
    page = tab()
    shown = page.seeds.paste('{"query": "Name a bird", "reply": "Wren"}', False, "en")
    assert "No column is known here" in shown[page.seeds.preview]
    assert [value for _, value in shown[page.seeds.columns[0]]["choices"]] == ["", "query", "reply"]
    assert "with a response" in page.seeds.mapped(shown[page.seeds.table], "query", "reply", "en")
    ended = start(page, '{"query": "Name a bird", "reply": "Wren"}', columns=("query", "reply"))[-1]
    assert "5 of 5 accepted" in ended[page.progress]


def test_markup_in_seeds_and_rows_stays_text(tab) -> None:
    page = tab(lambda request: f"{dreamed(request)} {NASTY}")
    assert "<img" not in page.seeds.paste(json.dumps({"instruction": NASTY}), False, "en")[page.seeds.preview]
    shown = start(page, json.dumps({"instruction": NASTY}), n=2)
    assert all("<img" not in str(step.get(page.latest)) for step in shown)
    assert "<img" not in str(shown[-1][page.shelf.rejects])


def test_a_run_shows_rows_as_they_come_and_is_open_at_its_end(tab) -> None:
    page = tab()
    shown = start(page, n=12)
    assert any("new instructions" in step[page.progress] for step in shown)
    ended = shown[-1]
    assert "12 of 12 accepted" in ended[page.progress]
    shelf = page.shelf
    assert ended[shelf.inside]["visible"]
    assert len(ended[shelf.rows]["choices"]) == 10
    assert ended[shelf.page]["maximum"] == 2
    folder = shelf.folders.find(ended[shelf.chosen]["value"])
    assert len((folder / "data.jsonl").read_text().splitlines()) == 12
    handed_out = Path(ended[shelf.download]["value"])
    assert handed_out.read_bytes() == (folder / "data.jsonl").read_bytes()
    assert handed_out.is_relative_to(shelf.download.GRADIO_CACHE), "Gradio gives out no file of a home elsewhere"


def test_a_stopped_run_says_so_and_goes_on(tab) -> None:
    flag, asked = threading.Event(), count()

    def script(request: Request) -> str:
        if next(asked) == 20:
            flag.set()
        return dreamed(request)

    page = tab(script, delay=0.01)
    ended = start(page, n=60, flag=flag)[-1]
    assert "All that was made is kept" in ended[page.notes]
    name = ended[page.shelf.chosen]["value"]
    assert name
    page.context.pool.engine.delay = 0
    more = run_to_end(page._go_on(threading.Event(), "en", name, 60))[-1]
    assert "60 of 60 accepted" in more[page.progress]


def test_struck_rows_leave_the_file_and_others_can_be_made(tab) -> None:
    page = tab()
    shelf = page.shelf
    ended = start(page, n=5)[-1]
    name, first = ended[shelf.chosen]["value"], ended[shelf.rows]["choices"][0][1]
    shown = shelf._strike(name, [first], "en")
    assert "4 of 5 accepted" in shown[shelf.funnel]
    assert "struck: 1" in shown[shelf.funnel]
    assert first not in [value for _, value in shown[shelf.rows]["choices"]]
    more = run_to_end(page._go_on(threading.Event(), "en", name, 5))[-1]
    assert "5 of 5 accepted" in more[shelf.funnel]


def test_a_report_of_other_rows_is_not_handed_out(tab, no_embedder) -> None:
    page = tab()
    shelf = page.shelf
    ended = start(page, n=5)[-1]
    name, first = ended[shelf.chosen]["value"], ended[shelf.rows]["choices"][0][1]
    *_, reported = shelf._report(name, "en")
    assert reported[shelf.report]["visible"]
    opened = shelf.open(name, "en")[shelf.report]
    assert opened["visible"] and opened["value"]
    struck = shelf._strike(name, [first], "en")[shelf.report]
    assert not struck["visible"] and not struck["value"]
    more = run_to_end(page._go_on(threading.Event(), "en", name, 5))[-1]
    assert not more[shelf.report]["visible"]


def test_a_file_that_a_kill_left_behind_its_rows_is_written_before_it_is_handed_out(tab) -> None:
    page = tab()
    shelf = page.shelf
    name = start(page, n=5)[-1][shelf.chosen]["value"]
    folder = shelf.folders.find(name)
    (folder / "data.jsonl").write_text("what the run had when it was begun\n")
    with closing(Journal(folder)) as journal:
        journal.set_meta("written", False)
    handed_out = Path(shelf.open(name, "en")[shelf.download]["value"])
    assert len(handed_out.read_text().splitlines()) == 5


def test_of_a_run_at_work_there_are_rows_to_read_and_no_file(tab, monkeypatch) -> None:
    page = tab()
    shelf = page.shelf
    name = start(page, n=5)[-1][shelf.chosen]["value"]
    monkeypatch.setattr(dataset_shelf, "ENDING_SECONDS", 0.1)
    with held(shelf.folders.find(name)):
        opened = shelf.open(name, "en")
    assert len(opened[shelf.rows]["choices"]) == 5
    assert opened[shelf.download] == {"interactive": False, "value": None, "__type__": "update"}
    assert "Another program works on" in opened[shelf.problem]


def test_the_file_of_a_run_that_takes_its_time_to_end_is_waited_for(tab) -> None:
    page = tab()
    shelf = page.shelf
    name = start(page, n=5)[-1][shelf.chosen]["value"]
    ending, opened = threading.Event(), threading.Event()

    def end() -> None:
        with held(shelf.folders.find(name)):
            ending.set()
            opened.wait(0.5)

    threading.Thread(target=end).start()
    assert ending.wait(20)
    shown = shelf.open(name, "en")
    assert shown[shelf.download]["value"] and not shown[shelf.problem]


def test_the_file_comes_in_the_form_that_is_chosen(tab) -> None:
    page = tab()
    name = start(page)[-1][page.shelf.chosen]["value"]
    shown = page.shelf._rewrite(name, "messages", "json", True, False, "en")
    rows = json.loads(Path(shown[page.shelf.download]["value"]).read_text())
    assert len(rows) == 3 + 5
    assert all(row.keys() == {"messages"} for row in rows)


def test_an_estimate_says_what_the_run_would_take(tab) -> None:
    page = tab()
    table = page.seeds.paste(SEEDS, False, "en")[page.seeds.table]
    shown = run_to_end(page._estimate(threading.Event(), "en", table, "", "", "expand", 400, "", "", 0.7, 256))
    assert "400 rows: about" in shown[-1][page.estimated]
    assert not (page.shelf.folders.root()).exists()


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("", {}, "There are no seeds yet."),
        (SEEDS, {"n": None}, "The number of rows is missing."),
        (SEEDS, {"recipe": "pair"}, "pair needs seeds with responses"),
        (SEEDS, {"recipe": "refine", "n": 9}, "at most 3, not 9"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(tab, text, settings, said) -> None:
    page = tab()
    assert said in start(page, text, **settings)[-1][page.notes].replace("&#x27;", "'")


def test_an_estimate_of_more_rows_than_there_are_seeds_is_refused_as_the_run_is(tab) -> None:
    page = tab()
    table = page.seeds.paste(SEEDS, False, "en")[page.seeds.table]
    shown = run_to_end(page._estimate(threading.Event(), "en", table, "", "", "refine", 50, "", "", 0.7, 256))
    assert "at most 3, not 50" in shown[-1][page.estimated]


def test_a_refused_run_leaves_open_what_stands_there(tab) -> None:
    page = tab(local=False)
    name = start(page)[-1][page.shelf.chosen]["value"]
    for refused in (start(page, n=201)[-1], run_to_end(page._go_on(threading.Event(), "en", name, 201))[-1]):
        assert "at most 200 rows" in refused[page.notes]
        assert not set(refused) & set(page.shelf.opened), "a stranger would lose the run: nothing else knows its name"


def test_going_on_with_one_row_of_each_seed_ends_with_the_seeds(tab) -> None:
    page = tab()
    name = start(page, recipe="refine", n=3)[-1][page.shelf.chosen]["value"]
    refused = run_to_end(page._go_on(threading.Event(), "en", name, 10))[-1]
    assert "at most 3, not 10" in refused[page.notes]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_steps_that_make_sense(recipe) -> None:
    assert check_steps(recipe.split(","))


def test_earlier_runs_are_listed_on_the_own_computer(tab) -> None:
    page = tab()
    name = start(page)[-1][page.shelf.chosen]["value"]
    [(label, value)] = page.shelf._list(None, "en")["choices"]
    assert value == name
    assert "(5 of 5)" in label


def test_strangers_find_no_run_but_their_own(tab) -> None:
    page = tab(local=False)
    ended = start(page)[-1]
    name = ended[page.shelf.chosen]["value"]
    assert page.shelf.folders.find(name)
    assert len(name) > 32
    assert page.shelf._list(None, "en")["choices"] == []
    assert "at most 200 rows" in start(page, n=201)[-1][page.notes]


def test_who_comes_back_from_signing_in_finds_the_run_again(tab) -> None:
    page = tab(local=False)
    name = start(page)[-1][page.shelf.chosen]["value"]
    again = page.shelf._come_back(None, name, "en")
    assert again[page.shelf.chosen]["value"] == name and again[page.shelf.inside]["visible"]
    assert not page.shelf._come_back(None, "", "en")[page.shelf.inside]["visible"]


def test_what_is_asked_of_no_run_changes_something_that_gradio_can_show(tab) -> None:
    page = tab(local=False)
    shelf = page.shelf
    for answer in (
        shelf._come_back("open already", "", "en"),
        shelf._strike("", [0], "en"),
        shelf._turn("", 1, "en"),
        shelf._rewrite("", "instruction", "jsonl", False, True, "en"),
    ):
        assert answer  # of an empty one Gradio says that outputs are missing


def test_where_strangers_visit_old_runs_are_thrown_away_with_the_next(tab) -> None:
    page = tab(local=False)
    start(page)
    [old] = page.shelf.folders.thrown_away.iterdir()
    start(page)
    assert old.exists() and len(list(page.shelf.folders.thrown_away.iterdir())) == 2
    for path in old.rglob("*"):
        os.utime(path, (0, 0))
    start(page)
    assert not old.exists() and len(list(page.shelf.folders.thrown_away.iterdir())) == 2


def test_what_a_run_at_work_takes_away_keeps_no_visitor_from_starting(tab, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # as it was a moment ago
    for name in ("at-work", "old"):
        (tmp_path / "root" / name).mkdir(parents=True)
    (tmp_path / "root" / "at-work" / "journal-wal").symlink_to(tmp_path / "gone")
    os.utime(tmp_path / "root" / "old", (0, 0))
    forget_old(tmp_path / "root")
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["at-work"]


@pytest.mark.parametrize(("language", "said"), [("en", "is damaged"), ("zh", "已损坏")])
def test_a_page_of_a_damaged_run_is_a_sentence(tab, language, said) -> None:
    page = tab()
    name = start(page)[-1][page.shelf.chosen]["value"]
    assert page.shelf._turn(name, 1, language)[page.shelf.problem] == ""
    (page.shelf.folders.find(name) / FILE).write_bytes(b"torn" * 2000)
    assert said in page.shelf._turn(name, 1, language)[page.shelf.problem]


def test_a_name_that_leads_out_of_the_folder_is_no_run(tab, tmp_path) -> None:
    page = tab()
    name = start(page)[-1][page.shelf.chosen]["value"]
    read_run(page.shelf.folders.find(name))
    (tmp_path / "runs" / name).rename(tmp_path / "elsewhere")
    for odd in ("../elsewhere", str(tmp_path / "elsewhere"), None, 7, ""):
        assert page.shelf.folders.find(odd) is None
