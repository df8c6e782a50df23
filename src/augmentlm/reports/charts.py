"""Charts as plain SVG, 360 units wide so that their letters are readable on a phone.

Colours are classes (`c0` … `c5`, `grey`), which the page's style sheet gives for light and for dark. Every mark has a
title, which browsers show under the pointer. All text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH = 360
_ROW, _BAR = 40, 12
_BEFORE_AFTER = ("c1", "c0")
_PLOT_HEIGHT = 150
_LABEL = 46
"""Letters of 12 units that fit the width, roughly; what is longer ends in an ellipsis and is whole in the title."""


@dataclass(frozen=True)
class Bar:
    """A labelled value, its interval where there is one, and how it is written."""

    label: str
    value: float | None
    written: str
    low: float | None = None
    high: float | None = None
    colour: str = "c0"


@dataclass(frozen=True)
class Part:
    """One piece of a stacked bar."""

    label: str
    value: float
    colour: str


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    title: str


def bars(rows: Sequence[Bar], title: str, *, top: float | None = None) -> str:
    """Horizontal bars from 0 to `top` (default: the highest value or interval), each below its label."""
    highest = max((value for row in rows for value in (row.value, row.high) if value is not None), default=1.0)
    scale = WIDTH / ((top or highest) or 1.0)
    drawn = []
    for place, row in enumerate(rows):
        y = place * _ROW
        drawn.append(_heading(row.label, row.written, y))
        drawn.append(f'<rect class="track" x="0" y="{y + 20}" width="{WIDTH}" height="{_BAR}" rx="2"/>')
        if row.value is None:
            continue
        tip = f"<title>{escape(f'{row.label}: {row.written}')}</title>"
        width = max(row.value * scale, 1)
        drawn.append(
            f'<rect class="{row.colour}" x="0" y="{y + 20}" width="{width:.1f}" height="{_BAR}" rx="2">{tip}</rect>'
        )
        if row.low is not None and row.high is not None:
            low, high, middle = row.low * scale, min(row.high * scale, WIDTH - 0.75), y + 20 + _BAR / 2
            drawn.append(
                f'<path class="whisker" d="M{low:.1f},{middle}H{high:.1f}M{low:.1f},{middle - 4}v8'
                f'M{high:.1f},{middle - 4}v8">{tip}</path>'
            )
    return _svg(drawn, len(rows) * _ROW, title)


def stacked(rows: Sequence[tuple[str, str, Sequence[Part]]], title: str) -> str:
    """A full-width bar for each (label, note, parts), cut as the parts' values are to each other; legend on top."""
    legend, offset = _legend({part.label: part.colour for _, _, parts in rows for part in parts})
    drawn = [legend]
    for place, (label, note, parts) in enumerate(rows):
        y = offset + place * _ROW
        drawn.append(_heading(label, note, y))
        total = sum(part.value for part in parts) or 1.0
        x = 0.0
        for part in parts:
            width = part.value / total * WIDTH
            tip = escape(f"{label}, {part.label}: {part.value:g} of {total:g}")
            drawn.append(
                f'<rect class="{part.colour}" x="{x:.1f}" y="{y + 20}" width="{width:.1f}" height="{_BAR + 4}">'
                f"<title>{tip}</title></rect>"
            )
            if width > 22:
                drawn.append(f'<text class="on" x="{x + width / 2:.1f}" y="{y + 32}">{part.value:g}</text>')
            x += width
    return _svg(drawn, offset + len(rows) * _ROW, title)


def paired(rows: Sequence[tuple[str, float, float]], names: tuple[str, str], title: str) -> str:
    """Two shares for each (label, first, second), one bar under the other."""
    legend, offset = _legend(dict(zip(names, _BEFORE_AFTER, strict=True)))
    scale = WIDTH / (max((share for _, *both in rows for share in both), default=0.0) or 1.0)
    drawn = [legend]
    for place, (label, *both) in enumerate(rows):
        y = offset + place * _ROW
        drawn.append(_heading(label, " → ".join(f"{share:.0%}" for share in both), y))
        for line, (name, colour, share) in enumerate(zip(names, _BEFORE_AFTER, both, strict=True)):
            tip = escape(f"{label}, {name}: {share:.1%}")
            drawn.append(
                f'<rect class="{colour}" x="0" y="{y + 19 + 8 * line}" width="{share * scale:.1f}" height="7">'
                f"<title>{tip}</title></rect>"
            )
    return _svg(drawn, offset + len(rows) * _ROW, title)


