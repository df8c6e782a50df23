"""What a run's folder tells when it is read back."""

import pytest

from augmentlm.errors import InputError
from augmentlm.examples import Example
from augmentlm.runs.journal import Journal, Text, Verdict
from augmentlm.runs.rows import read_run
from augmentlm.runs.spec import Spec, Step
from augmentlm.tasks import Message

SAMPLING = {"temperature": 0.7, "top_p": 0.95, "top_k": 50, "max_tokens": 64}
SPEC = Spec(
    (
        Step("expand", "small", "scripted", "none", "sha256:1", SAMPLING),
        Step("respond", "large", "scripted", "none", "sha256:2", SAMPLING),
    ),
    n=1,
)
SEEDS = [Example("Name a river", "The Elbe", (Message("system", "Be brief"),), "knowledge"), Example("Name a lake")]


def text(key: str, step: str, words: str) -> Text:
    return Text(key, step, words, "stop", 5, 3, 0.5, 11)


def filled(folder) -> None:
    journal = Journal(folder)
    journal.begin(SPEC.as_json(), SEEDS)
    for one in (text("a", "expand", "Name a hill"), text("b", "expand", "Name a lake"), text("c", "respond", "K2")):
        journal.add_text(one)
    journal.add_verdicts([Verdict(0, 0, "a"), Verdict(1, 0, "b", "near_copy", "1.00 ROUGE-L with seed 2")])
    journal.add_verdicts([Verdict(0, 1, "c"), Verdict(2, 0, "a")])
    journal.close()


def test_a_run_is_read_up_to_the_row_that_completes_it(tmp_path) -> None:
    filled(tmp_path)
    run = read_run(tmp_path)
    assert run.spec == SPEC
    assert run.seeds == tuple(SEEDS)
    [record] = run.records
    assert (record.status, record.step, record.instruction, record.response) == (
        "accepted",
        "respond",
        "Name a hill",
        "K2",
    )
    assert [(made.step, made.model, made.seed, made.completion_tokens) for made in record.made] == [
        ("expand", "small", 11, 3),
        ("respond", "large", 11, 3),
    ]
    assert record.kind == "knowledge"
    assert record.seed == SEEDS[0]


def test_a_run_is_read_while_another_process_works_on_it(tmp_path, monkeypatch) -> None:
    filled(tmp_path)
    read = Journal.texts

    def texts(journal: Journal):
        yield from read(journal)
        writer = Journal(tmp_path)  # both land after the texts were read
        writer.add_text(text("d", "respond", "A reply"))
        writer.add_verdicts([Verdict(2, 1, "d")])
        writer.close()

    journal = Journal(tmp_path)
    journal.set_meta("spec", {**SPEC.as_json(), "n": 5})
    journal.close()
    monkeypatch.setattr(Journal, "texts", texts)
    assert len(read_run(tmp_path).accepted) == 1
    assert len(read_run(tmp_path).accepted) == 2


def test_a_run_that_wants_more_tells_its_rejects_with_their_evidence(tmp_path) -> None:
    filled(tmp_path)
    journal = Journal(tmp_path)
    journal.set_meta("spec", {**SPEC.as_json(), "n": 2})
    journal.close()
    run = read_run(tmp_path)
    assert len(run.accepted) == 1
    [reject] = run.rejected
    assert (reject.candidate, reject.code, reject.evidence) == (1, "near_copy", "1.00 ROUGE-L with seed 2")
    assert reject.instruction == "Name a lake"


def test_a_folder_without_a_run_is_said_to_be_one(tmp_path) -> None:
    with pytest.raises(InputError, match="no run"):
        read_run(tmp_path)


def test_a_run_that_was_killed_in_its_first_moment_is_none(tmp_path) -> None:
    Journal(tmp_path).close()
    with pytest.raises(InputError, match="no run"):
        read_run(tmp_path)
