import json
import zlib
from html import escape
from pathlib import Path

import numpy as np
import pytest

from augmentlm import catalog
from augmentlm.cli import main
from augmentlm.distill.evaluate import Plan, evaluate
from augmentlm.distill.prompts import Prompt, dev_prompts, some
from augmentlm.distill.samples import System
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import MissingExtraError
from augmentlm.reports.comparison import compare, dev_texts, records
from augmentlm.reports.comparison_figures import figures
from augmentlm.reports.comparison_page import comparison_page, what_is_stale, write_report, write_results
from augmentlm.reports.comparison_short import in_short
from augmentlm.reports.speed import measure_here, speeds
from augmentlm.weights import identity
from scripted_cli import ScriptedPool

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"
BASE, REFERENCE = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"


class Script:
    """Writes and judges by the length of what it is asked; counts the requests."""

    def __init__(self):
        self.asked = 0

    def __call__(self, request) -> str:
        self.asked += 1
        text = request.messages[-1].content
        if "one number" in text:
            return str(len(text) % 10 + 1)
        if "Yes or No" in text:
            return "Yes" if len(text) % 3 else "No"
        if "[B]" in text:
            return "A" if len(text.split("[B]")[0]) % 2 else "B"
        words = " ".join(reversed(text.split()[-12:]))
        return f"### Instruction\n\n{words}\n\n### Response\n\nGladly." if "### Instr" in text else f"Write {words}."


def vectors(texts):
    rows = np.zeros((len(texts), 32), dtype="float32")
    for row, text in zip(rows, texts, strict=True):
        for word in text.split():
            row[zlib.crc32(word.encode()) % 32] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def no_embeddings():
    raise MissingExtraError("Sentence embeddings need torch, not installed here.", hint="Install it.")


def made(out, task, embed=lambda: vectors, script=None):
    pool = ScriptedPool(ScriptedEngine(script or Script()))
    prompts = tuple(some(dev_prompts(task, DATA), 10))
    systems = (System(f"augmentlm-0.5b-{task}"), System(REFERENCE))
    plan = Plan(task, systems, prompts, "the held-out families", judge=System(REFERENCE), data=DATA)
    found = evaluate(plan, out, embed=embed, pool=pool)

    def measure(task, system, prompts):
        return measure_here(task, system, [prompt.value for prompt in prompts], pool)

    return compare(plan, found, out, baseline=System(BASE), embed=embed, measure=measure, pool=pool)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    for task in ("expand", "pair"):
        made(folder, task)
    return folder


def test_every_set_is_measured_over_the_same_prompts(out):
    record = records(out)[0]
    kinds = {name: found["kind"] for name, found in record["sets"].items()}
    assert list(kinds.values()) == ["system", "system", "baseline", "reference", "seeds"]
    assert record["common"] == 10 and all(found["different"] <= 10 for found in record["sets"].values())
    assert all(1 <= found["complexity"]["mean"] <= 10 for found in record["sets"].values())
    assert set(record["coverage"]["sets"]) == {"augmentlm-0.5b-expand", REFERENCE, "Self-Instruct"}
    assert all(len(found["places"]) == len(found["texts"]) for found in record["map"].values())
    assert record["speed"][REFERENCE]["memory_bytes"] > 0


