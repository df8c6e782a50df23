"""The page of a comparison, and its results in Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from augmentlm.distill.card import table
from augmentlm.distill.samples import System
from augmentlm.reports.comparison_figures import figures
from augmentlm.reports.comparison_sets import percent, task_title, title_of
from augmentlm.reports.comparison_short import in_short
from augmentlm.reports.page import Figure, Reading, Section, Text, page, standalone, write, write_csvs

LIMITS = (
    "The held-out families were written by the same teacher as the training data: on prompts of other people the "
    "trained "
    "models will do worse.",
    "Rules find broken, copied and off-language texts; whether a text makes sense, a reader has to say. Read the rows.",
    "A model as judge is a hint. The small reference agrees with itself in both orders only part of the time, and "
    "it can't "
    "check facts it does not know.",
    "Sets of a few dozen texts give wide intervals: where they overlap, nothing was shown.",
)
"""What these numbers can't say."""


def write_report(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """The page at `path`, every figure's numbers as CSV in the folder `<name>-csv` beside it."""
    write(path, comparison_page(records, f"{path.stem}-csv"))
    write_csvs(path.with_name(f"{path.stem}-csv"), [figure for record in records for figure in figures(record)])


def comparison_page(records: Sequence[dict[str, Any]], csv_folder: str) -> str:
    models = dict.fromkeys(title_of(name) for record in records for name in record["evaluation"]["systems"])
    lead = (
        f"{', '.join(models)}: the same prompts, side by side.",
        f"Every figure's numbers are below it and, in full, as CSV in the folder {csv_folder}.",
    )
    sections = [Section("In short", in_short(records)), *map(_section, records)]
    return page("Models compared", lead, [*sections, Section("What these numbers can't say", LIMITS)])


def write_results(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Markdown at `path`, its numbers as JSON beside it and its pictures in a folder: all of it made, none typed."""
    kept = [_without_texts(record) for record in records]
    write(path.with_suffix(".json"), json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    for name, content in results(kept, path.stem).items():
        write(path.parent / name, content)


def results(records: Sequence[dict[str, Any]], stem: str) -> dict[str, str]:
    """The files of `write_results` by their names, from what stands in its JSON."""
    files: dict[str, str] = {}
    text = [
        "# Results",
        "",
        f"Made by `augmentlm evaluate … --results` from {stem}.json; what is written here by hand is lost at the "
        f"next run.",
        "",
        *(f"- {sentence}" for sentence in in_short(records)),
    ]
    for record in records:
        text += ["", f"## {task_title(record)}", "", table(record["evaluation"]), "", _sets(record)]
        drawn = figures(record)
        for figure in drawn:
            if figure.svg and _is_drawn(figure):
                files[f"{stem}/{figure.name}.svg"] = standalone(figure.svg)
                text += ["", f"### {figure.title}", "", figure.note, "", f"![{figure.title}]({stem}/{figure.name}.svg)"]
        text += ["", "### Every measure", "", _measures(record), ""]
        text += [f"- {each.title}: {each.note}" for each in drawn if each.svg and not _is_drawn(each)]
    text += ["", "## What these numbers can't say", "", *(f"- {limit}" for limit in LIMITS)]
    files[f"{stem}.md"] = "\n".join(text) + "\n"
    return files


def what_is_stale(path: Path) -> str | None:
    """A sentence that says why the results at `path` can't stand; None when they can.

    They can't when a file is not what its JSON makes, or a model of the catalog has other weights now.
    """
    records = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    for name, content in results(records, path.stem).items():
        made = path.parent / name
        if not made.is_file() or made.read_text(encoding="utf-8") != content:
            return f"{made} is not what {path.stem}.json says."
    for record in records:
        for name, measured in record["evaluation"]["systems"].items():
            if "endpoint" not in measured["weights"] and measured["weights"] != System(name).weights():
                return f"The numbers of {name} for {record['task']} are those of other weights."
    return None


def _section(record: dict[str, Any]) -> Section:
    readings = [
        Reading([Text("prompt", each["prompt"]), *(Text(title_of(name), text) for name, text in each["texts"].items())])
        for each in record["examples"]
    ]
    return Section(task_title(record), [_how(record), record["left_out"]], (), figures(record), readings)


def _how(record: dict[str, Any]) -> str:
    """How the sets came about, in a few sentences."""
    evaluation = record["evaluation"]
    prompts, sampling = evaluation["prompts"], evaluation["sampling"]
    return (
        f"{prompts['count']} prompts ({prompts['source']}), at temperature {sampling['temperature']}, "
        f"{evaluation['date']}. {_sets(record)}"
    )


def _sets(record: dict[str, Any]) -> str:
    """What the sets are, and over what they are measured."""
    text = f"Sets of texts are measured over the {record['common']} prompts that each of them has a text for."
    if record["baseline"] and record["task"] != "refine":
        text += (
            f" The baseline is Self-Instruct (Wang et al. 2023) by {title_of(record['baseline']['model'])}: eight "
            f"of the "
            "prompts shown, a ninth asked for, nothing filtered."
        )
    if record["task"] == "refine":
        text += " Self-Instruct refines nothing, so the raw prompts (seeds) are what to compare with."
    return text


def _is_drawn(figure: Figure) -> bool:
    """Pictures that Markdown shows; the others' numbers are in the table."""
    return any(part in figure.name for part in ("win-tie-lose", "-map-", "-coverage", "-length"))


def _measures(record: dict[str, Any]) -> str:
    """A row a measure, a column a set."""
    sets = record["sets"]
    lines = [["", *map(title_of, sets)], ["---"] * (len(sets) + 1)]
    for key, label in (
        ("texts", "texts"),
        ("different", "different (no near-copy of another), of those in common"),
        ("distinct_2", "distinct-2"),
        ("self_bleu", "self-BLEU"),
        ("spread", "spread of meaning"),
        ("reading_grade", "reading grade"),
    ):
        lines.append([label, *(_cell(found[key]) for found in sets.values())])
    if any(found.get("complexity") for found in sets.values()):
        judge = next(title_of(found["judge"]) for found in sets.values() if found.get("judge"))
        lines.append(
            [f"complexity from 1 to 10, says {judge}", *(_mean(found.get("complexity")) for found in sets.values())]
        )
        lines.append([f"nothing false, says {judge}", *(percent(found.get("factual")) for found in sets.values())])
    if record["coverage"]:
        reached = record["coverage"]["sets"]
        lines.append([f"coverage of the {record['coverage']['of']}", *(percent(reached.get(name)) for name in sets)])
    speed = record["speed"]
    for key, label, scale in (
        ("tokens_per_second", "tokens a second", 1.0),
        ("ttft_s", "seconds to the first token", 1.0),
        ("memory_bytes", "memory, GB", 1e9),
        ("disk_bytes", "on disk, GB", 1e9),
    ):
        values = [speed.get(name, {}).get(key) for name in sets]
        lines.append([label, *("–" if value is None else f"{value / scale:.3g}" for value in values)])
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _without_texts(record: dict[str, Any]) -> dict[str, Any]:
    """Without the rows, which stay in the evaluation's folder."""
    layers = record["map"] and {
        name: {"places": found["places"], "texts": [""] * len(found["texts"])} for name, found in record["map"].items()
    }
    return {**record, "map": layers, "examples": []}


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _mean(found: dict[str, Any] | None) -> str:
    return f"{found['mean']:.1f} ({found['low']:.1f}–{found['high']:.1f})" if found else "–"
