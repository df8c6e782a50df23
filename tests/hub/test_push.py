"""A run's data set goes to the hub: private unless told otherwise, with its card."""

from __future__ import annotations

import json

import pytest

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError, PublishError
from augmentlm.reports.dataset import run_report
from augmentlm.runs import shelf
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


def test_a_run_that_was_killed_before_it_wrote_its_rows_stays_here(hub, folder) -> None:
    run_report(folder)
    (folder / "data.jsonl").unlink()
    with pytest.raises(InputError, match="not written yet"):
        push(folder, "mine")


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
