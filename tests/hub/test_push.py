"""A run's data set goes to the hub: private unless told otherwise, with its card."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError, PublishError
from augmentlm.reports.dataset import keep_current, run_report
from augmentlm.runs import shelf
from augmentlm.runs.journal import held
from augmentlm.runs.outputs import Output
from augmentlm.runs.push import push
from augmentlm.runs.run import run
from scripted_cli import ScriptedPool
from scripted_run import dreamed


@pytest.fixture
def folder(tmp_path, no_embedder):
    list(run(["Paint a boat", "Sell two hens"], tmp_path, n=4, pool=ScriptedPool(ScriptedEngine(dreamed))))
    return tmp_path


def test_a_data_set_goes_up_with_its_card_and_stays_private(hub, folder) -> None:
    run_report(folder)
    done = push(folder, "mine")
    repo = hub.repo(done.repo, "dataset")
    assert done.repo == "ada/mine"
    assert repo.private
    files = {path for path in repo.head.files if path[0] != "."}
    assert files == {"README.md", "report.html", "report.json", "rejected.jsonl", "data.jsonl"}
    assert len(repo.head.files["data.jsonl"].splitlines()) == 4
    assert json.loads(repo.head.files["data.jsonl"].splitlines()[0])["instruction"]
    assert not push(folder, "mine").is_new


def test_it_is_public_when_that_is_wanted(hub, folder) -> None:
    run_report(folder)
    assert not hub.repo(push(folder, "ada/open", private=False).repo, "dataset").private


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("card", [b"---\ntags:\n- birds\n---\n# Birds\n", None])
def test_files_that_somebody_else_put_there_are_not_replaced(hub, folder, private, card) -> None:
    run_report(folder)
    files = {"birds.csv": b"wren\n"} | ({"README.md": card} if card else {})
    birds = hub.put("ada/mine", files, kind="dataset", private=private)
    with pytest.raises(PublishError, match="There is a dataset ada/mine that AugmentLM did not make"):
        push(folder, "mine", private=private)
    assert birds.head.files == files and not birds.tags


def test_a_repository_that_is_still_empty_is_filled(hub, folder) -> None:
    run_report(folder)
    hub.put("ada/mine", {".gitattributes": b""}, kind="dataset", private=True)
    assert push(folder, "mine").is_new


def test_a_data_set_of_ours_is_replaced_by_its_next_version(hub, folder) -> None:
    run_report(folder)
    push(folder, "mine")
    shelf.rewrite(folder, Output(file="csv"))
    run_report(folder)
    assert push(folder, "mine").is_new
    repo = hub.repo("ada/mine", "dataset")
    assert "data.csv" in repo.head.files and "data.jsonl" not in repo.head.files and len(repo.tags) == 2


def killed(folder: Path, rows: int, **settings: Any) -> Path:
    """What a kill leaves of the run in `folder`, which goes on to 20 rows, in the moment when it has `rows` of them."""
    pool = ScriptedPool(ScriptedEngine(dreamed))
    left = folder.with_name("killed")
    with closing(run(["Paint a boat", "Sell two hens"], folder, n=20, pool=pool, **settings)) as working:
        next(progress for progress in working if progress.accepted == rows)
        shutil.copytree(folder, left)
    return left


@pytest.mark.parametrize("file", ["jsonl", "json"])
@pytest.mark.parametrize("begun", [True, False], ids=["while it was extended", "before it ever wrote its rows"])
def test_of_a_run_that_was_killed_the_rows_go_up_that_its_card_and_report_count(
    hub, tmp_path, no_embedder, begun, file
) -> None:
    pool = ScriptedPool(ScriptedEngine(dreamed))
    if begun:
        list(run(["Paint a boat", "Sell two hens"], tmp_path / "run", n=4, pool=pool))
        run_report(tmp_path / "run")
    folder = killed(tmp_path / "run", 9, file=file)
    keep_current(folder)
    push(folder, "mine")
    repo = hub.repo("ada/mine", "dataset")
    files = {path: content.decode() for path, content in repo.head.files.items() if path[0] != "."}
    data = files[f"data.{file}"]
    numbers = json.loads(files["report.json"])
    assert len(json.loads(data) if file == "json" else data.splitlines()) == numbers["accepted"] == 9
    assert len(files["rejected.jsonl"].splitlines()) == numbers["candidates"] - 9
    assert "9 synthetic rows" in files["README.md"] and [tag[:7] for tag in repo.tags] == ["rows-9-"]
    assert not push(folder, "mine").is_new


def test_a_run_at_work_stays_here(hub, folder) -> None:
    run_report(folder)
    with held(folder), pytest.raises(InputError, match="Another program works"):
        push(folder, "mine")
    assert not hub.repos


def test_a_file_that_a_person_changed_goes_up_as_it_is(hub, folder) -> None:
    run_report(folder)
    data = folder / "data.jsonl"
    data.write_text(data.read_text(encoding="utf-8").replace("and", "or"), encoding="utf-8")
    changed = data.read_bytes()
    push(folder, "mine")
    assert hub.repo("ada/mine", "dataset").head.files["data.jsonl"] == changed


@pytest.mark.parametrize("file", ["jsonl", "json", "csv"])
def test_rows_may_talk_about_files(hub, tmp_path, no_embedder, file) -> None:
    seeds = ["Where is /home/app/config.yml read?", "Empty /tmp/x and /root/.cache"]
    script = ScriptedEngine(lambda request: f"{dreamed(request)} in /home/eve/notes and /mnt/x")
    list(run(seeds, tmp_path, n=3, file=file, pool=ScriptedPool(script)))
    run_report(tmp_path)
    assert push(tmp_path, "mine").is_new


def test_a_data_set_without_a_card_or_a_name_stays_here(hub, folder) -> None:
    with pytest.raises(InputError, match="no card yet"):
        push(folder, "mine")
    with pytest.raises(InputError, match="no name for a data set"):
        push(folder, "my data/set/x")
