import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from augmentlm.distill import rows
from augmentlm.distill.collect import run
from augmentlm.distill.collect.labels import shares
from augmentlm.distill.collect.report import READABLE, REPORT
from augmentlm.distill.collect.run import Plan
from augmentlm.distill.sets import examples, split_of
from augmentlm.errors import InputError, MissingExtraError, StoppedError
from scripted_cli import ScriptedPool
from scripted_refusals import RefusingEngine, filtered
from scripted_teacher import DOINGS, MODEL, PLACES, Script

SEEDS = [
    {"instruction": f"Plan {number} days in {place} around {DOINGS[2 * number - 4]} and {DOINGS[2 * number - 3]}."}
    for number, place in enumerate(PLACES, 2)
]


def alike(texts):
    """Every text about the same."""
    return np.ones((len(texts), 1), dtype="float32")


def collect(*given, embed=alike):
    return run.collect(*given, embed=lambda: embed)


STAGES = ("1-loaded", "2-classified", "3-balanced", "4-grown", "5-instructions", "6-responses", "rejects")


@pytest.fixture
def plan(tmp_path, write):
    def make(**changes) -> Plan:
        source = str(write("seeds.jsonl", SEEDS))
        given = {"sources": (source,), "shares": {"planning": 1.0}, "data": tmp_path / "no data", "chinese": 0.0}
        return Plan(**(given | changes))

    return make


def files(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): path.read_text(encoding="utf-8") for path in sorted(out.rglob("*.json*"))}


def test_seeds_become_the_three_sets_that_training_reads(plan, teacher, tmp_path):
    judge = teacher()
    report = collect(plan(), tmp_path / "out", judge, judge)
    out = tmp_path / "out"
    assert all((out / f"{stage}.jsonl").is_file() for stage in STAGES)
    assert min(report["sets"].values()) > 0
    for task in ("refine", "expand", "pair"):
        made = examples(task, out, "train") + examples(task, out, "dev")
        assert made and all(example.completions for example in made), task
    (seed,) = {
        row["id"] for row in rows.read(out / "refine" / "collected.jsonl") if row["raw"] == SEEDS[0]["instruction"]
    }
    (row,) = [row for row in rows.read(out / "expand" / "collected.jsonl") if row["id"] == seed]
    assert row["category"] == "planning" and row["lang"] == "en" and row["expansions"]
    items = rows.read(out / "families" / "collected.jsonl")[0]["items"]
    assert len(items) == 4 and items[0]["response"] == "Day one: walk. Day two: rest."


def test_the_report_accounts_for_every_text(plan, teacher, tmp_path):
    teach = teacher(Script(mark="5"))
    out = tmp_path / "out"
    report = collect(plan(size=8), out, teach, teach)
    rejects = rows.read(out / "rejects.jsonl")
    assert sum(row["before"] - row["after"] for row in report["stages"]) == len(rejects)
    assert all(sum(row["rejected"].values()) == row["before"] - row["after"] for row in report["stages"])
    assert all(reject["reasons"] and reject["stage"] for reject in rejects)
    assert report["by_task"]["planning"]["seeds"] == 16 and report["by_task"]["planning"]["balanced"] == 8
    assert json.loads((out / REPORT).read_text(encoding="utf-8")) == report
    text = (out / READABLE).read_text(encoding="utf-8")
    assert "| balance | 16 | 8 | class_full 8 |" in text and "| `refine/` | 8 |" in text


def test_a_second_run_asks_nothing_and_finds_the_same(plan, teacher, tmp_path):
    first = teacher()
    report = collect(plan(), tmp_path / "out", first, first)
    before = files(tmp_path / "out")
    script = Script()
    again = teacher(script)
    assert collect(plan(), tmp_path / "out", again, again) == report
    assert script.asked == [] and files(tmp_path / "out") == before


def test_another_threshold_asks_nothing_anew(plan, teacher, tmp_path):
    script = Script(mark="4")
    teach = teacher(script)
    kept = collect(plan(least=4), tmp_path / "out", teach, teach)["sets"]
    count = len(script.asked)
    strict = collect(plan(least=5), tmp_path / "out", teach, teach)
    assert kept["refine"] > 0 and strict["sets"] == {"refine": 0, "expand": 0, "families": 0}
    assert len(script.asked) == count
    assert strict["marks"]["write: refine"] == {"4": 16}


