"""The report of a data set run: what came of every candidate, what it cost, and how the new rows are beside the "
"seeds."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from augmentlm.checks.language import language
from augmentlm.checks.novelty import rouge_l
from augmentlm.errors import AugmentLMError, MissingExtraError
from augmentlm.measures import embed as embedding
from augmentlm.measures.coverage import nearest
from augmentlm.measures.diversity import distinct_n, length, self_bleu, spread
from augmentlm.measures.embed import Embed
from augmentlm.measures.projection import FEWEST, tsne
from augmentlm.reports.dataset_card import card
from augmentlm.reports.dataset_page import NUMBERS, dataset_page
from augmentlm.reports.page import write
from augmentlm.runs.rows import Record, Run, read_run
from augmentlm.runs.run import output_of
from augmentlm.weights.disk import read_json

PAGE, CARD = "report.html", "README.md"

SAMPLED = 1000
"""Rows that measures are taken over: some compare every row with every other."""

MAPPED = 400
"""Points of each colour on the map: more are a blot."""

READ = 20
"""Accepted and rejected rows that the report shows."""

TIP = 160

T = TypeVar("T")
_WORD = re.compile(r"[^\W\d_]+")


def run_report(folder: Path, embed: Callable[[], Embed] | None = None) -> Path:
    """Write `report.html`, `report.json` and the data set's card `README.md` into a run's folder; gives the page.

    Without torch or scikit-learn, and when the embedder's weights can't be had, what needs them is left out and a
    sentence says so. Raises `InputError` when there is no run or the folder can't be written.
    """
    return _write(read_run(folder), embed)


def is_current(run: Run) -> bool:
    """Whether a run has its report and card, and they tell of the rows and the file that it has now."""
    told = read_json(run.folder / NUMBERS)
    there = all((run.folder / name).is_file() for name in (PAGE, CARD))
    return there and all(name in told and told[name] == value for name, value in _state(run).items())


def keep_current(folder: Path, embed: Callable[[], Embed] | None = None) -> None:
    """Make the report and the card unless they are current: what a person wrote into the card, such as the licence,
    stays as long as the rows do. Raises what `run_report` raises."""
    run = read_run(folder)
    if not is_current(run):
        _write(run, embed)


def _write(run: Run, embed: Callable[[], Embed] | None) -> Path:
    numbers = describe(run, embed or embedding.embedder)
    write(run.folder / CARD, card(run, numbers))
    write(run.folder / PAGE, dataset_page(numbers))
    # Last, because it says what the others tell of: a kill before leaves them to be written again.
    write(run.folder / NUMBERS, json.dumps(numbers, ensure_ascii=False, indent=1) + "\n")
    return run.folder / PAGE


def describe(run: Run, embed: Callable[[], Embed]) -> dict[str, Any]:
    """Everything that the report says, as JSON."""
    accepted, rejected = run.accepted, run.rejected
    seeds = _some([seed.instruction for seed in run.seeds], SAMPLED)
    made = _some([record.instruction for record in accepted], SAMPLED)
    meaning, left_out = _meaning(seeds, made, embed)
    return {
        "name": run.folder.resolve().name,
        **_state(run),
        "seeds": len(run.seeds),
        "seconds": round(run.seconds, 1),
        "steps": [asdict(step) for step in run.spec.steps],
        "checks": asdict(run.spec.checks),
        "seed": run.spec.seed,
        "prompt_version": run.spec.prompt_version,
        "measured_over": {"seeds": len(seeds), "accepted": len(made)},
        "funnel": _funnel(run),
        "cost": _cost(run),
        "lengths": _lengths(run),
        "tasks": _tasks(run),
        "diversity": _diversity(seeds, made),
        "nearest_seed": {
            "rouge_l": [round(max((rouge_l(text, seed) for seed in seeds), default=0.0), 3) for text in made]
        },
        "meaning": meaning,
        "left_out": left_out,
        "accepted_rows": [_row(record) for record in _some(accepted, READ)],
        "rejected_rows": [_row(record) for record in _some(rejected, READ)],
    }


def _state(run: Run) -> dict[str, Any]:
    """What changes when the run goes on, when rows are struck, or when the data set is written as another file: a
    struck row stays a candidate, so no two states have the same numbers."""
    return {
        "wanted": run.spec.n,
        "accepted": len(run.accepted),
        "candidates": len(run.records),
        "ended": run.ended,
        "file": output_of(run.folder).file,
    }


def _funnel(run: Run) -> list[dict[str, Any]]:
    """For each step how many candidates came to it, how many passed, and why the others did not."""
    places = {step.task: place for place, step in enumerate(run.spec.steps)}
    found = []
    for place, step in enumerate(run.spec.steps):
        came = [record for record in run.records if places[record.step] >= place]
        out = [record for record in came if record.status == "rejected" and places[record.step] == place]
        reasons = Counter(record.code for record in out)
        found.append(
            {
                "step": step.task,
                "came": len(came),
                "passed": len(came) - len(out),
                "reasons": dict(reasons.most_common()),
            }
        )
    return found


def _cost(run: Run) -> list[dict[str, Any]]:
    """Tokens and seconds of each step, texts of rejected candidates with them, and what that is for an accepted row."""
    texts = {made.key: made for record in run.records for made in record.made}  # candidates can share a text
    count = len(run.accepted)
    found = []
    for step in run.spec.steps:
        own = [made for made in texts.values() if made.step == step.task]
        sums: dict[str, float] = {
            "prompt_tokens": sum(made.prompt_tokens for made in own),
            "completion_tokens": sum(made.completion_tokens for made in own),
            "seconds": round(sum(made.seconds for made in own), 1),
        }
        each = {f"{name}_per_row": round(value / count, 2) if count else None for name, value in sums.items()}
        found.append({"step": step.task, "texts": len(own), **sums, **each})
    return found


def _lengths(run: Run) -> dict[str, dict[str, list[int]]]:
    """Words of instructions and responses, Chinese texts by their characters; before and after."""
    seeds, accepted = _some(list(run.seeds), SAMPLED), _some(run.accepted, SAMPLED)
    found = {
        "instruction": {
            "seeds": [length(seed.instruction) for seed in seeds],
            "accepted": [length(record.instruction) for record in accepted],
        },
        "response": {
            "seeds": [length(seed.response) for seed in seeds if seed.response],
            "accepted": [length(record.response) for record in accepted if record.response],
        },
    }
    return {name: sets for name, sets in found.items() if any(sets.values())}


def _tasks(run: Run) -> dict[str, Any]:
    """How many rows of each kind: as the seeds name it, else by the word that the instruction opens with."""
    named = sum(bool(seed.kind) for seed in run.seeds) * 2 > len(run.seeds)
    if named:
        before = Counter(seed.kind or "none" for seed in run.seeds)
        after = Counter(record.kind or "none" for record in run.accepted)
    else:
        before = Counter(_opening(seed.instruction) for seed in run.seeds)
        after = Counter(_opening(record.instruction) for record in run.accepted)
    return {
        "by": "kind" if named else "opening word",
        "seeds": dict(before.most_common()),
        "accepted": dict(after.most_common()),
    }


def _opening(text: str) -> str:
    """The first word; of Chinese text the first two characters."""
    found = _WORD.search(text)
    word = found.group().lower() if found else "(none)"
    return word[:2] if language(text) == "zh" else word


def _diversity(seeds: Sequence[str], made: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of the seeds and of as many new rows as there are seeds, since larger sets repeat more; and of all new rows."""
    size = min(len(seeds), len(made))
    sets = {"seeds": _some(seeds, size), "accepted": _some(made, size), "all accepted": made}
    return {
        name: {
            "texts": len(texts),
            "distinct_1": _rounded(distinct_n(texts, 1)),
            "distinct_2": _rounded(distinct_n(texts, 2)),
            "self_bleu": _rounded(self_bleu(texts)),
        }
        for name, texts in sets.items()
    }


