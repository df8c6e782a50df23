"""Every command and every program in the README is run."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from augmentlm.cli import _parser, main
from augmentlm.distill.preferences import preferences
from augmentlm.distill.recipe import RECIPES
from augmentlm.distill.sets import split_of
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.machine import Gpu, Machine
from augmentlm.ui.launch import launch
from scripted_cli import ScriptedPool, novel
from scripted_run import dreamed
from scripted_teacher import Script

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SEEDS = '{"instruction": "Plan a trip to Kyoto"}\n{"instruction": "Name three primary colours"}\n'
PAIRS = '{"prompt": "Name a colour.", "completion": "Red."}\n{"prompt": "Name a bird.", "completion": "Wren."}\n'


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line.split("  #")[0].strip() for block in blocks("bash") for line in block.splitlines() if line.strip()]
OURS = [command for command in COMMANDS if command.startswith("augmentlm ")]
TRAIN = [command for command in OURS if command.startswith("augmentlm train ")]
ELSEWHERE = [command for command in OURS if "--endpoint" in command or "pull" in command or command in TRAIN]
PROGRAMS = blocks("python")
(CLIENT,) = [program for program in PROGRAMS if "gradio_client" in program]
NEWS = re.compile(
    r"augmentlm: (note|[\w. -]+: \d+ of \d+ (answers|samples|rows)|this is |the base is "
    r"|\d+ seeds, read as |\d+ of \d+ accepted|The report is )"
)
SETUP = [command for command in COMMANDS if command not in OURS]


def test_the_readme_begins_with_the_two_commands_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    first, second = COMMANDS[:2]
    assert first == "pip install -r requirements.txt && python app.py"
    assert all(part in ci for part in ('pip" install -q -r requirements.txt', 'python" app.py'))
    assert second in ci.splitlines()


@pytest.mark.parametrize("command", SETUP[2:])
def test_other_set_up_commands_name_extras_that_exist(command: str) -> None:
    extras = re.fullmatch(r'pip install -e "\.\[(\w+)\]"', command)
    assert extras, "only known kinds of set-up commands stand in the README"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras.group(1) in project["optional-dependencies"]


@pytest.mark.parametrize("command", [command for command in OURS if command not in ELSEWHERE])
def test_commands_run_as_they_stand(command: str, tmp_path, monkeypatch, capsys, no_embedder) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples.jsonl").write_text(PAIRS)
    (tmp_path / "seeds.jsonl").write_text(SEEDS)
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "prompts.txt").write_text("write about dogs\nexplain tides\n")
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))  # not among this user's votes
    card = Gpu("a card", 24 * 2**30, 24 * 2**30, 8.9)
    large = Machine(64 * 2**30, 60 * 2**30, 500 * 2**30, 8, frozenset(), (card,))
    monkeypatch.setattr("augmentlm.augmenter.inspect", lambda: large)
    if " collect " in command:  # without embeddings, which would be fetched
        monkeypatch.setattr("augmentlm.measures.embed.find_spec", lambda name: None)
    script = Script() if " collect " in command else dreamed if " run " in command else novel()
    code = main(shlex.split(command)[1:], pool=ScriptedPool(ScriptedEngine(script)))
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if not NEWS.match(line)]
    assert (code, said) == (0, []), err
    assert out


@pytest.mark.real
def test_the_download_command_leaves_the_weights_here(capsys) -> None:
    (command,) = [command for command in OURS if "pull" in command]
    assert main(shlex.split(command)[1:]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


@pytest.mark.parametrize("command", TRAIN)
def test_a_training_command_has_arguments_and_a_recipe_that_exist(command: str) -> None:
    options = _parser().parse_args(shlex.split(command)[1:])
    assert (RECIPES / f"{options.recipe}.toml").is_file()
    assert options.begin is None or (ROOT / options.begin / "adapter_config.json").is_file()


def test_the_scored_texts_that_are_shown_are_a_preference(tmp_path) -> None:
    (row,) = re.findall(r'`(\{"id".*"texts".*\})`', README)
    folder = tmp_path / "scored" / "expand"
    folder.mkdir(parents=True)
    (folder / "mine.jsonl").write_text(row + "\n", encoding="utf-8")
    assert preferences("expand", tmp_path, split_of(json.loads(row)["id"]), gap=2)


def test_the_client_of_the_app_gets_a_text_and_the_row_that_is_shown(capsys) -> None:
    address = launch(pool=ScriptedPool(ScriptedEngine(novel())), wait=False)
    found: dict[str, Any] = {}
    exec(compile(CLIENT.replace("http://127.0.0.1:7860", address), "README.md", "exec"), found)
    (shown,) = map(json.loads, blocks("json"))
    assert list(found["row"]) == list(shown)
    assert found["row"]["output"] == found["text"] and found["text"] in capsys.readouterr().out


@pytest.mark.real
@pytest.mark.timeout(1800)  # a whole run: minutes where the CPU has no bf16 instructions
@pytest.mark.parametrize("program", [program for program in PROGRAMS if program != CLIENT])
def test_programs_run_on_the_real_model(program: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.split()) > 20


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_links_lead_to_files_that_exist(path: str) -> None:
    assert (ROOT / path).exists()


def test_json_keys_are_the_ones_that_are_printed() -> None:
    from test_cli import KEYS

    assert ", ".join(KEYS) in " ".join(README.split())