def test_the_page_and_the_results_begin_with_what_it_comes_to(out, tmp_path):
    record = json.loads(json.dumps(records(out)[0]))
    [judged] = record["evaluation"]["judged"]
    judged |= {"wins": 9, "ties": 1, "losses": 0, "decided": {"share": 1.0, "low": 0.7, "high": 1.0}}
    record["evaluation"]["judged"].append({**judged, "judge": "Ada", "kind": "reader", "wins": 0, "losses": 9})
    record["evaluation"]["judged"][1]["decided"] = {"share": 0.0, "low": 0.0, "high": 0.3}
    model, reader, *rest = in_short([record])
    assert "won 9, tied 1, lost 0: 100% (70%–100%) of the decided" in model
    assert model.endswith("judged by Qwen2.5 Coder 1.5B Instruct (a model). It prefers AugmentLM 0.5B Expand.")
    assert reader.endswith("judged by Ada (not told who wrote what). It prefers Qwen2.5 Coder 1.5B Instruct.")
    assert any("good rows, by rule" in each for each in rest) and "tokens a second in" in rest[-1]
    judged["decided"] = {"share": 0.5, "low": 0.2, "high": 0.8}
    assert in_short([record])[0].endswith("so few verdicts can't tell.")
    write_results(tmp_path / "results.md", [record])
    assert f"\n- {reader}\n" in (tmp_path / "results.md").read_text(encoding="utf-8")
    assert escape(reader) in comparison_page([record], "csv")


def test_who_judged_and_how_far_to_trust_it_stands_with_the_verdicts(out):
    record = json.loads(json.dumps(records(out)[0]))
    [judged] = record["evaluation"]["judged"]
    judged["length_controlled"] = {"share": 0.6, "low": 0.5, "high": 0.7, "phi": 1.0}
    judged["agreement"] = {"Ada": {"passed": 7, "prompts": 10}}
    reader = {**judged, "judge": "Ada", "kind": "reader", "length_controlled": None}
    del reader["agreement"]
    record["evaluation"]["judged"].append(reader)
    note = figures(record)[0].note
    assert "judged by Qwen2.5 Coder 1.5B Instruct (a model) and Ada (not told who wrote what)." in note
    assert "Qwen2.5 Coder 1.5B Instruct judged texts of its own here." in note
    assert "would have 60% (50%–70%) of Qwen2.5 Coder 1.5B Instruct's votes" in note and "Dubois et al. 2024" in note
    assert "Qwen2.5 Coder 1.5B Instruct and Ada said the same" in note and "on 7 of 10 prompts." in note
    assert "against Qwen2.5 Coder 1.5B Instruct, says Ada" in figures(record)[0].svg


def test_a_pair_is_graded_with_its_response(out):
    assert records(out)[1]["sets"]["Self-Instruct"]["factual"]["rows"] == 10


def test_made_again_it_asks_no_model_and_says_the_same(out):
    script = Script()
    before = records(out)[0]
    assert made(out, "expand", script=script) == before and script.asked == 0


def test_the_page_and_its_csv_come_of_every_task_that_is_there(out, tmp_path):
    write_report(tmp_path / "report.html", records(out))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="expand">' in html and '<h2 id="pair">' in html and '<h2 id="refine">' not in html
    for name in ("win-tie-lose", "diversity-self-bleu", "length", "complexity-graded", "coverage", "speed", "memory"):
        lines = (tmp_path / "report-csv" / f"expand-{name}.csv").read_text(encoding="utf-8").splitlines()
        assert len(lines) >= 2
    assert len(list((tmp_path / "report-csv").glob("expand-map-*.csv"))) == 3


def test_the_results_are_stale_once_a_file_or_the_weights_are_others(out, tmp_path):
    path = tmp_path / "results.md"
    write_results(path, records(out))
    assert what_is_stale(path) is None
    assert all((tmp_path / name).is_file() for name in _pictures(path))
    path.write_text(path.read_text(encoding="utf-8").replace("10 prompts", "90 prompts"), encoding="utf-8")
    assert "is not what results.json says" in what_is_stale(path)
    other = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    other[0]["evaluation"]["systems"][REFERENCE]["weights"] = {"x": "sha256:0"}
    (tmp_path / "results.json").write_text(json.dumps(other), encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("90 prompts", "10 prompts"), encoding="utf-8")
    assert "those of other weights" in what_is_stale(path)


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("results*.md")), ids=lambda path: path.name)
def test_the_results_of_the_repository_can_stand(path):
    assert what_is_stale(path) is None