def test_thin_classes_and_missing_chinese_are_asked_for(plan, teacher, tmp_path):
    teach = teacher()
    wanted = {name: share for name, share in shares().items() if name in ("planning", "advice")}
    total = sum(wanted.values())
    changed = plan(shares={name: share / total for name, share in wanted.items()}, size=12, chinese=0.25)
    collect(changed, tmp_path / "out", teach, teach)
    grown = rows.read(tmp_path / "out" / "4-grown.jsonl")
    assert {(row["work"], row["category"]) for row in grown} >= {("translate", "planning"), ("expand", "advice")}
    assert any(row["lang"] == "zh" for row in rows.read(tmp_path / "out" / "refine" / "collected.jsonl"))


def test_without_a_judge_the_rules_decide_alone(plan, teacher, tmp_path):
    report = collect(plan(), tmp_path / "out", teacher(Script(mark="1")), None)
    assert report["settings"]["judge"] == "none" and report["marks"] == {} and report["sets"]["refine"] == 16


def test_an_expansion_that_has_nothing_to_do_with_its_seed_is_left_out(plan, teacher, tmp_path):
    def apart(texts):
        known = {seed["instruction"] for seed in SEEDS}
        return np.array([[1.0, 0.0] if text in known else [0.1, 0.9] for text in texts])

    report = collect(plan(), tmp_path / "out", teacher(), None, embed=apart)
    (row,) = [row for row in report["stages"] if row["stage"] == "write: expand"]
    assert row["after"] == 0 and row["rejected"]["unrelated"] > 40 and report["sets"]["refine"] == 16


def test_without_torch_one_check_is_left_out_and_the_report_says_so(plan, teacher, tmp_path):
    def missing():
        raise MissingExtraError("Sentence embeddings need torch, not installed here.", hint="Install it.")

    report = run.collect(plan(), tmp_path / "out", teacher(), None, missing)
    assert "need torch" in report["settings"]["left out"] and report["sets"]["expand"] > 0
    with pytest.raises(MissingExtraError):
        run.collect(plan(classifier="embedding"), tmp_path / "out", teacher(), None, missing)


def test_a_response_in_the_source_is_rewritten_instead_of_asked_for(plan, teacher, write, tmp_path):
    source = write("pairs.jsonl", [{**row, "response": "Sure! Take a train."} for row in SEEDS])
    teach = teacher()
    collect(plan(sources=(str(source),)), tmp_path / "out", teach, None)
    works = {row["work"] for row in rows.read(tmp_path / "out" / "6-responses.jsonl")}
    assert works == {"rewrite", "respond"}


def test_a_stopped_collection_goes_on_to_the_same_end(plan, teacher, tmp_path):
    stop, heard = threading.Event(), []

    def told(*news):
        heard.append(news)
        if len(heard) == 40:
            stop.set()

    teach = teacher(stop=stop, told=told)
    with pytest.raises(StoppedError):
        collect(plan(), tmp_path / "out", teach, teach)
    assert not (tmp_path / "out" / REPORT).exists()
    whole = teacher()
    resumed = collect(plan(), tmp_path / "out", whole, whole)
    sets = {name: text for name, text in files(tmp_path / "out").items() if "collected" in name}
    (tmp_path / "out").rename(tmp_path / "first")
    straight = teacher()
    assert collect(plan(), tmp_path / "out", straight, straight) == resumed
    assert {name: text for name, text in files(tmp_path / "out").items() if "collected" in name} == sets