def histogram(series: Mapping[str, Sequence[float]], title: str, unit: str, colours: Sequence[str] = ()) -> str:
    """Shares of each series in common bins, side by side. `unit` names the horizontal axis.

    A few values far above all others share the last bin, which says so: they would leave a single one for the rest.
    """
    most = _most([value for values in series.values() for value in values])
    series = {name: [min(value, most) for value in values] for name, values in series.items()}
    edges = bins([value for values in series.values() for value in values])
    names = list(series)
    spans = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    last = f"{edges[-1]:g}"
    if most < math.inf:
        last = spans[-1] = f"{edges[-2]:g} up"
    colours = colours or [f"c{place}" for place in range(len(names))]
    shares = {name: _shares(series[name], edges) for name in names}
    highest = max((share for found in shares.values() for share in found), default=0.0) or 1.0
    legend, offset = _legend(dict(zip(names, colours, strict=True)))
    floor = offset + _PLOT_HEIGHT
    drawn = [legend]
    step = WIDTH / (len(edges) - 1)
    width = (step - 2) / max(1, len(names))
    for column, (name, colour) in enumerate(zip(names, colours, strict=True)):
        for place, share in enumerate(shares[name]):
            if not share:
                continue
            height = share / highest * (_PLOT_HEIGHT - 14)
            x = place * step + 1 + column * width
            tip = escape(f"{name}: {share:.0%} from {spans[place]} {unit}")
            drawn.append(
                f'<rect class="{colour}" x="{x:.1f}" y="{floor - height:.1f}" width="{width:.1f}" '
                f'height="{height:.1f}"><title>{tip}</title></rect>'
            )
    drawn.append(f'<path class="axis" d="M0,{floor}H{WIDTH}"/>')
    drawn.append(f'<text class="soft" x="0" y="{offset + 10}">{highest:.0%}</text>')
    for place in sorted({0, len(edges) // 2, len(edges) - 1}):
        anchor = "start" if place == 0 else "end" if place == len(edges) - 1 else "middle"
        written = f"{last} {unit}" if anchor == "end" else f"{edges[place]:g}"
        drawn.append(
            f'<text class="soft" x="{place * step:.1f}" y="{floor + 15}" text-anchor="{anchor}">'
            f"{escape(written)}</text>"
        )
    return _svg(drawn, floor + 20, title)


def scatter(layers: Sequence[tuple[str, str, Sequence[Point]]], title: str, frame: Sequence[Point] = ()) -> str:
    """Points of each (name, colour, points) layer, later ones on top, axes alike and without numbers.

    `frame` holds all the points that share the picture's scale: give the same to charts that stand beside each other.
    """
    everything = [*frame, *(point for _, _, points in layers for point in points)]
    legend, offset = _legend({name: colour for name, colour, _ in layers})
    if not everything:
        return _svg([legend], offset, title)
    left, right = min(p.x for p in everything), max(p.x for p in everything)
    lower, upper = min(p.y for p in everything), max(p.y for p in everything)
    side = WIDTH - 16
    scale = side / (max(right - left, upper - lower) or 1.0)
    drawn = [legend, f'<rect class="track" x="0" y="{offset}" width="{WIDTH}" height="{WIDTH}" rx="4"/>']
    for _, colour, points in layers:
        radius = 2.2 if colour == "grey" else 3
        for point in points:
            x = 8 + (point.x - left) * scale + (side - (right - left) * scale) / 2
            y = offset + 8 + (upper - point.y) * scale + (side - (upper - lower) * scale) / 2
            tip = f"<title>{escape(point.title)}</title>" if point.title else ""
            drawn.append(f'<circle class="{colour} dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{tip}</circle>')
    return _svg(drawn, offset + WIDTH, title)


def bins(values: Sequence[float], most: int = 14) -> list[float]:
    """Edges of at most `most` bins of a round width that hold all values."""
    if not values:
        return [0.0, 1.0]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    rough = span / most
    power = 10 ** math.floor(math.log10(rough))
    width = next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if math.floor(span / (factor * power)) + 2 <= most)
    first = math.floor(low / width)
    count = max(1, math.floor(high / width) - first + 1)
    return [round((first + place) * width, 10) for place in range(count + 1)]


def _most(values: Sequence[float]) -> float:
    """Where values are cut: at the 98th percentile when the highest is more than three times that, else nowhere."""
    if not values:
        return math.inf
    high = sorted(values)[round(0.98 * (len(values) - 1))]
    return high if high > 0 and max(values) > 3 * high else math.inf


def _shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    counts = [sum(low <= value < high for value in values) for low, high in pairwise(edges)]
    return [count / len(values) if values else 0.0 for count in counts]


def _heading(label: str, note: str, y: float) -> str:
    room = max(8, _LABEL - len(note))
    shown = label if len(label) <= room else f"{label[: room - 1]}…"
    return (
        f'<text x="0" y="{y + 14}">{escape(shown)}<title>{escape(label)}</title></text>'
        f'<text class="soft" x="{WIDTH}" y="{y + 14}" text-anchor="end">{escape(note)}</text>'
    )


def _legend(entries: Mapping[str, str]) -> tuple[str, int]:
    """The legend and the height that it takes; entries wrap by a guess at their width."""
    drawn, x, y = [], 0.0, 0
    for name, colour in entries.items():
        width = 22 + 6.6 * len(name)
        if x and x + width > WIDTH:
            x, y = 0.0, y + 18
        drawn.append(f'<circle class="{colour}" cx="{x + 5}" cy="{y + 9}" r="5"/>')
        drawn.append(f'<text x="{x + 15}" y="{y + 13}">{escape(name)}</text>')
        x += width
    return "".join(drawn), y + 24


def _svg(drawn: Sequence[str], height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img">'
        f"<title>{escape(title)}</title>{''.join(drawn)}</svg>"
    )