def test_without_embeddings_the_rest_is_reported_and_a_sentence_says_so(tmp_path):
    record = made(tmp_path, "refine", embed=no_embeddings)
    assert record["left_out"].startswith("Sentence embeddings need torch") and record["map"] is None
    assert "Self-Instruct" not in record["sets"]
    write_report(tmp_path / "report.html", [record])
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Sentence embeddings need torch" in html and "Self-Instruct refines nothing" in html


def test_prompts_of_a_file_have_no_dev_data_and_are_what_is_to_be_covered(tmp_path):
    pool = ScriptedPool(ScriptedEngine(Script()))
    prompts = tuple(Prompt(f"mine-{n}", f"Name {n} rivers and lake {n} of Europe") for n in range(6))
    plan = Plan("expand", (System(BASE),), prompts, "mine.txt")
    found = evaluate(plan, tmp_path, embed=lambda: vectors, pool=pool)

    def measure(task, system, prompts):
        return measure_here(task, system, [prompt.value for prompt in prompts], pool)

    record = compare(plan, found, tmp_path, baseline=None, embed=lambda: vectors, measure=measure, pool=pool)
    assert list(record["sets"]) == [BASE, "seeds"] and record["coverage"]["of"] == "seeds"
    write_report(tmp_path / "r.html", [record])
    assert "Coverage of the seeds" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_dev_data_of_a_prompt_is_what_the_teacher_wrote_for_it():
    for task, count in (("refine", 1), ("expand", 3), ("pair", 2)):
        prompts = dev_prompts(task, DATA)[:6]
        found = dev_texts(task, DATA, prompts)
        assert set(found) == {prompt.id for prompt in prompts} and {len(texts) for texts in found.values()} == {count}
        for prompt in prompts:
            own = prompt.value if isinstance(prompt.value, str) else [pair.instruction for pair in prompt.value]
            assert not set(found[prompt.id]) & set([own] if isinstance(own, str) else own)


def test_speed_is_measured_once_for_the_same_weights(tmp_path):
    heard = []

    def measure(task, system, prompts):
        heard.append(system.model)
        return {"tokens_per_second": 1.0}

    for _ in range(2):
        found = speeds(
            "refine", [System(BASE), System(REFERENCE)], dev_prompts("refine", DATA), tmp_path / "s.json", measure
        )
    assert heard == [BASE, REFERENCE] and found[BASE]["tokens_per_second"] == 1.0


def test_without_a_task_the_command_reports_what_is_there(out, tmp_path, capsys):
    page = tmp_path / "all.html"
    assert main(["evaluate", "--out", str(out), "--report", str(page)]) == 0
    assert page.is_file() and "The report is" in capsys.readouterr().err
    assert main(["evaluate", "--out", str(tmp_path), "--report", str(page)]) == 2
    assert "holds nothing to report" in capsys.readouterr().err
    assert main(["evaluate", "--out", str(out)]) == 2
    assert "There is nothing to evaluate" in capsys.readouterr().err


@pytest.mark.real
def test_the_speed_of_the_embedded_model_is_measured_in_a_process_of_its_own(tmp_path):
    found = speeds("expand", [System(BASE)], dev_prompts("expand", DATA)[:2], tmp_path / "speed.json")[BASE]
    assert found["tokens_per_second"] > 1 and found["memory_bytes"] > 400e6 and found["engine"] == "llamacpp"


def _pictures(path):
    return [
        line.split("](")[1].rstrip(")") for line in path.read_text(encoding="utf-8").splitlines() if line[:2] == "!["
    ]


def test_the_results_page_is_of_the_adapters_that_are_shipped():
    records = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))
    shown = [(name, each["weights"]) for record in records for name, each in record["evaluation"]["systems"].items()]
    assert {name for name, _ in shown} > {catalog.usual_model(task).name for task in ("refine", "expand", "pair")}
    assert all(found == identity(catalog.model(name)) for name, found in shown)
