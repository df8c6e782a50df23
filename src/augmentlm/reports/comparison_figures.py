"""The figures of a comparison, drawn from its record (see `comparison.compare`)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from augmentlm.reports.charts import Bar, Part, bars, histogram, stacked
from augmentlm.reports.comparison_maps import coverage, maps
from augmentlm.reports.comparison_sets import colours, columns, judged_by, percent, rate_figure, title_of
from augmentlm.reports.page import Figure

_OF_SETS = (
    (
        "diversity-distinct-2",
        "Diversity: distinct-2",
        "distinct_2",
        "Different pairs of neighbouring words over all of them in the set (Li et al. 2016): higher is more varied. "
        "Misspellings and word salad score high too.",
    ),
    (
        "diversity-self-bleu",
        "Diversity: self-BLEU",
        "self_bleu",
        "Mean BLEU-4 of each text against all the others of its set (Zhu et al. 2018): lower is more varied. It sees "
        "wording alone, not meaning.",
    ),
    (
        "diversity-spread",
        "Diversity: spread of meaning",
        "spread",
        "Mean cosine distance between the MiniLM embeddings of any two texts of the set: higher is more varied. The "
        "embedder knows English; Chinese it tells apart only roughly. Texts that drift off the task raise it.",
    ),
    (
        "complexity-reading-grade",
        "Complexity: reading grade",
        "reading_grade",
        "Flesch-Kincaid grade level (Kincaid et al. 1975), mean over the English texts: years of school that their "
        "words "
        "and sentences ask of a reader. It measures wording, not how hard the task is.",
    ),
)

_FACTS_KEPT = (
    "facts_kept",
    "Factuality: hard facts kept",
    "Refined prompts that keep every number, name, link and piece of code of the raw one, of the prompts that have "
    "any. "
    "A fact that is kept and used wrongly counts as kept.",
)
_GOOD = (
    "good",
    "Good rows",
    "Whole, new (ROUGE-L with the input at most 0.7, as in Self-Instruct), of the same kind of task, in the same "
    "language "
    "and, for instructions, not an answer. Rules and embeddings judge this; sense they can't see.",
)


def figures(record: dict[str, Any]) -> list[Figure]:
    """Every figure of a task that there are numbers for; names begin with the task."""
    parts = (_verdicts, _rates, _sets, _graded, coverage, maps, _speed)
    return [figure for part in parts for figure in part(record)]


def _verdicts(record: dict[str, Any]) -> Iterator[Figure]:
    judged = [each for each in record["evaluation"]["judged"] if "wins" in each]
    if not judged:
        return
    rows, numbers = [], []
    judges = dict.fromkeys(each["judge"] for each in judged)
    for each in judged:
        decided, right = each["decided"], title_of(each["right"])
        written = "none decided" if decided["share"] is None else percent(decided)
        counts = {name: each[name] for name in ("wins", "ties", "losses")}
        parts = zip(("win", "tie", "lose"), counts.values(), ("c0", "grey", "c1"), strict=True)
        label = f"against {right}" if len(judges) == 1 else f"against {right}, says {title_of(each['judge'])}"
        rows.append((label, written, [Part(*part) for part in parts]))
        rest = [each.get(name) for name in ("contradicted", "unreadable")]
        alike = [(each.get("length_controlled") or {}).get(name) for name in ("share", "low", "high")]
        numbers.append(
            [title_of(each["left"]), right, judged_by(each), *counts.values(), *decided.values(), *rest, *alike]
        )
    left = title_of(judged[0]["left"])
    by = " and ".join(dict.fromkeys(row[2] for row in numbers))
    fields = ("left", "right", "judge", "wins", "ties", "losses", "share of decided", "low", "high")
    yield Figure(
        f"{record['task']}-win-tie-lose",
        f"Win, tie, lose: {left}",
        f"On the same prompts, judged by {by}. The percentage is that of wins among the decided, with the 95 % "
        f"interval (Wilson). {' '.join(_about_judges(judged))}",
        stacked(rows, f"Wins, ties and losses of {left}"),
        [*fields, "contradicted", "unreadable", "share at equal lengths", "low", "high"],
        numbers,
    )


def _about_judges(judged: list[dict[str, Any]]) -> Iterator[str]:
    """How far these verdicts can be trusted, in sentences."""
    for each in judged:
        sides = f"{title_of(each['left'])} against {title_of(each['right'])}"
        if alike := each.get("length_controlled"):
            yield (
                f"At equal lengths {sides} would have {percent(alike)} of {title_of(each['judge'])}'s votes, ties as "
                "half (logistic regression on the length difference, as in length-controlled AlpacaEval, Dubois et "
                "al. 2024)."
            )
        for reader, agreed in each.get("agreement", {}).items():
            yield (
                f"{title_of(each['judge'])} and {title_of(reader)} said the same of {sides} on {agreed['passed']} of "
                f"{agreed['prompts']} prompts."
            )
    models = [each for each in judged if each["kind"] == "model"]
    if models:
        yield (
            "A model as judge was asked in both orders, and a contradiction is a tie; it favours long texts and texts "
            "like its own (Zheng et al. 2023), so the verdict of a small one is a hint, not a finding."
        )
    for name in dict.fromkeys(each["judge"] for each in models if each["judge"] in (each["left"], each["right"])):
        yield f"{title_of(name)} judged texts of its own here."


def _rates(record: dict[str, Any]) -> Iterator[Figure]:
    """The rate that decides the use: facts kept for refine, good rows for the others."""
    key, title, note = _FACTS_KEPT if record["task"] == "refine" else _GOOD
    rates = {name: found["rates"].get(key) for name, found in record["evaluation"]["systems"].items()}
    if any(rates.values()):
        name = f"{record['task']}-{key.replace('_', '-')}"
        yield rate_figure(name, title, note, rates, colours(record), "prompts")


def _sets(record: dict[str, Any]) -> Iterator[Figure]:
    sets, colour = record["sets"], colours(record)
    for name, title, key, note in _OF_SETS:
        if all(found[key] is None for found in sets.values()):
            continue
        drawn = [Bar(title_of(each), v := found[key], _number(v), colour=colour[each]) for each, found in sets.items()]
        yield Figure(f"{record['task']}-{name}", title, note, bars(drawn, title), *columns(["set"], sets, [key]))
    lengths = {name: found["words"] for name, found in sets.items() if found["words"]}
    if lengths:
        medians = ", ".join(f"{title_of(name)} {statistics.median(words):g}" for name, words in lengths.items())
        titled = {title_of(name): words for name, words in lengths.items()}
        yield Figure(
            f"{record['task']}-length",
            "Length",
            f"Words of the English texts: the share of each set's texts in each bin. Longer is not better. Medians: "
            f"{medians}.",
            histogram(titled, "Lengths in words", "words", [colour[name] for name in lengths]),
            ["set", "words"],
            [[name, count] for name, words in titled.items() for count in words],
        )


def _graded(record: dict[str, Any]) -> Iterator[Figure]:
    sets, colour = record["sets"], colours(record)
    judge = next((title_of(found["judge"]) for found in sets.values() if found.get("judge")), None)
    graded = {name: found["complexity"] for name, found in sets.items() if found.get("complexity")}
    if graded:
        title = "Complexity: graded"
        drawn = [
            Bar(title_of(name), found["mean"], f"{found['mean']:.1f}", found["low"], found["high"], colour[name])
            for name, found in graded.items()
        ]
        yield Figure(
            f"{record['task']}-complexity-graded",
            title,
            f"{judge} grades each instruction's difficulty from 1 to 10, asked as in Evol-Instruct (Xu et al. 2023); "
            "the mean with its 95 % interval. A judge this small grades by length and topic: compare the sets, don't "
            "read the value.",
            bars(drawn, title, top=10.0),
            *columns(["set"], graded, ["mean", "low", "high", "texts"]),
        )
    factual = {name: found["factual"] for name, found in sets.items() if found.get("factual")}
    if factual:
        what = "response" if record["task"] == "pair" else "text"
        yield rate_figure(
            f"{record['task']}-factuality-judged",
            "Factuality: judged",
            f"Share whose {what} states nothing false or contradictory, says {judge} (a model as judge, Zheng et al. "
            "2023). It knows little and agrees readily: a high share is no proof of truth.",
            factual,
            colour,
            "rows",
        )


def _speed(record: dict[str, Any]) -> Iterator[Figure]:
    speed, colour = record["speed"], colours(record)
    if not speed:
        return
    machine = "; ".join(dict.fromkeys(f"{each['machine']}, {each['date']}" for each in speed.values()))
    drawn = [
        Bar(title_of(name), each["tokens_per_second"], f"{each['tokens_per_second']:.0f} tokens/s", colour=colour[name])
        for name, each in speed.items()
    ]
    fields = ["engine", "quantization", "ttft_s", "seconds", "tokens", "tokens_per_second"]
    yield Figure(
        f"{record['task']}-speed",
        "Speed",
        f"Tokens a second after the first, one prompt at a time, each model in a process of its own; median. "
        f"{machine}. "
        "Whatever else ran there at the time slowed it down.",
        bars(drawn, "Speed"),
        *columns(["model"], speed, fields),
    )
    sized = {name: each for name, each in speed.items() if each["memory_bytes"]}
    if sized:
        held = {name: each["memory_bytes"] / 1e9 for name, each in sized.items()}
        drawn = [
            Bar(
                title_of(name),
                held[name],
                f"{held[name]:.2f} GB, {each['disk_bytes'] / 1e9:.2f} on disk",
                None,
                None,
                c,
            )
            for name, each in sized.items()
            for c in [colour[name]]
        ]
        yield Figure(
            f"{record['task']}-memory",
            "Memory",
            "What the model's process holds after writing: its weights, its context and Python. Beside it the weights' "
            "size on disk.",
            bars(drawn, "Memory"),
            *columns(["model"], sized, ["memory_bytes", "disk_bytes"]),
        )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < 1 else f"{value:.1f}"
