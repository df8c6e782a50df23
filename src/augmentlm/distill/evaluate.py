"""Evaluate the task models: sample, measure, judge, and write down every number with how it came about."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from augmentlm import formats
from augmentlm.distill import judge as judging
from augmentlm.distill import rows
from augmentlm.distill.blind import readers
from augmentlm.distill.card import REPORT
from augmentlm.distill.judge import JUDGE_VERSION, Verdict
from augmentlm.distill.kinds import Kinds
from augmentlm.distill.prompts import Prompt, fingerprint
from augmentlm.distill.samples import Sample, System, Told, sample, settings
from augmentlm.distill.scores import Scored, outcomes, score
from augmentlm.drafts import write_text
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError, MissingExtraError, StoppedError
from augmentlm.measures.embed import MODEL as EMBEDDER
from augmentlm.measures.embed import Embed, embedder
from augmentlm.measures.statistics import rate
from augmentlm.tasks import Task
from augmentlm.weights import Progress


@dataclass(frozen=True)
class Plan:
    """What to evaluate: the first of `systems` is held against each of the others. `source` names the prompts.

    `data` is the folder of the held-out families, where the prompts are theirs: it tells kinds of instructions apart.
    """

    task: Task
    systems: tuple[System, ...]
    prompts: tuple[Prompt, ...]
    source: str
    samples: int = 1
    max_tokens: int | None = None
    judge: System | None = None
    data: Path | None = None

    def __post_init__(self) -> None:
        names = [system.model for system in self.systems]
        if not names or len(set(names)) < len(names):
            raise InputError("The systems to evaluate need different names.", hint="Name each once.")
        if not self.prompts:
            raise InputError("There are no prompts to evaluate on.", hint="Give at least one.")
        ids = Counter(prompt.id for prompt in self.prompts)
        id, times = ids.most_common(1)[0]
        if times > 1:
            raise InputError(f"{times} prompts have the id {id}.", hint="Give every row an id of its own.")


def evaluate(
    plan: Plan,
    out: Path,
    *,
    embed: Callable[[], Embed] = embedder,
    pool: EnginePool | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    told: Told | None = None,
) -> dict[str, Any]:
    """Do what is missing in `out/<task>/` and write its `eval.json`; returns what stands there.

    Beside it are each system's samples (`<system>.jsonl`), what failed of them (`failed/`) and the verdicts. A run that
    was stopped goes on where it ended. Without torch the measures that need embeddings are left out, and `left_out`
    says so. Raises `StoppedError` when `stop` is set, `InputError` for rows of other settings or a folder that another
    process works in, and what engines raise.
    """
    with rows.exclusive(out / plan.task):
        return _evaluate(plan, out, embed, pool, stop or threading.Event(), progress, told)


def _evaluate(
    plan: Plan,
    out: Path,
    embed: Callable[[], Embed],
    pool: EnginePool | None,
    stop: threading.Event,
    progress: Progress | None,
    told: Told | None,
) -> dict[str, Any]:
    folder = out / plan.task
    made = collect(plan, out, pool=pool, stop=stop, progress=progress, told=told)
    first = first_samples(made)
    judged = _agreed([*_model_verdicts(plan, first, folder, pool, stop, progress), *readers(folder, first)])
    look, left_out = _embedder(embed)
    kinds = Kinds.of(plan.data, look) if look and plan.data and plan.task != "refine" else None
    systems = {}
    for system in plan.systems:
        found = outcomes(made[system.model], look, kinds)
        _write_failed(folder / "failed" / f"{system.file_name}.jsonl", found)
        systems[system.model] = {**_provenance(folder, system), **score(found, look)}
    report = {
        "task": plan.task,
        "date": datetime.now(UTC).date().isoformat(),
        "prompts": {"source": plan.source, "count": len(plan.prompts), "sha256": fingerprint(plan.prompts)},
        "samples": plan.samples,
        **settings(plan.task, plan.max_tokens),
        "embedder": System(EMBEDDER).weights() if look else None,
        "left_out": left_out,
        "systems": systems,
        "judged": judged,
    }
    write_text(folder / REPORT, json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    return report


def collect(
    plan: Plan,
    out: Path,
    *,
    pool: EnginePool | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    told: Told | None = None,
) -> dict[str, list[Sample]]:
    """Every system's samples by its name; only what `out/<task>/` does not hold yet is made."""
    stop = stop or threading.Event()
    made = {}
    for system in plan.systems:
        made[system.model] = sample(
            plan.task,
            system,
            plan.prompts,
            out / plan.task,
            samples=plan.samples,
            max_tokens=plan.max_tokens,
            pool=pool,
            stop=stop,
            progress=progress,
            told=told,
        )
        _check(stop)
    return made


