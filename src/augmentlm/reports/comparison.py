"""What a comparison of models has to show, as one JSON object a task: the evaluation, and the measures of the paper.

Everything is kept below the evaluation's folder, so that a report made again asks no model again.
"""

from __future__ import annotations

import json
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augmentlm.checks.language import language
from augmentlm.distill import grading, self_instruct
from augmentlm.distill.evaluate import Plan, collect, first_samples
from augmentlm.distill.prompts import Prompt, some
from augmentlm.distill.samples import Sample, System, Told
from augmentlm.distill.self_instruct import instructions
from augmentlm.distill.sets import read_rows
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import MissingExtraError, StoppedError
from augmentlm.measures.complexity import reading_grade
from augmentlm.measures.coverage import covered
from augmentlm.measures.diversity import distinct, distinct_n, length, self_bleu, spread
from augmentlm.measures.embed import Embed, embedder
from augmentlm.measures.projection import FEWEST, tsne
from augmentlm.measures.statistics import rate, wilson
from augmentlm.reports.page import write
from augmentlm.reports.speed import Measure, speeds
from augmentlm.tasks import Pair, Task
from augmentlm.weights import Progress

RECORD = "comparison.json"
GRADED = 24
"""Texts of each set that the judge grades: two questions each, and on a CPU a question takes a second or more."""

SHOWN = 12
"""Prompts whose texts are shown side by side."""

TIP = 160
"""Letters of a text that its point on the map shows."""

SEEDS, REFERENCE = "seeds", "dev data"


@dataclass(frozen=True)
class TextSet:
    """A set of texts that is measured: of one model, of the baseline, of the seeds or of the dev data.

    `texts` by prompt id; `whole` holds what is graded for factuality, the pair where there is one.
    """

    name: str
    kind: str
    texts: dict[str, str]
    whole: Mapping[str, str | Pair]


