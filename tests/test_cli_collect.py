import json

import pytest

from augmentlm.cli import main
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.measures import embed
from scripted_cli import ScriptedPool
from scripted_teacher import DOINGS, MODEL, Script


@pytest.fixture
def collect(capsys, monkeypatch, tmp_path):
    rows = [{"instruction": f"Plan {n} days of {DOINGS[n]} and {DOINGS[-n]}."} for n in range(3, 9)]
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(embed, "find_spec", lambda name: None)

    def collect(*more, script=None):
        pool = ScriptedPool(ScriptedEngine(script or Script()))
        try:
            code = main(["collect", "seeds.jsonl", "--teacher", MODEL, "--out", "out", *more], pool=pool)
        except SystemExit as error:  # how argparse ends
            code = error.code
        return code, *capsys.readouterr()

    return collect


def test_collect_prints_the_report_and_says_what_it_does(collect, tmp_path):
    (tmp_path / "shares.toml").write_text("planning = 1\n")
    code, out, err = collect("--shares", "shares.toml", "--chinese", "0")
    assert code == 0, err
    assert "| load | 6 | 6 |" in out and "| `refine/` | 6 |" in out
    assert "augmentlm: classify: 6 of 6 answers" in err and "out/report.md" in err


def test_the_size_and_the_number_of_expansions_are_asked_for(collect, tmp_path):
    assert collect("--size", "40", "--expansions", "1", "--judge", "none")[0] == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["settings"]["judge"] == "none" and report["settings"]["size"] == 40
    written = {row["stage"]: row["before"] for row in report["stages"]}
    assert written["write: expand"] == written["write: refine"]


def test_nothing_that_passes_is_told_by_the_exit_code(collect):
    code, out, _ = collect(script=Script(mark="1"))
    assert code == 1 and "| `refine/` | 0 |" in out


def test_embeddings_without_torch_say_what_to_install(collect):
    code, _, err = collect("--classifier", "embedding")
    assert code == 2 and "Sentence embeddings need torch" in err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--size", "0"), "The size is 1 or more"),
        (("--least", "9"), "a mark 1 to 5"),
        (("--shares", "none.toml"), "none.toml can't be read"),
        (("--judge", "qwen-max"), "There is no model called 'qwen-max'"),
        (("--judge", "qwen-max@localhost"), "'localhost' is no address"),
        (("--classifier", "guess"), "invalid choice"),
    ],
)
def test_wrong_use_is_answered_in_one_line(collect, more, sentence):
    code, out, err = collect(*more)
    assert code == 2 and out == "" and sentence in err.splitlines()[-1]


def test_a_source_that_is_not_there_is_named(collect, tmp_path):
    (tmp_path / "seeds.jsonl").unlink()
    code, _, err = collect()
    assert code == 2 and "seeds.jsonl can't be read" in err