def first_samples(made: dict[str, list[Sample]]) -> dict[str, list[Sample]]:
    """What is judged: of each prompt the first sample, which is what a user would see."""
    return {name: [each for each in samples if each.number == 0] for name, samples in made.items()}


def _model_verdicts(
    plan: Plan,
    first: dict[str, list[Sample]],
    folder: Path,
    pool: EnginePool | None,
    stop: threading.Event,
    progress: Progress | None,
) -> list[tuple[dict[str, Any], Sequence[Verdict]]]:
    """The judge's verdicts on the first system against each of the others, and for pairs on each by itself."""
    if plan.judge is None:
        return []
    judge = plan.judge.load("respond", pool, progress, "batch")
    who = {"judge": judge.model, "kind": "model", "judge_version": JUDGE_VERSION, "weights": plan.judge.weights()}
    verdicts = folder / "verdicts"
    left, *others = plan.systems
    found: list[tuple[dict[str, Any], Sequence[Verdict]]] = []
    for right in others:
        path = verdicts / f"{plan.judge.file_name}--{left.file_name}--{right.file_name}.jsonl"
        each = judging.compare(judge, first[left.model], first[right.model], path, stop=stop)
        _check(stop)
        sides = {"left": left.model, "right": right.model, "prompts": len(each)}
        found.append(({**who, **sides, **judging.outcome(each, first[left.model], first[right.model])}, each))
    if plan.task == "pair":
        answers = {}
        for system in plan.systems:
            path = verdicts / f"{plan.judge.file_name}--answers--{system.file_name}.jsonl"
            share = rate(judging.answering(judge, first[system.model], path, stop=stop))
            _check(stop)
            answers[system.model] = share and share.as_json()
        found.append(({**who, "answers": answers}, ()))
    return found


def _agreed(judged: Sequence[tuple[dict[str, Any], Sequence[Verdict]]]) -> list[dict[str, Any]]:
    """What judges found, a model's with how often it says the same as each reader of the same two systems."""
    for entry, verdicts in judged:
        if entry["kind"] == "model" and verdicts:
            entry["agreement"] = {
                other["judge"]: found
                for other, theirs in judged
                if other["kind"] == "reader"
                and (other["left"], other["right"]) == (entry["left"], entry["right"])
                and (found := judging.agreement(verdicts, theirs))
            }
    return [entry for entry, _ in judged]


def _embedder(embed: Callable[[], Embed]) -> tuple[Embed | None, str]:
    try:
        return embed(), ""
    except MissingExtraError as error:
        return None, str(error)


def _provenance(folder: Path, system: System) -> dict[str, Any]:
    """What made the rows: as the last of them says."""
    last = rows.read(folder / f"{system.file_name}.jsonl")[-1]
    return {name: last[name] for name in ("engine", "quantization", "weights", "candidates")}


def _write_failed(path: Path, scored: Sequence[Scored]) -> None:
    """What did not hold, to be read: numbers say how often, texts say why."""
    path.parent.mkdir(parents=True, exist_ok=True)
    formats.write_jsonl(
        path,
        (
            {
                "id": each.sample.prompt.id,
                "sample": each.sample.number,
                "failed": each.failed,
                "input": each.sample.prompt.input,
                "text": each.sample.text,
            }
            for each in scored
            if each.failed
        ),
    )


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise StoppedError("Stopped. What was made so far is kept: run the same again to go on.")
