"""Runs that are there already."""

import json

import pytest

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError
from augmentlm.runs import shelf
from augmentlm.runs.journal import held
from augmentlm.runs.outputs import Output
from augmentlm.runs.rows import read_run
from augmentlm.runs.run import resume
from scripted_cli import ScriptedPool
from scripted_run import dreamed


def test_runs_are_listed_the_newest_first(work, tmp_path) -> None:
    work(n=3, out="2026-01")
    work(n=2, out="2026-02", steps=["expand"])
    (tmp_path / "else").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.sqlite").write_text("")
    assert [(entry.folder.name, entry.steps, entry.accepted, entry.wanted) for entry in shelf.runs(tmp_path)] == [
        ("2026-02", ("expand",), 2, 2),
        ("2026-01", ("expand", "respond"), 3, 3),
    ]
    assert shelf.runs(tmp_path / "none") == []


def test_struck_rows_are_rejects_and_others_take_their_place(work, out) -> None:
    found, _ = work(n=5)
    gone = [found.accepted[1].candidate, found.accepted[3].candidate]
    shelf.strike(out, gone)
    assert len((out / "data.jsonl").read_text().splitlines()) == 3
    rejects = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [reject["provenance"]["candidate"] for reject in rejects if reject["reason"] == "struck"] == gone

    told = list(resume(out, pool=ScriptedPool(ScriptedEngine(dreamed))))
    assert told[-1].accepted == 5
    kept = [record.candidate for record in read_run(out).accepted]
    assert not set(kept) & set(gone)
    assert kept[:3] == [record.candidate for record in found.accepted if record.candidate not in gone]


def test_a_run_is_resumed_from_its_folder_alone_and_extended(work, out) -> None:
    work(n=4, file="json", provenance=False)
    told = list(resume(out, n=9, pool=ScriptedPool(ScriptedEngine(dreamed))))
    assert told[-1].accepted == 9
    assert len(json.loads((out / "data.json").read_text())) == 9


def test_the_data_set_can_be_written_in_another_form(work, out) -> None:
    work(n=4)
    path = shelf.rewrite(out, Output("sharegpt", "json", provenance=False))
    assert [row.keys() for row in json.loads(path.read_text())] == [{"conversations"}] * 4


def test_a_run_at_work_is_left_alone(work, out) -> None:
    work(n=2)
    with held(out), pytest.raises(InputError, match="Another program works"):
        shelf.strike(out, [0])
