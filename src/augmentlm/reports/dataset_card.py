"""The card of a data set that a run made: what it is, where its rows come from, what to mind before training on it."""

from __future__ import annotations

from typing import Any

from augmentlm import catalog
from augmentlm.checks.language import language
from augmentlm.hub import metadata
from augmentlm.hub.release import MARK
from augmentlm.runs.rows import Run
from augmentlm.tables import FILES

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card(run: Run, numbers: dict[str, Any]) -> str:
    """Markdown with the hub's metadata on top. The licence is the user's to choose and stands as `unknown`."""
    texts = [record.instruction for record in run.accepted]
    languages = sorted({found for text in texts if (found := language(text)) != "other"})
    size = next((name for limit, name in _SIZES if len(texts) < limit), "1M<n<10M")
    rejected = numbers["candidates"] - numbers["accepted"]
    title = " ".join(numbers["name"].split())
    front = {
        "license": "unknown",
        "language": languages,
        "pretty_name": title,
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "instruction-tuning", "data-augmentation", MARK],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": _pattern(FILES[numbers["file"]])}],
    }
    lines = [
        f"# {_inert(title)}",
        "",
        f"{numbers['accepted']:,} synthetic rows grown from {numbers['seeds']:,} seeds with AugmentLM. "
        f"{numbers['candidates']:,} candidates were made and {rejected:,} rejected; those stand in `rejected.jsonl` "
        f"with "
        "the reason and the evidence. `report.html` shows the whole.",
        *(["", _inert(numbers["ended"])] if numbers["ended"] else []),
        "",
        "## How it was made",
        "",
        "| step | model | weights | engine | sampling |",
        "|---|---|---|---|---|",
        *map(_step, numbers["steps"]),
        "",
        f"Random seed {numbers['seed']}, prompts of version {numbers['prompt_version']}. Where rows have a "
        f"`provenance`, it "
        "names the seed that each text was sampled with.",
        "",
        "| step | candidates | passed | rejected because |",
        "|---|---|---|---|",
        *map(_passed, numbers["funnel"]),
        "",
        "Limits: " + "; ".join(f"{name} {value}" for name, value in limits(numbers)) + ".",
        "",
        "## Before you train on it",
        "",
        "- The rows are written by language models: they can be wrong, and nobody has read them all. Read some.",
        "- The checks find copies, broken form, lost facts and a changed language. They don't check truth.",
        "- New rows carry on what the seeds hold: their bias, their private data, their licence. State that "
        "licence above.",
        *map(_licence, dict.fromkeys(step["model"] for step in numbers["steps"])),
    ]
    return metadata.write({name: value for name, value in front.items() if value}, "\n".join(lines) + "\n")


def _pattern(name: str) -> str:
    """What the hub loads of a folder of `datasets`: its Arrow files, beside which lie descriptions of them."""
    return f"{name}/*.arrow" if name == FILES["datasets"] else name


def limits(numbers: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a candidate had to keep to, as labels and values; checks that were off are left out."""
    checks = numbers["checks"]
    found = [
        ("ROUGE-L with a seed or an earlier row at most", checks["near_copy"]),
        ("words of an instruction at least", checks["least_words"]),
        ("words of an instruction at most", checks["most_words"] or "twice the longest seed's, no less than 150"),
    ]
    if checks["similarity"] < 1:
        found.append(("cosine of embeddings with a seed or an earlier row at most", checks["similarity"]))
    if any(step["task"] == "judge" for step in numbers["steps"]):
        found.append(("the judge's mark (1 to 5) at least", checks["least_score"]))
    return found


def _step(step: dict[str, Any]) -> str:
    sampling = ", ".join(f"{name} {value}" for name, value in step["sampling"].items())
    cells = (step["task"], step["model"], step["digest"], f"{step['engine']}, {step['quantization']}", sampling)
    return f"| {' | '.join(map(_inert, cells))} |"


def _passed(step: dict[str, Any]) -> str:
    reasons = ", ".join(f"{code} {count}" for code, count in step["reasons"].items()) or "–"
    return f"| {step['step']} | {step['came']} | {step['passed']} | {_inert(reasons)} |"


def _licence(name: str) -> str:
    known = catalog.models().get(name)
    return f"- {_inert(name)}: {known.licence if known else 'see its own terms'}."


def _inert(text: str) -> str:
    """A name from elsewhere as plain text in Markdown: no markup, no new line, no new cell."""
    plain = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in r"\`*[]<>|#" else sign for sign in plain)
