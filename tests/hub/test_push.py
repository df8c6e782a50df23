"""A run's data set goes to the hub: private unless told otherwise, with its card."""

from __future__ import annotations

import json

import pytest

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError
from augmentlm.reports.dataset import run_report
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
    assert files == {"README.md", "report.html", "rejected.jsonl", "data.jsonl"}
    assert len(repo.head.files["data.jsonl"].splitlines()) == 4
    assert json.loads(repo.head.files["data.jsonl"].splitlines()[0])["instruction"]
    assert not push(folder, "mine").is_new


def test_it_is_public_when_that_is_wanted(hub, folder) -> None:
    run_report(folder)
    assert not hub.repo(push(folder, "ada/open", private=False).repo, "dataset").private


def test_a_data_set_without_a_card_or_a_name_stays_here(hub, folder) -> None:
    with pytest.raises(InputError, match="no card yet"):
        push(folder, "mine")
    with pytest.raises(InputError, match="no name for a data set"):
        push(folder, "my data/set/x")