def _meaning(
    seeds: Sequence[str], made: Sequence[str], embed: Callable[[], Embed]
) -> tuple[dict[str, Any] | None, str]:
    """What embeddings say, and why the whole of it or the map is left out."""
    try:
        look = embed()
    except AugmentLMError as error:
        return None, str(error)
    before, after = look(seeds), look(made)
    found: dict[str, Any] = {
        "nearest_seed": [round(value, 3) for value in nearest(after, before)],
        "spread": {"seeds": _rounded(spread(before)), "accepted": _rounded(spread(after))},
        "map": None,
    }
    layers = {"seeds": _some(seeds, MAPPED), "accepted": _some(made, MAPPED)}
    texts = [text for layer in layers.values() for text in layer]
    if len(texts) < FEWEST:
        return found, ""
    try:
        places = [[round(float(value), 2) for value in place] for place in tsne(look(texts))]
    except MissingExtraError as error:
        return found, str(error)
    split = len(layers["seeds"])
    found["map"] = {
        name: {"places": own, "texts": [text[:TIP] for text in layers[name]]}
        for name, own in (("seeds", places[:split]), ("accepted", places[split:]))
    }
    return found, ""


def _row(record: Record) -> dict[str, Any]:
    return {
        "candidate": record.candidate,
        "step": record.step,
        "code": record.code,
        "evidence": record.evidence,
        "seed": record.seed.instruction,
        "instruction": record.instruction,
        "response": record.response,
    }


def _some(rows: Sequence[T], most: int) -> list[T]:
    """At most `most` of the rows, drawn the same way every time, in their order."""
    if len(rows) <= most:
        return list(rows)
    return [rows[place] for place in sorted(Random(0).sample(range(len(rows)), most))]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
