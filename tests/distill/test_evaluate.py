import json
import threading
from pathlib import Path

import numpy as np
import pytest

from augmentlm.augmenter import load
from augmentlm.distill import rows
from augmentlm.distill.blind import export_blind, import_verdicts, key_of
from augmentlm.distill.card import REPORT, table
from augmentlm.distill.evaluate import Plan, collect, evaluate, first_samples
from augmentlm.distill.prompts import Prompt, dev_prompts
from augmentlm.distill.samples import System
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError, MissingExtraError, StoppedError
from augmentlm.tries import TRIES
from scripted_cli import ScriptedPool
from scripted_refusals import RefusingEngine

DATA = Path(__file__).parents[2] / "data"
OURS, BASE, JUDGE = "augmentlm-0.5b-refine", "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"
SYSTEMS = (System(OURS), System(BASE))
PROMPTS = tuple(Prompt(f"p-{number}", f"{number} facts about owls") for number in range(1, 5))


class Script:
    """Writes good prompts for the first four requests and answers after that; as a judge it prefers the prompts."""

    def __init__(self) -> None:
        self.written = self.judged = 0

    def __call__(self, request) -> str:
        text = request.messages[-1].content
        if "[B]" in text:
            self.judged += 1
            return "A" if "List" in text.split("[B]")[0] else "B"
        self.written += 1
        number = next(word for word in text.split() if word.isdigit())
        return f"List {number} facts about owls, each in one sentence." if self.written <= 4 else "Owls fly by night."

    @property
    def pool(self) -> ScriptedPool:
        return ScriptedPool(ScriptedEngine(self))


def vectors(texts):
    return np.array([[1.0, 0.0] if len(text) % 2 else [0.0, 1.0] for text in texts])


def plan(**changes) -> Plan:
    return Plan(**({"task": "refine", "systems": SYSTEMS, "prompts": PROMPTS, "source": "mine.jsonl"} | changes))


def run(out, script=None, **changes):
    return evaluate(plan(**changes), out, embed=lambda: vectors, pool=(script or Script()).pool)


def test_the_report_has_the_numbers_and_how_they_came_about(tmp_path):
    report = run(tmp_path, judge=System(JUDGE))
    ours, base = report["systems"].values()
    assert ours["rates"]["not_answered"]["share"] == 1 and base["rates"]["not_answered"]["share"] == 0
    assert ours["rates"]["facts_kept"]["rows"] == 4
    assert (ours["tries"], base["tries"], report["tries_at_most"]) == (1, TRIES, TRIES)
    assert ours["engine"] == load("refine", OURS, purpose="batch").engine and "sha256" in str(base["weights"])
    assert report["prompts"]["count"] == 4 and report["prompts"]["source"] == "mine.jsonl"
    assert report["sampling"]["temperature"] == 0.3 and report["left_out"] == ""
    (judged,) = report["judged"]
    assert (judged["judge"], judged["kind"], judged["wins"], judged["losses"]) == (JUDGE, "model", 4, 0)
    assert json.loads((tmp_path / "refine" / REPORT).read_text(encoding="utf-8")) == report
    assert table(report).count("\n| ") > 8


def test_a_rerun_asks_no_model_and_finds_the_same(tmp_path):
    first = run(tmp_path, judge=System(JUDGE))
    again = Script()
    assert run(tmp_path, again, judge=System(JUDGE)) == first
    assert (again.written, again.judged) == (0, 0)


def test_a_stopped_run_writes_no_report_and_goes_on_later(tmp_path):
    script, stop = Script(), threading.Event()
    heard = []

    def told(*news):
        heard.append(news)
        if len(heard) == 4:
            stop.set()

    with pytest.raises(StoppedError):
        evaluate(plan(), tmp_path, embed=lambda: vectors, pool=script.pool, stop=stop, told=told)
    assert not (tmp_path / "refine" / REPORT).exists()
    assert len(rows.read(tmp_path / "refine" / f"{OURS}.jsonl")) == 3
    script.written = 3  # the fourth text was thrown away half-written
    run(tmp_path, script)
    assert script.written == 4 + 4 * TRIES  # answers are asked for again


def test_a_folder_that_another_evaluation_works_in_is_refused(tmp_path):
    with rows.exclusive(tmp_path / "refine"), pytest.raises(InputError, match="Another process is working in"):
        run(tmp_path)


def test_what_failed_can_be_read(tmp_path):
    run(tmp_path)
    assert rows.read(tmp_path / "refine" / "failed" / f"{OURS}.jsonl") == []
    failed = rows.read(tmp_path / "refine" / "failed" / f"{BASE}.jsonl")
    assert len(failed) == 4 and failed[0]["text"] == "Owls fly by night." and "not_answered" in failed[0]["failed"]


def test_without_torch_the_rest_is_measured_and_one_sentence_says_so(tmp_path):
    def missing():
        raise MissingExtraError("Sentence embeddings need torch, not installed here.", hint="Install it.")

    report = evaluate(plan(), tmp_path, embed=missing, pool=Script().pool)
    assert report["left_out"].startswith("Sentence embeddings need torch")
    assert report["systems"][OURS]["spread"] is None and report["systems"][OURS]["rates"]["valid"]["share"] == 1


def test_verdicts_of_a_reader_join_the_report(tmp_path):
    script = Script()
    made = first_samples(collect(plan(), tmp_path, pool=script.pool))
    sheet = tmp_path / "sheet.jsonl"
    export_blind(sheet, *((name, samples) for name, samples in made.items()))
    verdicts = tmp_path / "read.jsonl"
    for item in rows.read(sheet):
        rows.append(verdicts, {"id": item["id"], "winner": "a" if item["a"].startswith("List") else "b"})
    import_verdicts(verdicts, key_of(sheet), "Ada", tmp_path / "refine")
    (judged,) = run(tmp_path, script)["judged"]
    assert (judged["judge"], judged["wins"], judged["ties"], judged["losses"]) == ("Ada", 4, 0, 0)


def test_how_often_the_judge_says_the_same_as_a_reader_is_told(tmp_path):
    script = Script()
    made = first_samples(collect(plan(), tmp_path, pool=script.pool))
    export_blind(tmp_path / "sheet.jsonl", *((name, samples) for name, samples in made.items()))
    verdicts = tmp_path / "read.jsonl"
    for number, item in enumerate(rows.read(tmp_path / "sheet.jsonl")):
        ours = "a" if item["a"].startswith("List") else "b"  # which the judge prefers every time
        rows.append(verdicts, {"id": item["id"], "winner": "tie" if number == 0 else ours})
    import_verdicts(verdicts, key_of(tmp_path / "sheet.jsonl"), "Ada", tmp_path / "refine")
    model, reader = run(tmp_path, script, judge=System(JUDGE))["judged"]
    assert {"passed": 3, "prompts": 4}.items() <= model["agreement"]["Ada"].items()
    assert "agreement" not in reader


def test_a_prompt_that_a_system_takes_no_part_in_counts_against_it(tmp_path):
    def script(request) -> str:
        number = "".join(word for word in request.messages[-1].content.split() if word.isdigit())
        return f"List {number} facts about owls, each in one sentence."

    engine = RefusingEngine(script, lambda request: "3 facts" in request.messages[-1].content)
    report = evaluate(plan(), tmp_path, embed=lambda: vectors, pool=ScriptedPool(engine))
    rates = report["systems"][OURS]["rates"]
    assert {rates[name]["share"] for name in ("valid", "not_answered", "facts_kept")} == {0.75}
    (failed,) = rows.read(tmp_path / "refine" / "failed" / f"{OURS}.jsonl")
    assert (failed["id"], failed["text"]) == ("p-3", "")


def test_kinds_are_told_on_the_held_out_families(tmp_path):
    prompts = tuple(dev_prompts("expand", DATA)[:2])
    systems = (System("augmentlm-0.5b-expand"),)
    report = evaluate(
        Plan("expand", systems, prompts, "dev", data=DATA),
        tmp_path,
        embed=lambda: vectors,
        pool=ScriptedPool(ScriptedEngine(lambda request: "Describe a walk in the hills.")),
    )
    assert report["systems"]["augmentlm-0.5b-expand"]["rates"]["same_kind"]["rows"] == 2


def test_a_judge_is_asked_whether_responses_answer(tmp_path):
    prompts = tuple(dev_prompts("pair", DATA)[:2])
    written = "### Instruction\n\nName a metal that is liquid.\n\n### Response\n\nMercury."

    def script(request):
        text = request.messages[-1].content
        return "Yes" if "Yes or No" in text else written

    systems = (System("augmentlm-0.5b-pair"), System(BASE))
    pool = ScriptedPool(ScriptedEngine(script))
    pairs = Plan("pair", systems, prompts, "dev", judge=System(JUDGE))
    judged = evaluate(pairs, tmp_path, embed=lambda: vectors, pool=pool)["judged"]
    # Both wrote the same, so there was nothing to prefer.
    assert (judged[0]["wins"], judged[0]["ties"]) == (0, 2)
    assert {name: rate["share"] for name, rate in judged[1]["answers"].items()} == {systems[0].model: 1, BASE: 1}


def test_a_plan_that_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="different names"):
        plan(systems=(System(OURS), System(OURS)))
    with pytest.raises(InputError, match="no prompts"):
        plan(prompts=())
    with pytest.raises(InputError, match="2 prompts have the id trips"):
        plan(prompts=(*PROMPTS, Prompt("trips", "write about dogs"), Prompt("trips", "write about cats")))