def test_texts_that_the_teacher_takes_no_part_in_are_rejects_and_the_rest_is_collected(plan, teacher, tmp_path):
    def refuses(request):
        words = request.messages[0].content
        return "You improve prompts" in words and SEEDS[0]["instruction"] in request.messages[-1].content

    engine = RefusingEngine(Script(), refuses)
    teach = replace(teacher(), pool=ScriptedPool(engine))
    report = collect(plan(), tmp_path / "out", teach, teach)
    (row,) = [row for row in report["stages"] if row["stage"] == "write: refine"]
    assert row["rejected"] == {"refused": 1} and report["sets"]["refine"] == 15
    (reject,) = [row for row in rows.read(tmp_path / "out" / "rejects.jsonl") if row["reasons"][0]["code"] == "refused"]
    assert reject["id"].endswith("/refine") and reject["reasons"][0]["evidence"] == str(filtered())
    count = len(engine.asked)
    assert collect(plan(), tmp_path / "out", teach, teach) == report and len(engine.asked) == count


def test_a_text_of_the_evaluation_that_the_teacher_writes_is_left_out(plan, teacher, write, tmp_path):
    text = "Plan castles and rivers near Kyoto, then puppets with trams towards Lisbon."
    family = next(f"planning-{n}" for n in range(99) if split_of(f"planning-{n}") == "dev")
    pairs = [{"instruction": text, "response": "Day one."}, {"instruction": "Plan a feast.", "response": "Soup."}]
    write("data/families/a.jsonl", [{"id": family, "items": pairs}])
    script = Script()
    teach = teacher(
        lambda request: text if "You write instructions" in request.messages[0].content else script(request)
    )
    report = collect(plan(data=tmp_path / "data", expansions=1), tmp_path / "out", teach, None)
    (row,) = [row for row in report["stages"] if row["stage"] == "write: expand"]
    assert row["after"] == 0 and row["rejected"] == {"held_out": 16}


def test_what_is_grown_from_one_seed_is_written_anew_each_time(plan, teacher, write, tmp_path):
    source = str(write("one.jsonl", SEEDS[:1]))
    collect(plan(sources=(source,), size=4), tmp_path / "out", teacher(), None)
    grown = rows.read(tmp_path / "out" / "4-grown.jsonl")
    assert len({row["text"] for row in grown}) == 3


def test_no_usable_seed_is_said_with_the_reasons(plan, teacher, write, tmp_path):
    source = str(write("bad.jsonl", [{"instruction": "Hi"}, {"text": "x"}]))
    with pytest.raises(InputError, match="2 rows: 1 unreadable, 1 too_short"):
        collect(plan(sources=(source,)), tmp_path / "out", teacher(), None)


@pytest.mark.parametrize("changes", [{"size": 0}, {"chinese": 2}, {"least": 6}, {"expansions": 0}])
def test_a_plan_that_makes_no_sense_is_refused(plan, changes):
    with pytest.raises(InputError):
        plan(**changes)


def test_a_killed_process_goes_on_where_it_was_and_two_at_once_are_refused(plan, write, tmp_path):
    """The command itself, killed in the middle (SIGKILL), beside one that wants the same folder."""
    out = tmp_path / "out"
    write("seeds.jsonl", SEEDS)
    arguments = ("collect", "seeds.jsonl", "--teacher", MODEL, "--out", "out", "--data", "none")
    script = Path(__file__).parents[2] / "scripted_teacher.py"

    def start(delay: float, **more) -> subprocess.Popen:
        command = [sys.executable, str(script), str(delay), *arguments]
        return subprocess.Popen(command, cwd=tmp_path, env=os.environ, text=True, stderr=subprocess.PIPE, **more)

    first = start(0.05, stdout=subprocess.DEVNULL)
    answers = out / "answers" / "expand.jsonl"
    end = time.monotonic() + 60
    while len(rows.read(answers)) < 3 and time.monotonic() < end:
        time.sleep(0.02)
    second = start(0, stdout=subprocess.DEVNULL)
    assert "Another process is working in out" in second.communicate()[1] and second.returncode == 2
    first.send_signal(signal.SIGKILL)
    first.communicate()
    kept = rows.read(answers)
    assert len(kept) >= 3 and not (out / REPORT).exists()
    third = start(0, stdout=subprocess.PIPE)
    printed, _ = third.communicate()
    assert third.returncode == 0 and "## Training sets" in printed
    assert rows.read(answers)[: len(kept)] == kept
    asked = [row["asked"] for row in rows.read(answers)]
    assert len(asked) == len(set(asked))
