"""What a comparison comes to, in a few sentences that are made from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from augmentlm.reports.comparison_sets import judged_by, percent, task_title, title_of


def in_short(records: Sequence[dict[str, Any]]) -> list[str]:
    """Who was preferred and by whom, the rate that decides the use, and speed and memory; task by task."""
    parts = (_verdicts, _rate, _speed)
    return [f"{task_title(record)}: {sentence}" for record in records for part in parts for sentence in part(record)]


def _verdicts(record: dict[str, Any]) -> Iterator[str]:
    for each in record["evaluation"]["judged"]:
        if "wins" not in each:
            continue
        decided = each["decided"]
        share = "none decided" if decided["share"] is None else f"{percent(decided)} of the decided"
        yield (
            f"{title_of(each['left'])} against {title_of(each['right'])}: won {each['wins']}, tied {each['ties']}, "
            f"lost {each['losses']}: {share}, judged by {judged_by(each)}. {_reading(each)}"
        )


def _reading(judged: dict[str, Any]) -> str:
    """What the interval lets one say, of this judge alone."""
    if judged["decided"]["low"] > 0.5:
        return f"It prefers {title_of(judged['left'])}."
    if judged["decided"]["high"] < 0.5:
        return f"It prefers {title_of(judged['right'])}."
    return "Which of the two it prefers, so few verdicts can't tell."


def _rate(record: dict[str, Any]) -> Iterator[str]:
    refined = record["task"] == "refine"
    key, what = ("facts_kept", "keep every hard fact") if refined else ("good", "are good rows")
    rates = {name: found["rates"].get(key) for name, found in record["evaluation"]["systems"].items()}
    said = [f"{percent(rate)} of {title_of(name)}'s texts" for name, rate in rates.items() if rate]
    if said:
        yield f"{', '.join(said)} {what}, by rule."


def _speed(record: dict[str, Any]) -> Iterator[str]:
    said = []
    for name, found in record["speed"].items():
        memory = f" in {found['memory_bytes'] / 1e9:.1f} GB" if found["memory_bytes"] else ""
        said.append(f"{title_of(name)} writes {found['tokens_per_second']:.0f} tokens a second{memory}")
    if said:
        yield f"{'; '.join(said)}."
