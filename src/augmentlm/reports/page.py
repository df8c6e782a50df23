"""A report as one HTML file: figures with their numbers, and rows to read. All text in it is data and escaped.

There is no script, and a content policy that lets nothing be fetched: a row that holds markup stays text, and the page
reads the same offline and in ten years.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from augmentlm.drafts import draft_of
from augmentlm.errors import unwritable

SHOWN_ROWS = 40
"""Numbers of a figure that the page shows as a table; a file beside it has them all."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Figure:
    """A picture with its numbers. `note` says what it shows and what it can't say; `svg` may be empty."""

    name: str
    title: str
    note: str
    svg: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def as_csv(self) -> str:
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if cell is None else _inert(cell) for cell in row] for row in self.rows)
        return written.getvalue()


@dataclass(frozen=True)
class Text:
    """One labelled text of a row."""

    label: str
    text: str


@dataclass(frozen=True)
class Reading:
    """A row to read: what was wrong with it, and its texts beside each other."""

    texts: Sequence[Text]
    reason: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    paragraphs: Sequence[str] = ()
    tiles: Sequence[tuple[str, str]] = ()
    figures: Sequence[Figure] = ()
    readings: Sequence[Reading] = ()

    @property
    def anchor(self) -> str:
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


def page(title: str, lead: Sequence[str], sections: Sequence[Section], numbers: str = "") -> str:
    """The whole page. Titles, paragraphs and rows are plain text.

    `numbers` is the file that has the numbers of every figure; without it each figure has a CSV of its own.
    """
    style = resources.files("augmentlm.reports")
    css = "".join(style.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "chart.css"))
    links = "".join(f'<a href="#{each.anchor}">{escape(each.title)}</a>' for each in sections)
    body = "".join(_section(each, numbers) for each in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n{_paragraphs(lead)}<nav aria-label="Sections">{links}</nav>\n{body}'
        "</main>\n</body>\n</html>\n"
    )


def write(path: Path, text: str) -> None:
    """Put a file in its place whole. Raises `InputError` when that can't be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(path) as draft:
            draft.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise unwritable(path, error) from error


def write_csvs(folder: Path, figures: Sequence[Figure]) -> None:
    """`NAME.csv` for each figure."""
    for figure in figures:
        write(folder / f"{figure.name}.csv", figure.as_csv())


def standalone(svg: str) -> str:
    """A chart as a file of its own, with its colours in it."""
    css = resources.files("augmentlm.reports").joinpath("chart.css").read_text(encoding="utf-8")
    start = svg.index(">") + 1
    return f"{svg[:start]}<style>{css}</style>{svg[start:]}\n"


def _section(section: Section, numbers: str) -> str:
    parts = [f'<section><h2 id="{section.anchor}">{escape(section.title)}</h2>\n', _paragraphs(section.paragraphs)]
    if section.tiles:
        tiles = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in section.tiles)
        parts.append(f'<dl class="tiles">{tiles}</dl>\n')
    if section.figures:
        figures = "".join(_figure(each, numbers or f"{each.name}.csv") for each in section.figures)
        parts.append(f'<div class="figures">\n{figures}</div>\n')
    if section.readings:
        parts.append(f'<ul class="rows">\n{"".join(map(_reading, section.readings))}</ul>\n')
    return "".join([*parts, "</section>\n"])


def _figure(figure: Figure, numbers: str) -> str:
    header = "".join(f"<th>{escape(name)}</th>" for name in figure.columns)
    shown = figure.rows[:SHOWN_ROWS]
    body = "".join(f"<tr>{''.join(f'<td>{escape(_written(cell))}</td>' for cell in row)}</tr>" for row in shown)
    more = len(figure.rows) - len(shown)
    rest = f'<p class="note">… and {more:,} more in {escape(numbers)}</p>' if more else ""
    # A keyboard scrolls what it can reach.
    region = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(figure.title)}: numbers">'
    table = f"{region}<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>{rest}"
    if figure.svg:
        table = f"<details><summary>Numbers</summary>{table}</details>"
    caption = f"<figcaption>{escape(figure.note)}</figcaption>"
    wide = "" if figure.svg else ' class="wide"'
    return f"<figure{wide}><h3>{escape(figure.title)}</h3>{caption}{figure.svg}{table}</figure>\n"


def _reading(reading: Reading) -> str:
    reason = f'<div class="reason">{escape(reading.reason)}</div>' if reading.reason else ""
    sides = "".join(
        f'<div><div class="label">{escape(each.label)}</div><pre dir="auto">{escape(each.text)}</pre></div>'
        for each in reading.texts
    )
    return f'<li>{reason}<div class="sides">{sides}</div></li>\n'


def _paragraphs(texts: Sequence[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>\n" for text in texts if text)


def _written(cell: Any) -> str:
    if cell is None:
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _inert(cell: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell
