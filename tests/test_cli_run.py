"""`augmentlm run` as a person meets it."""

import json
import re
from collections.abc import Callable

import pytest

from augmentlm.cli import main
from augmentlm.engines.scripted import ScriptedEngine
from scripted_cli import ScriptedPool
from scripted_run import dreamed

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch, no_embedder) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "Paint a boat"}\n{"instruction": "Sell two hens"}\n')

    def run(*arguments: str, script=dreamed) -> tuple[int, str, str]:
        code = main(["run", *arguments], pool=ScriptedPool(ScriptedEngine(script)))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_seeds_become_the_rows_asked_for(run, tmp_path) -> None:
    code, out, err = run("seeds.jsonl", "--steps", "expand,respond", "-n", "12", "--out", "mine")
    assert (code, out) == (0, "mine/data.jsonl\n")
    assert "2 seeds, read as instruction; 0 with a response." in err
    assert "12 of 12 accepted" in err
    rows = [json.loads(line) for line in (tmp_path / "mine" / "data.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert rows[0].keys() == {"instruction", "response", "provenance"}


def test_a_report_and_a_card_lie_beside_the_data_set(run, tmp_path) -> None:
    code, _, err = run("seeds.jsonl", "--steps", "expand", "-n", "5", "--out", "mine")
    assert code == 0 and "The report is mine/report.html." in err
    assert "5 of 5 rows accepted" in (tmp_path / "mine" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "mine" / "report.json").read_text(encoding="utf-8"))["accepted"] == 5
    assert (tmp_path / "mine" / "README.md").read_text(encoding="utf-8").startswith("---\n")
    run("seeds.jsonl", "--steps", "expand", "-n", "5", "--out", "bare", "--no-report")
    assert not (tmp_path / "bare" / "report.html").exists()


def test_a_run_that_falls_short_says_why_and_ends_with_1(run) -> None:
    code, _, err = run("seeds.jsonl", "-n", "3", "--out", "mine", script=lambda request: "Paint a boat")
    assert code == 1
    assert "Exhausted after 30 candidates: 0 of 3 accepted, 30 rejected (30 near_copy)." in err


def test_settings_are_for_all_steps_or_for_one(run, tmp_path) -> None:
    more = ["--max-tokens", "99", "--temperature", "expand=0.9", "--model", "respond=qwen2.5-coder-0.5b-instruct"]
    run("seeds.jsonl", "-n", "1", "--out", "mine", *more, "--max-tokens", "respond=50")
    [row] = [json.loads(line) for line in (tmp_path / "mine" / "data.jsonl").read_text().splitlines()]
    expand, respond = row["provenance"]["steps"]
    assert (expand["max_tokens"], expand["temperature"]) == (99, 0.9)
    assert (respond["max_tokens"], respond["temperature"]) == (50, 0.3)
    assert respond["model"] == "qwen2.5-coder-0.5b-instruct"


def test_a_changed_setting_is_named(run) -> None:
    run("seeds.jsonl", "-n", "2", "--out", "mine")
    code, _, err = run("seeds.jsonl", "-n", "2", "--out", "mine", "--temperature", "expand=1.1")
    assert code == 2
    assert re.search(r"temperature of expand was 0\.\d and is 1\.1 now", err)


def test_the_folder_alone_is_enough_to_go_on(run, tmp_path) -> None:
    run("seeds.jsonl", "-n", "2", "--out", "mine", "--file", "json")
    code, out, err = run("--out", "mine", "-n", "6")
    assert (code, out) == (0, "mine/data.json\n")
    assert "6 of 6 accepted" in err
    assert len(json.loads((tmp_path / "mine" / "data.json").read_text())) == 6


def test_a_dry_run_reckons_and_leaves_nothing(run, tmp_path) -> None:
    code, out, _ = run("seeds.jsonl", "-n", "1000", "--dry-run", "--price", "respond=1,1000")
    assert code == 0
    assert "1000 rows will take about" in out
    assert "respond:" in out
    assert "of money" in out.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["seeds.jsonl"]


def test_rows_that_cannot_be_read_are_told_and_the_rest_goes_on(run, tmp_path) -> None:
    with (tmp_path / "seeds.jsonl").open("a") as file:
        file.write('{"instruction": NaN}\n{"instruction": "Paint a boat"}\n{"\\u001b[2J": 1, "\\u001b[2J": 2}\n{"ins')
    code, _, err = run("seeds.jsonl", "-n", "2", "--out", "mine")
    assert code == 0
    assert "3 seeds, read as instruction; 0 with a response, 1 of them repeated and taken once." in err
    assert "left out: Line 3 holds NaN, which is not JSON." in err
    assert "left out: Line 5 names [2J twice." in err
    assert "left out: Line 6 breaks off in the middle." in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.jsonl", "--out", "mine"], "none.jsonl can't be read"),
        (["seeds.jsonl"], "--out is missing"),
        (["--out", "mine"], "There is no run in mine"),
        (["--dry-run"], "There are no seeds"),
        (["seeds.jsonl", "--out", "mine", "--steps", "write"], "no step called 'write'"),
        (["seeds.jsonl", "--out", "mine", "--map", "instruction"], "--map instruction is not understood"),
        (["seeds.jsonl", "--out", "mine", "--temperature", "hot"], "--temperature takes a number"),
        (["seeds.jsonl", "--out", "mine", "--temperature", "pair=1"], "pair is not one of the steps"),
        (["seeds.jsonl", "--dry-run", "--price", "free"], "--price free is not understood"),
        (["seeds.jsonl", "--out", "mine", "-n", "0"], "0 rows can't be made"),
    ],
)
def test_wrong_use_is_answered_in_one_line(run, arguments, said) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]


def test_a_run_that_goes_on_without_seeds_can_be_written_otherwise(run, tmp_path) -> None:
    run("seeds.jsonl", "--steps", "expand,respond", "-n", "4", "--out", "mine", "--no-report")
    code, out, _ = run("--out", "mine", "--file", "csv", "--format", "alpaca", "--bare", "--no-report")
    assert (code, out) == (0, "mine/data.csv\n")
    assert (tmp_path / "mine" / "data.csv").read_text(encoding="utf-8-sig").splitlines()[
        0
    ] == "instruction,input,output"
    code, out, _ = run("--out", "mine", "-n", "6", "--no-report")
    assert (code, out) == (0, "mine/data.csv\n")


@pytest.mark.parametrize(
    "options",
    [["--near-copy", "0.5"], ["--seed", "5"], ["--model", "respond=qwen2.5-coder-0.5b-instruct"], ["--steps", "pair"]],
)
def test_a_run_that_goes_on_without_seeds_refuses_what_would_change_its_rows(run, options) -> None:
    run("seeds.jsonl", "-n", "2", "--out", "mine", "--no-report")
    code, _, err = run("--out", "mine", *options)
    assert code == 2
    assert f"goes on as it was begun, and {options[0]} would change it." in err
