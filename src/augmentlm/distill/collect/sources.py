"""Where seeds come from: whatever holds a data set (files, folders, the hub), and the teaching families."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from augmentlm import schemas, tables
from augmentlm.checks import Finding
from augmentlm.distill.rows import json_object
from augmentlm.distill.sets import read_rows


@dataclass(frozen=True)
class Raw:
    """A row as it stands in its source: `where` for a person, `id` when the source's families name one."""

    where: str
    instruction: str = ""
    response: str | None = None
    category: str | None = None
    id: str | None = None
    fault: Finding | None = None


def read(source: str) -> Iterator[Raw]:
    """The rows of one source. A row that can't be used comes with its `fault`; the others go on.

    `source` is a JSONL, JSON, CSV or Parquet file, a folder of `datasets`, a data set on the hub (`owner/name`), or a
    folder of teaching families (of which the train split is read). Of a chat its first question counts. Raises
    `InputError` where nothing can be read, and `MissingExtraError`.
    """
    path = Path(source)
    if _holds_families(path):
        yield from _families(path)
        return
    found = schemas.read(tables.read(source))
    name = path.name
    for problem in found.problems:
        place = re.match(r"(?:Line|Row) \d+", problem)
        yield Raw(f"{name}: {place.group().lower() if place else '?'}", fault=Finding("unreadable", problem))
    for number, example in enumerate(found.examples, 1):
        # What was said later in a chat makes no sense alone; what was said first does, and its answer is not known.
        response = example.response if example.opening == example.instruction else None
        yield Raw(f"{name}: {number}", example.opening, response or None, example.kind)


def _holds_families(path: Path) -> bool:
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else []
    if not files:
        return False
    with files[0].open(encoding="utf-8", errors="replace") as lines:
        return "items" in (json_object(lines.readline()) or {})


def _families(path: Path) -> Iterator[Raw]:
    for row in read_rows(path, "train"):
        for number, item in enumerate(row["items"]):
            name = f"{row['id']}/{number}"
            yield Raw(f"{path.name}: {name}", item["instruction"], item["response"], row.get("category"), name)
