"""Where the texts of a comparison lie: how much of the dev data they cover, and maps of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from augmentlm.reports.charts import Point, scatter
from augmentlm.reports.comparison_sets import colours, rate_figure, title_of
from augmentlm.reports.page import Figure


def coverage(record: dict[str, Any]) -> Iterator[Figure]:
    if not record["coverage"]:
        return
    of, sets = record["coverage"]["of"], record["coverage"]["sets"]
    yield rate_figure(
        f"{record['task']}-coverage",
        f"Coverage of the {of}",
        f"Share of the {of} that has a text of the set nearer than its own fifth-nearest neighbour in the {of}, by "
        "embeddings (Naeem et al. 2020). 97 % is what a set of the same size drawn alike would reach. It says that a "
        "region is reached, not that what stands there is good.",
        sets,
        colours(record),
        "of",
    )
    categories = list(next(iter(sets.values()))["categories"])
    if len(categories) > 1:
        yield Figure(
            f"{record['task']}-coverage-by-category",
            f"Coverage of the {of}, by category",
            f"Texts of the {of} that are covered, of all in the category.",
            "",
            ["category", *map(title_of, sets)],
            [[name, *(" of ".join(map(str, s["categories"][name])) for s in sets.values())] for name in categories],
        )


def maps(record: dict[str, Any]) -> Iterator[Figure]:
    """One projection for all, a picture for each set over the same ground, as in the paper's Figures 4 and 5."""
    layers, colour = record["map"], colours(record)
    if not layers:
        return
    points = {
        name: [Point(x, y, text) for (x, y), text in zip(found["places"], found["texts"], strict=True)]
        for name, found in layers.items()
    }
    everything = [point for found in points.values() for point in found]
    kinds = {name: record["sets"][name]["kind"] for name in points}
    ground = [name for kind in ("reference", "seeds") for name in points if kinds[name] == kind]
    for name in points:
        if name in ground:
            continue
        title = title_of(name)
        shown = [*((each, colour[each]) for each in ground), (name, colour[name])]
        yield Figure(
            f"{record['task']}-map-{name.lower()}",
            f"Map: {title}",
            f"{title}'s texts over {' and '.join(ground)}. t-SNE (van der Maaten and Hinton 2008) of MiniLM "
            f"embeddings; "
            "the maps of a task share their places. Near means alike; distances between groups, empty space and the "
            "size of a cluster mean nothing.",
            scatter([(title_of(each), c, points[each]) for each, c in shown], f"Map of {title}", everything),
            ["set", "x", "y", "text"],
            [[each, point.x, point.y, point.title] for each, _ in shown for point in points[each]],
        )
