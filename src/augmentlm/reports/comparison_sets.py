"""How the sets of a comparison are named, coloured and drawn where each has a rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from augmentlm import catalog
from augmentlm.reports.charts import Bar, bars
from augmentlm.reports.page import Figure

_TASKS = {"refine": "Refine", "expand": "Expand", "pair": "Pair"}


def task_title(record: dict[str, Any]) -> str:
    return _TASKS[record["task"]]


def judged_by(judged: Mapping[str, Any]) -> str:
    """Who judged: a model by its name, or a reader, who was not told which text was whose."""
    return title_of(judged["judge"]) + (" (a model)" if judged["kind"] == "model" else " (not told who wrote what)")


def title_of(name: str) -> str:
    known = catalog.models().get(name)
    return known.title if known else name


def colours(record: dict[str, Any]) -> dict[str, str]:
    """A colour for each set: models have their own, the dev data is the ground."""
    systems = [name for name, found in record["sets"].items() if found["kind"] == "system"]
    own = {name: f"c{place % 4}" for place, name in enumerate(systems)}
    rest = {"baseline": "c5", "reference": "grey", "seeds": "c4"}
    return {name: own.get(name) or rest[found["kind"]] for name, found in record["sets"].items()}


def rate_figure(
    name: str, title: str, note: str, rates: Mapping[str, dict[str, Any] | None], colour: Mapping[str, str], count: str
) -> Figure:
    """Bars of rates in percent with their intervals. `count` is the field that says of how many."""
    drawn = []
    for each, rate in rates.items():
        share, low, high = (rate[key] if rate else None for key in ("share", "low", "high"))
        drawn.append(Bar(title_of(each), share, percent(rate), low, high, colour[each]))
    fields = ("share", "low", "high", count)
    numbers = [[title_of(each), *(rate[key] for key in fields)] for each, rate in rates.items() if rate]
    return Figure(name, title, note, bars(drawn, title, top=1.0), ["set", *fields], numbers)


def columns(titles: Sequence[str], rows: Mapping[str, Mapping[str, Any]], fields: Sequence[str]) -> tuple[Any, Any]:
    """The columns and the rows of numbers of a figure that has some fields of each set."""
    return [*titles, *fields], [[title_of(name), *(found[key] for key in fields)] for name, found in rows.items()]


def percent(rate: Mapping[str, Any] | None) -> str:
    return f"{rate['share']:.0%} ({rate['low']:.0%}–{rate['high']:.0%})" if rate else "–"
