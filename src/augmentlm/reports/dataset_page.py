"""The page of a data set run, from its numbers (see `dataset.describe`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from augmentlm.reports.charts import Bar, Part, Point, bars, histogram, paired, scatter, stacked
from augmentlm.reports.dataset_card import limits
from augmentlm.reports.page import Figure, Reading, Section, Text, page

NUMBERS = "report.json"
"""The file beside the page that holds all its numbers."""

_COLOURS = ("c1", "c0")
_SHORT = re.compile(r"((?:sha256|commit):[0-9a-f]{12})[0-9a-f]+")
"""A digest, of which the page shows the beginning; report.json has it whole."""

_KINDS = 12
"""Kinds that the chart names, most frequent first."""


def dataset_page(numbers: dict[str, Any]) -> str:
    lead = [
        f"{numbers['accepted']:,} of {numbers['wanted']:,} rows accepted, grown from {numbers['seeds']:,} seeds "
        f"through "
        f"{', '.join(step['task'] for step in numbers['steps'])}.",
        numbers["ended"],
    ]
    sections = [
        Section("What came of the candidates", tiles=_tiles(numbers), figures=list(_funnel(numbers))),
        Section("Before and after", _before_and_after(numbers), figures=list(_sets(numbers))),
        Section("How it was made", figures=list(_made(numbers))),
        _readings("Accepted rows to read", numbers["accepted_rows"], numbers["accepted"]),
        _readings("Rejected rows to read", numbers["rejected_rows"], numbers["candidates"] - numbers["accepted"]),
    ]
    return page(f"Data set run: {numbers['name']}", lead, sections, NUMBERS)


def _tiles(numbers: dict[str, Any]) -> list[tuple[str, str]]:
    accepted, candidates = numbers["accepted"], numbers["candidates"]
    tiles = [
        ("accepted", f"{accepted:,}"),
        ("candidates", f"{candidates:,}"),
        ("rejected", f"{candidates - accepted:,}"),
        ("accepted of candidates", f"{accepted / candidates:.0%}" if candidates else "–"),
    ]
    if accepted:
        written = sum(step["completion_tokens"] for step in numbers["cost"]) / accepted
        tiles.append(("tokens written per accepted row", f"{written:,.0f}"))
        tiles.append(("seconds per accepted row", f"{numbers['seconds'] / accepted:,.1f}"))
    return tiles


def _funnel(numbers: dict[str, Any]) -> Iterator[Figure]:
    funnel = numbers["funnel"]
    drawn = [Bar("candidates", numbers["candidates"], f"{numbers['candidates']:,}", colour="c4")]
    drawn += [Bar(f"passed {step['step']}", step["passed"], f"{step['passed']:,}") for step in funnel]
    yield Figure(
        "funnel",
        "From candidates to rows",
        "Every candidate ends as accepted or as rejected with a reason. What passed the last step is the data set.",
        bars(drawn, "Candidates that passed each step"),
        ["step", "came", "passed"],
        [[step["step"], step["came"], step["passed"]] for step in funnel],
    )
    reasons = [(step["step"], code, count) for step in funnel for code, count in step["reasons"].items()]
    if reasons:
        reasons.sort(key=lambda reason: -reason[2])
        yield Figure(
            "reasons",
            "Why candidates were rejected",
            "The first reason found, by step. The texts with their evidence are in rejected.jsonl.",
            bars(
                [Bar(f"{step}: {code}", count, f"{count:,}", colour="c3") for step, code, count in reasons], "Reasons"
            ),
            ["step", "reason", "candidates"],
            reasons,
        )
    if not numbers["accepted"]:
        return
    cost = numbers["cost"]
    rows = []
    for step in cost:
        read, written = step["prompt_tokens_per_row"], step["completion_tokens_per_row"]
        parts = [Part("read", round(read), "c4"), Part("written", round(written), "c0")]
        rows.append((step["step"], f"{read + written:,.0f} tokens, {step['seconds_per_row']:.1f} s", parts))
    names = ("texts", "prompt_tokens_per_row", "completion_tokens_per_row", "seconds_per_row")
    yield Figure(
        "cost",
        "Tokens and time for an accepted row",
        "Rejected candidates are paid for by the accepted. Seconds are those of each text from its start to its end; "
        "texts are written several at a time, so the run took less than their sum.",
        stacked(rows, "Tokens for an accepted row"),
        ["step", *names],
        [[step["step"], *(step[name] for name in names)] for step in cost],
    )


def _before_and_after(numbers: dict[str, Any]) -> list[str]:
    over = numbers["measured_over"]
    said = [numbers["left_out"] and f"Left out: {numbers['left_out']}"]
    if over["accepted"] < numbers["accepted"] or over["seeds"] < numbers["seeds"]:
        said.append(f"Measured over {over['seeds']:,} seeds and {over['accepted']:,} accepted rows, drawn at random.")
    return said


def _sets(numbers: dict[str, Any]) -> Iterator[Figure]:
    for what, sets in numbers["lengths"].items():
        named = {name: values for name, values in sets.items() if values}
        colours = [colour for name, colour in zip(sets, _COLOURS, strict=True) if sets[name]]
        yield Figure(
            f"length-{what}",
            f"Length of the {what}s",
            "Words, of Chinese text characters: the share of rows in each bin.",
            histogram(named, f"Length of the {what}s", "words", colours),
            ["set", "words"],
            [[name, value] for name, values in sets.items() for value in values],
        )
    yield _tasks(numbers["tasks"])
    diversity = numbers["diversity"]
    measures = ("texts", "distinct_1", "distinct_2", "self_bleu")
    yield from _similarity(numbers)
    yield Figure(
        "diversity",
        "Diversity",
        "distinct-n: different n-grams over all n-grams (Li et al. 2016), higher is more varied. self-BLEU: "
        "likeness of "
        "each text to the others of its set (Zhu et al. 2018), lower is more varied. Only sets of one size can be "
        "compared; all accepted rows stand beside them for the record. Both see wording, not meaning.",
        "",
        ["set", *(name.replace("_", "-") for name in measures)],
        [[name, *(found[each] for each in measures)] for name, found in diversity.items()],
    )


def _tasks(tasks: dict[str, Any]) -> Figure:
    before, after = tasks["seeds"], tasks["accepted"]
    totals = [max(1, sum(counts.values())) for counts in (before, after)]
    kinds = sorted(
        {*before, *after}, key=lambda kind: (-before.get(kind, 0) / totals[0] - after.get(kind, 0) / totals[1], kind)
    )
    shares = [(kind, before.get(kind, 0) / totals[0], after.get(kind, 0) / totals[1]) for kind in kinds]
    shown, rest = shares[:_KINDS], shares[_KINDS:]
    if len(rest) == 1:
        shown = shares
    elif rest:
        shown.append((f"{len(rest)} others", sum(each[1] for each in rest), sum(each[2] for each in rest)))
    note = (
        "As the seeds name their kind; a new row counts as its seed's, whether or not it kept to it."
        if tasks["by"] == "kind"
        else "The seeds name no kind, so by the word that the instruction opens with: a rough stand-in for the task."
    )
    return Figure(
        "tasks",
        "Kinds of tasks",
        f"{note} Share of the seeds → share of the accepted rows.",
        paired(shown, ("seeds", "accepted"), "Kinds of tasks before and after"),
        [tasks["by"], "seeds", "accepted"],
        [[kind, before.get(kind, 0), after.get(kind, 0)] for kind in kinds],
    )


def _similarity(numbers: dict[str, Any]) -> Iterator[Figure]:
    yield _histogram(
        "nearest-seed-words",
        "Nearest seed, by words",
        "ROUGE-L of each accepted instruction with the seed most like it: 1 is a copy. Above "
        f"{numbers['checks']['near_copy']:g} a candidate is rejected.",
        numbers["nearest_seed"]["rouge_l"],
        "ROUGE-L",
    )
    meaning: Mapping[str, Any] | None = numbers["meaning"]
    if not meaning:
        return
    if meaning["nearest_seed"]:
        spread = meaning["spread"]
        spreads = ", ".join(f"{name} {value:.2f}" for name, value in spread.items() if value is not None)
        yield _histogram(
            "nearest-seed-meaning",
            "Nearest seed, by meaning",
            "Cosine similarity of each accepted instruction's MiniLM embedding with the nearest seed's. High: the same "
            "subject. Very low: it may have left the task. Mean distance between any two texts of a set: "
            f"{spreads or '–'}.",
            meaning["nearest_seed"],
            "cosine",
        )
    if layers := meaning["map"]:
        points = {
            name: [Point(x, y, text) for (x, y), text in zip(found["places"], found["texts"], strict=True)]
            for name, found in layers.items()
        }
        drawn = [(name, colour, points[name]) for name, colour in zip(("accepted", "seeds"), ("c0", "c1"), strict=True)]
        yield Figure(
            "map",
            "Map of seeds and accepted rows",
            "t-SNE (van der Maaten and Hinton 2008) of MiniLM embeddings. Near means alike: new rows among the "
            "seeds grow "
            "them, new rows elsewhere reach further or stray. Distances between groups and their sizes mean nothing.",
            scatter(drawn, "Map of seeds and accepted rows"),
            ["set", "x", "y", "text"],
            [[name, point.x, point.y, point.title] for name, found in points.items() for point in found],
        )


def _histogram(name: str, title: str, note: str, values: Sequence[float], unit: str) -> Figure:
    drawn = histogram({"accepted": values}, title, unit, ["c0"])
    return Figure(name, title, note, drawn, [unit], [[value] for value in values])


def _made(numbers: dict[str, Any]) -> Iterator[Figure]:
    rows = [
        [
            step["task"],
            step["model"],
            _SHORT.sub(r"\1…", step["digest"]),
            f"{step['engine']}, {step['quantization']}",
            ", ".join(f"{name} {value}" for name, value in step["sampling"].items()),
        ]
        for step in numbers["steps"]
    ]
    yield Figure(
        "steps",
        "Steps",
        f"Random seed {numbers['seed']}, prompts of version {numbers['prompt_version']}. The rows carry the seed "
        f"that each "
        "was sampled with.",
        "",
        ["step", "model", "weights", "engine", "sampling"],
        rows,
    )
    yield Figure(
        "checks", "Limits of the checks", "What a candidate had to keep to.", "", ["limit", "value"], limits(numbers)
    )


def _readings(title: str, rows: Sequence[dict[str, Any]], total: int) -> Section:
    drawn = "drawn at random" if len(rows) < total else "all of them"
    said = f"{len(rows)} of {total:,}, {drawn}." if total else "There are none."
    readings = []
    for row in rows:
        reason = f"{row['step']}: {row['code']}" + (f" ({row['evidence']})" if row["evidence"] else "")
        texts = [Text("seed", row["seed"]), Text("instruction", row["instruction"])]
        if row["response"]:
            texts.append(Text("response", row["response"]))
        readings.append(Reading(texts, reason if row["code"] else ""))
    return Section(title, [said], readings=readings)
