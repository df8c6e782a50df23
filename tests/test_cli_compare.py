"""`compare` and `votes` on the scripted engine."""

import json
import subprocess
import sys

import pytest

from augmentlm import formats
from augmentlm.cli import main
from augmentlm.engines.scripted import ScriptedEngine
from scripted_cli import ScriptedPool


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a command at a new user's; gives exit code, stdout and stderr. The judge likes what the adapter writes."""
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    (tmp_path / "prompts.txt").write_text("facts about owls\nfacts about dogs\nfacts about rain\n", encoding="utf-8")

    def script(request):
        asked = request.messages[-1].content
        if "[A]" in asked:
            return "A" if "tuned" in asked.split("[B]")[0] else "B"
        return f"List ten facts, {'tuned' if request.adapter else 'plain'} {request.sampling.seed}."

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments], pool=ScriptedPool(ScriptedEngine(script)))
        except SystemExit as error:  # how argparse ends
            code = error.code
        return code, *capsys.readouterr()

    return run


def test_compare_says_who_won_how_sure_it_is_and_who_judged(run, tmp_path):
    code, out, err = run("compare", tmp_path / "prompts.txt", "--left", "embedded", "--right", "reference")
    assert code == 0, err
    assert out.startswith("refine: AugmentLM 0.5B Refine against Qwen2.5 Coder 1.5B Instruct\n")
    assert "judged by Qwen2.5 Coder 1.5B Instruct, a model, in both orders, which is one of the two" in out
    assert "  wins        3  100 % (44–100)" in out
    assert "Too few votes to say which is better." in out
    assert "augmentlm-0.5b-refine: 3 of 3" in err


def test_json_holds_the_same_and_the_right_side_can_win(run, tmp_path):
    command = ("compare", tmp_path / "prompts.txt", "--left", "reference", "--right", "embedded", "--json")
    code, out, _ = run(*command, "--judge", "qwen2.5-coder-0.5b-instruct", "--limit", 2, "--out", tmp_path / "here")
    found = json.loads(out)
    assert (code, found["losses"], found["judge"]) == (0, 2, "qwen2.5-coder-0.5b-instruct")
    assert found["judges_itself"] is False and (tmp_path / "here" / "refine").is_dir()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--left", "reference"), "Both sides are the same model"),
        (("--judge", "augmentlm-0.5b-refine"), "AugmentLM 0.5B Refine can't judge. These can: qwen2.5-coder"),
        (("--left", "augmentlm-0.5b-refin"), "Did you mean augmentlm-0.5b-refine"),
        (("--left", "augmentlm-0.5b-expand"), "augmentlm-0.5b-expand can't do refine"),
        (("--right", "x@nowhere"), "is no address"),
        (("--limit", "0"), "--limit is 1 or more"),
    ],
)
def test_wrong_use_is_one_sentence(run, tmp_path, options, sentence):
    code, out, err = run("compare", tmp_path / "prompts.txt", *options)
    assert code == 2 and sentence in err and out == "" and err.count("\n") == 1


def test_a_damaged_file_of_votes_is_a_sentence_and_what_was_made_is_kept(run, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "votes.sqlite").write_text("notes " * 500)
    code, _, err = run("compare", tmp_path / "prompts.txt", "--out", tmp_path / "out")
    assert code == 2 and "the file is damaged. Move it away, and a new one is begun." in err
    assert len(list((tmp_path / "out" / "refine").glob("*.jsonl"))) == 2
    assert (tmp_path / "home" / "votes.sqlite").read_text() == "notes " * 500


def test_votes_are_listed_and_taken_away(run, tmp_path):
    assert "There are no votes yet" in run("votes")[1]
    run("compare", tmp_path / "prompts.txt")
    code, out, _ = run("votes")
    assert code == 0 and "judged by Qwen2.5 Coder 1.5B Instruct, a model" in out and "wins" in out
    pairs, votes = tmp_path / "a" / "new" / "folder" / "pairs.jsonl", tmp_path / "all.jsonl"
    assert json.loads(run("votes", "preferences", pairs)[1])["rows"] == 3
    assert json.loads(run("votes", "export", votes)[1])["votes"] == 3
    code, _, err = run("votes", "export", votes / "in-a-file.jsonl")
    assert code == 2 and err.count("\n") == 1
    assert json.loads(run("votes", "export", votes, "--people")[1])["rows"] == 0
    first = json.loads(formats.read_text(pairs).splitlines()[0])
    assert "tuned" in first["chosen"] and "plain" in first["rejected"] and first["prompt"].startswith("facts about")


def test_the_verbs_answer_for_help_without_loading_anything_heavy():
    script = "import sys, augmentlm.cli; print('sqlite3' in sys.modules, 'augmentlm.arena' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