def compare(
    plan: Plan,
    evaluation: dict[str, Any],
    out: Path,
    *,
    baseline: System | None,
    embed: Callable[[], Embed] = embedder,
    measure: Measure | None = None,
    pool: EnginePool | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    told: Told | None = None,
) -> dict[str, Any]:
    """The record of a task, written to `out/<task>/comparison.json` and returned.

    `evaluation` is what `evaluate` returned for the plan. `baseline` generates by Self-Instruct; it is not asked for
    `refine`, which makes nothing from nothing: there the raw prompts are what to compare with. Raises `StoppedError`
    when `stop` is set, and what engines raise.
    """
    stop = stop or threading.Event()
    folder = out / plan.task
    made = first_samples(collect(plan, out, pool=pool, stop=stop, progress=progress, told=told))
    sets = [_of_samples(name, samples) for name, samples in made.items()]
    if baseline and plan.task != "refine":
        found = self_instruct.bootstrap(
            plan.task,
            baseline,
            plan.prompts,
            folder,
            max_tokens=plan.max_tokens,
            pool=pool,
            stop=stop,
            progress=progress,
            told=told,
        )
        sets.append(_of_baseline(plan.task, found))
    references = dev_texts(plan.task, plan.data, plan.prompts) if plan.data else {}
    if references:
        firsts = {name: texts[0] for name, texts in references.items()}
        sets.append(TextSet(REFERENCE, "reference", firsts, firsts))
    seeds = {prompt.id: instructions(prompt)[0] for prompt in plan.prompts}
    sets.append(TextSet(SEEDS, "seeds", seeds, _seed_pairs(plan.prompts)))
    common = [prompt.id for prompt in plan.prompts if all(prompt.id in each.texts for each in sets)]
    look, left_out = _embedder(embed)
    space, no_map = _space(plan, sets, references, look) if look else ({"coverage": None, "map": None}, "")
    graded = _grades(plan, sets, common, folder, pool, stop, progress)
    record = {
        "task": plan.task,
        "evaluation": evaluation,
        "baseline": {"model": baseline.model, "weights": baseline.weights()} if baseline else None,
        "common": len(common),
        "left_out": left_out or no_map,
        "sets": {
            each.name: {"kind": each.kind, **_measures(each, common, look), **graded.get(each.name, {})}
            for each in sets
        },
        **space,
        "speed": speeds(plan.task, plan.systems, plan.prompts, folder / "speed.json", measure),
        "examples": _examples(plan.prompts, sets),
    }
    write(folder / RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return record


def records(out: Path) -> list[dict[str, Any]]:
    """The records in an evaluation's folder, of every task that has one."""
    found = [out / task / RECORD for task in ("refine", "expand", "pair")]
    return [json.loads(path.read_text(encoding="utf-8")) for path in found if path.is_file()]


def dev_texts(task: Task, data: Path, prompts: Sequence[Prompt]) -> dict[str, list[str]]:
    """What the teacher wrote for held-out prompts, by prompt id: refined prompts, expansions, the family's other
    pairs' instructions."""
    wanted = {prompt.id: prompt for prompt in prompts}
    if task == "refine":
        return {row["id"]: [row["refined"]] for row in read_rows(data / "refine", "dev") if row["id"] in wanted}
    if task == "expand":
        return {row["id"]: list(row["expansions"]) for row in read_rows(data / "expand", "dev") if row["id"] in wanted}
    families = {
        row["id"]: [item["instruction"] for item in row["items"]] for row in read_rows(data / "families", "dev")
    }
    others = {
        prompt.id: [text for text in families.get(str(prompt.family), []) if text not in instructions(prompt)]
        for prompt in prompts
    }
    return {name: texts for name, texts in others.items() if texts}


def _of_samples(name: str, samples: Sequence[Sample]) -> TextSet:
    texts = {each.prompt.id: text for each in samples if (text := each.output)}
    pairs = {each.prompt.id: each.parsed.value for each in samples if isinstance(each.parsed.value, Pair)}
    return TextSet(name, "system", texts, pairs or texts)


def _of_baseline(task: Task, made: Sequence[self_instruct.Made]) -> TextSet:
    texts = {each.id: each.instruction for each in made if each.instruction}
    pairs = {each.id: pair for each in made if (pair := self_instruct.as_pair(each))}
    return TextSet(self_instruct.NAME, "baseline", texts, pairs if task == "pair" else texts)


def _seed_pairs(prompts: Sequence[Prompt]) -> dict[str, str | Pair]:
    return {prompt.id: prompt.value if isinstance(prompt.value, str) else prompt.value[0] for prompt in prompts}


def _measures(texts: TextSet, common: Sequence[str], embed: Embed | None) -> dict[str, Any]:
    """Over the prompts that every set has a text for: sets of unlike sizes can't be compared."""
    chosen = [texts.texts[name] for name in common]
    english = [text for text in chosen if language(text) == "en"]
    grades = [grade for text in english if (grade := reading_grade(text)) is not None]
    return {
        "texts": len(texts.texts),
        "different": len(distinct(chosen)),
        "distinct_2": _rounded(distinct_n(chosen, 2)),
        "self_bleu": _rounded(self_bleu(chosen)),
        "spread": _rounded(spread(embed(chosen))) if embed else None,
        "words": [length(text) for text in english],
        "reading_grade": _rounded(statistics.fmean(grades)) if grades else None,
    }


def _grades(
    plan: Plan,
    sets: Sequence[TextSet],
    common: Sequence[str],
    folder: Path,
    pool: EnginePool | None,
    stop: threading.Event,
    progress: Progress | None,
) -> dict[str, dict[str, Any]]:
    """What the judge says of each set's texts: mean complexity, and how many are true throughout."""
    if plan.judge is None:
        return {}
    judge = plan.judge.load("respond", pool, progress, "batch")
    chosen = {prompt.id for prompt in some([each for each in plan.prompts if each.id in set(common)], GRADED)}
    path = folder / "verdicts" / f"{plan.judge.file_name}--grades.jsonl"
    found = {}
    for each in sets:
        texts = {name: text for name, text in each.texts.items() if name in chosen}
        grades = grading.complexity(judge, texts, path, stop=stop)
        whole = {name: text for name, text in each.whole.items() if name in chosen}
        truths = rate(grading.factuality(judge, whole, path, stop=stop).items())
        if stop.is_set():
            raise StoppedError("Stopped. What was made so far is kept: run the same again to go on.")
        found[each.name] = {
            "judge": judge.model,
            "complexity": _mean(list(grades.values())),
            "factual": truths and truths.as_json(),
        }
    return found


def _mean(values: Sequence[float]) -> dict[str, Any] | None:
    """With the 95 % interval of a mean, by the normal distribution."""
    if len(values) < 2:
        return None
    mean, half = statistics.fmean(values), 1.96 * statistics.stdev(values) / len(values) ** 0.5
    return {"mean": round(mean, 3), "low": round(mean - half, 3), "high": round(mean + half, 3), "texts": len(values)}


def _space(
    plan: Plan, sets: Sequence[TextSet], references: Mapping[str, Sequence[str]], embed: Embed
) -> tuple[dict[str, Any], str]:
    """Coverage of the dev data (of the seeds where there is none), and the map of everything or why there is none."""
    import numpy as np

    categories = {prompt.id: prompt.category or "" for prompt in plan.prompts}
    target = references or {name: [text] for name, text in sets[-1].texts.items()}
    # The same text may stand for two prompts of a family: once is enough.
    dev = {text: categories[name] for name, texts in target.items() for text in texts}
    real = embed(list(dev))
    layers = {each.name: list(each.texts.values()) for each in sets if each.kind != "reference"}
    if references:
        layers[REFERENCE] = list(dev)
    vectors = {name: embed(texts) for name, texts in layers.items()}
    coverage = {}
    for each in sets:
        if each.kind in ("system", "baseline"):
            reached = covered(real, vectors[each.name])
            by_category: dict[str, list[bool]] = {}
            for category, hit in zip(dev.values(), reached, strict=True):
                by_category.setdefault(category, []).append(hit)
            low, high = wilson(sum(reached), len(reached))
            coverage[each.name] = {
                "share": round(sum(reached) / len(reached), 4),
                "low": round(low, 4),
                "high": round(high, 4),
                "of": len(reached),
                "categories": {name: [sum(hits), len(hits)] for name, hits in sorted(by_category.items())},
            }
    count = sum(map(len, layers.values()))
    found: dict[str, Any] = {"coverage": {"of": REFERENCE if references else SEEDS, "sets": coverage}, "map": None}
    if count < FEWEST:
        return found, ""
    try:
        places = tsne(np.concatenate(list(vectors.values())))
    except MissingExtraError as error:
        return found, str(error)
    rounded = [[round(float(value), 2) for value in place] for place in places]
    found["map"] = {}
    for name, texts in layers.items():
        found["map"][name] = {"places": rounded[: len(texts)], "texts": [text[:TIP] for text in texts]}
        rounded = rounded[len(texts) :]
    return found, ""


def _examples(prompts: Sequence[Prompt], sets: Sequence[TextSet]) -> list[dict[str, Any]]:
    """Some prompts from all over the set with what each model made of them, seen or not worth seeing."""
    return [
        {
            "prompt": "\n\n".join(instructions(prompt)),
            "texts": {
                each.name: _shown(each.whole.get(prompt.id) or each.texts.get(prompt.id))
                for each in sets
                if each.kind == "system"
            },
        }
        for prompt in some(prompts, SHOWN)
    ]


def _shown(text: str | Pair | None) -> str:
    if text is None:
        return "(nothing usable)"
    return text if isinstance(text, str) else f"{text.instruction}\n\n→ {text.response}"


def _embedder(embed: Callable[[], Embed]) -> tuple[Embed | None, str]:
    try:
        return embed(), ""
    except MissingExtraError as error:
        return None, str(error)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
