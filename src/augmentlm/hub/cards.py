"""Model cards: what a person wrote, with the metadata and every number put in by program.

A card is `model_cards/<name>/README.md`. Its YAML and what stands between two marks (`<!-- use -->` …
`<!-- end use -->`) are made here from catalog.toml and the files beside it; the rest is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from augmentlm import catalog, formats
from augmentlm.catalog import Model
from augmentlm.distill import card as numbers
from augmentlm.distill.account import ACCOUNT
from augmentlm.drafts import write_text
from augmentlm.errors import InputError
from augmentlm.hub import blocks, metadata

REPORT = numbers.REPORT

_TAGS = {"refine": "prompt-rewriting", "expand": "instruction-expansion", "pair": "synthetic-data"}
_PAPER = "arXiv:2412.04871"


def generated(model: Model) -> bool:
    """Whether a card of its own is made for it: the published checkpoints, and ours that have an adapter."""
    return model.adapter is not None or model.family.startswith("hub-")


def path(model: Model) -> Path:
    """Where its card is."""
    return catalog.cards_folder() / model.name / "README.md"


def render(model: Model) -> str:
    """The card as it has to be now. Raises `InputError` when it is not there or a place for a block is missing."""
    place = path(model)
    text = metadata.body(formats.read_text(place))
    for name, make in _blocks(model).items():
        begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
        between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not between.search(text):
            raise InputError(f"{place} has no place for {name}.", hint=f"Put {begin} and {end} there, each on a line.")
        block = f"{begin}\n{make().strip()}\n{end}"
        text = between.sub(lambda _, block=block: block, text, count=1)
    return metadata.write(front(model), text)


def write(model: Model) -> bool:
    """Bring a card up to date; whether that changed it. Raises as `render` does."""
    place = path(model)
    before, after = formats.read_text(place), render(model)
    if before == after:
        return False
    write_text(place, after)
    return True


def what_is_stale(model: Model) -> list[str]:
    """A sentence for each reason why its card can't stand; empty when it is fresh."""
    try:
        fresh = render(model)
    except InputError as error:
        return [str(error)]
    found = metadata.faults(fresh, "model")
    if formats.read_text(path(model)) != fresh:
        found.append(f"The card of {model.name} is stale: run `augmentlm models card {model.name} --write`.")
    if _beside(model, REPORT) is not None and (why := numbers.what_is_stale(path(model))):
        found.append(why)
    return found


def front(model: Model) -> dict[str, Any]:
    """The metadata of a model's card."""
    is_ours = model.adapter is not None
    values: dict[str, Any] = {
        "license": model.licence,
        "language": list(model.languages),
        "base_model": model.parent,
        "base_model_relation": "adapter" if is_ours else "finetune",
        "library_name": "peft" if is_ours else "transformers",
        "pipeline_tag": "text-generation",
        "datasets": list(model.datasets),
        "tags": ["data-augmentation", *(_TAGS[task] for task in model.tasks), *(["lora"] if is_ours else ["qwen2"])],
    }
    report = _beside(model, REPORT)
    return {**values, "model-index": [_index(model, report)]} if report else values


def _blocks(model: Model) -> dict[str, Callable[[], str]]:
    """What is put in, by the name of its place."""
    found: dict[str, Callable[[], str]] = {
        "use": lambda: blocks.use(model),
        "sizes": lambda: blocks.sizes(model),
    }
    if model.adapter is None:
        found["citation"] = blocks.citation
    if (account := _beside(model, ACCOUNT)) is not None:
        found["training"] = lambda: blocks.training(account)
    if (report := _beside(model, REPORT)) is not None:
        found["eval"] = lambda: numbers.table(report)
    return found


def _index(model: Model, report: dict[str, Any]) -> dict[str, Any]:
    """The measured results in the hub's form: shares from 0 to 1."""
    prompts, measured = report["prompts"], report["systems"][model.name]
    metrics = [
        {"type": name, "name": numbers.RATES[name], "value": round(rate["share"], 4)}
        for name, rate in measured["rates"].items()
        if rate and name in numbers.RATES
    ]
    dataset = {
        "type": model.datasets[0],
        "name": f"AugmentLM {prompts['source']}, {prompts['count']} prompts",
        "split": "dev",
    }
    task = {"type": "text-generation", "name": report["task"]}
    return {"name": model.title, "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}


def _beside(model: Model, name: str) -> dict[str, Any] | None:
    """A JSON file in the card's folder, if it is there. Raises `InputError` when it can't be read."""
    file = path(model).with_name(name)
    if not file.is_file():
        return None
    try:
        values = json.loads(formats.read_text(file))
    except json.JSONDecodeError as error:
        raise InputError(f"{file} can't be read: {error}.", hint="Make it again.") from error
    if not isinstance(values, dict):
        raise InputError(f"{file} holds no object.", hint="Make it again.")
    return values
