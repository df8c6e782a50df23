import json
import re
from pathlib import Path

import pytest

from augmentlm import catalog
from augmentlm.cli import main
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.measures import embed
from scripted_cli import ScriptedPool

ROOT = Path(__file__).parents[1]
OURS, BASE = "augmentlm-0.5b-refine", "qwen2.5-coder-0.5b-instruct"
PUBLISHED = "qwen2-1.5b-instruct-exp"


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command on the scripted engine, without embeddings; gives exit code, stdout and stderr."""
    real = embed.find_spec
    monkeypatch.setattr(embed, "find_spec", lambda name: None if name == "torch" else real(name))

    def run(*arguments):
        engine = ScriptedEngine(lambda request: f"List ten facts. Use request {request.sampling.seed}.")
        try:
            code = main([str(argument) for argument in arguments], pool=ScriptedPool(engine))
        except SystemExit as error:  # how argparse ends
            code = error.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def evaluate(run, tmp_path):
    prompts = tmp_path / "mine.txt"
    prompts.write_text("facts about owls\nfacts about dogs\n", encoding="utf-8")

    def evaluate(*more):
        return run("evaluate", "refine", OURS, BASE, "--out", tmp_path / "out", "--prompts", prompts, *more)

    return evaluate


def test_evaluate_prints_the_table_and_says_what_it_does(evaluate, tmp_path):
    code, out, err = evaluate()
    assert code == 0 and "| asks instead of answering | 100.0 %" in out and "Left out: Sentence embeddings" in out
    assert f"augmentlm: {OURS}: 2 of 2 samples" in err
    report = json.loads((tmp_path / "out" / "refine" / "eval.json").read_text(encoding="utf-8"))
    assert list(report["systems"]) == [OURS, BASE] and report["prompts"]["source"] == "mine.txt"


def test_evaluate_takes_the_held_out_families_by_default(run, tmp_path):
    out = tmp_path / "out"
    code, _, err = run("evaluate", "refine", OURS, "--out", out, "--data", ROOT / "data", "--limit", 3)
    assert code == 0, err
    assert json.loads((out / "refine" / "eval.json").read_text(encoding="utf-8"))["prompts"]["count"] == 3


def test_a_sheet_goes_out_and_verdicts_come_back(evaluate, tmp_path):
    sheet = tmp_path / "sheet.jsonl"
    code, _, err = evaluate("--blind", sheet)
    assert code == 0 and "keep sheet.key.json from the reader" in err
    names = [json.loads(line)["id"] for line in sheet.read_text(encoding="utf-8").splitlines()]
    read = tmp_path / "read.jsonl"
    read.write_text("".join(json.dumps({"id": name, "winner": "tie"}) + "\n" for name in names), encoding="utf-8")
    code, out, _ = evaluate("--verdicts", read, "--key", tmp_path / "sheet.key.json", "--reader", "Ada")
    assert code == 0 and "| preferred by Ada (blind) |  | 0 / 2 / 0 |" in out


def test_the_numbers_go_into_the_card_when_asked(run, tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "cards_folder", lambda: tmp_path / "cards")
    prompts = tmp_path / "mine.txt"
    prompts.write_text("facts about owls\n", encoding="utf-8")
    command = ("evaluate", "refine", BASE, "--out", tmp_path / "out", "--prompts", prompts, "--card")
    code, _, err = run(*command)
    assert code == 2 and "README.md can't be read" in err
    card = tmp_path / "cards" / BASE / "README.md"
    card.parent.mkdir(parents=True)
    card.write_text("# Mine\n\n<!-- eval -->\n<!-- end eval -->\n", encoding="utf-8")
    assert run(*command)[0] == 0
    assert "| no preamble | 100.0 %" in card.read_text(encoding="utf-8")


@pytest.fixture
def expand(run, tmp_path, monkeypatch):
    """`evaluate expand` of these systems, with a report; the speed is not measured."""
    monkeypatch.setattr("augmentlm.reports.comparison.speeds", lambda *given: {})
    prompts = tmp_path / "mine.txt"
    prompts.write_text("Name the rivers of Europe\nName the lakes of Asia\n", encoding="utf-8")

    def expand(*systems_and_more):
        to = ("--out", tmp_path / "out", "--prompts", prompts, "--report", tmp_path / "report.html")
        return run("evaluate", "expand", *systems_and_more, *to)

    return expand


def baseline_of(folder: Path):
    return json.loads((folder / "out" / "expand" / "comparison.json").read_text(encoding="utf-8"))["baseline"]


def test_a_report_of_models_whose_base_is_not_here_has_no_baseline_and_says_so_first(expand, tmp_path):
    code, _, err = expand(PUBLISHED)
    assert code == 0, err
    assert baseline_of(tmp_path) is None and (tmp_path / "report.html").is_file()
    assert err.startswith("augmentlm: The report has no baseline: ")
    assert err.index("no baseline") < err.index("2 of 2 samples")


def test_the_baseline_is_the_first_base_that_can_respond(expand, tmp_path):
    code, _, err = expand(PUBLISHED, "augmentlm-0.5b-expand")
    assert code == 0 and "no baseline" not in err
    assert baseline_of(tmp_path)["model"] == BASE
    assert expand(PUBLISHED, "--baseline", BASE)[0] == 0
    assert baseline_of(tmp_path)["model"] == BASE


def test_a_baseline_that_can_not_respond_is_refused_before_anything_is_made(expand, tmp_path):
    code, out, err = expand(PUBLISHED, "--baseline", PUBLISHED)
    assert code == 2 and f"{PUBLISHED} can't do respond" in err and err.count("\n") == 1
    assert out == "" and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--samples", "0"), "--samples and --limit are 1 or more"),
        (("--limit", "0"), "--samples and --limit are 1 or more"),
        (("--verdicts", "read.jsonl"), "--verdicts, --key and --reader belong together"),
        (("--judge", "qwen-max"), "There is no model called 'qwen-max'"),
        (("--judge", "qwen-max@localhost"), "'localhost' is no address"),
    ],
)
def test_wrong_use_of_evaluate_is_answered_in_one_line(evaluate, more, sentence):
    code, out, err = evaluate(*more)
    assert code == 2 and out == "" and sentence in err and err.count("\n") == 1


def test_a_sheet_of_one_system_is_refused(run, tmp_path):
    code, _, err = run("evaluate", "refine", OURS, "--out", tmp_path, "--blind", tmp_path / "sheet.jsonl")
    assert code == 2 and "needs two systems" in err


def test_train_trains_a_recipe_and_prints_where_the_adapter_is(run, tmp_path, tiny_base, one_thread):
    data = tmp_path / "data" / "refine"
    data.mkdir(parents=True)
    lines = [json.dumps({"id": f"r-{n}", "raw": f"sum {n}", "refined": f"Add up to {n}."}) + "\n" for n in range(12)]
    (data / "all.jsonl").write_text("".join(lines), encoding="utf-8")
    recipe = (ROOT / "src" / "augmentlm" / "distill" / "recipes" / "refine.toml").read_text(encoding="utf-8")
    whole = re.sub(r"(?m)^epochs = .*$", "epochs = 1", recipe)  # a share of so few rows would be none
    (tmp_path / "mine.toml").write_text(whole, encoding="utf-8")
    arguments = ("--out", tmp_path / "out", "--data", tmp_path / "data", "--base", tiny_base)
    code, out, err = run("train", tmp_path / "mine.toml", *arguments)
    assert code == 0, err
    assert out.splitlines()[-1] == str(tmp_path / "out" / "adapter")
    assert (tmp_path / "out" / "adapter" / "adapter_model.safetensors").is_file()


def test_train_says_what_is_missing(run, tmp_path, monkeypatch):
    code, _, err = run("train", tmp_path / "none.toml", "--out", tmp_path)
    assert code == 2 and "none.toml can't be read" in err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = run("train", "refine", "--out", tmp_path)
    assert code == 2 and "Training needs torch, transformers, peft, accelerate" in err
