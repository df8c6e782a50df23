"""Rows into files and folders, each of which appears whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from augmentlm.errors import unwritable
from augmentlm.tables.extras import need

FILES = {
    "jsonl": "data.jsonl",
    "json": "data.json",
    "csv": "data.csv",
    "parquet": "data.parquet",
    "datasets": "dataset",
}
"""The kinds of file there are, and what each is called in a run's folder."""

_FORMULA = re.compile(r"^[=+\-@\t\r]")


def write(path: Path, rows: Sequence[dict[str, Any]], kind: str) -> None:
    """Write rows; the file appears whole or not at all. Cells of a CSV that are no text are written as JSON, and one
    that a spreadsheet would run as a formula gets an apostrophe in front, so a CSV does not read back as it was."""
    partial = path.with_name(f"{path.name}.part")
    try:
        if kind == "datasets":
            _write_datasets(partial, rows)
            _discard(path)
        elif kind == "parquet":
            _write_parquet(partial, rows)
        else:
            with partial.open("w", encoding="utf-8", newline="") as file:
                file.writelines(_lines(rows, kind))
        partial.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _discard(partial)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _lines(rows: Sequence[dict[str, Any]], kind: str) -> Iterator[str]:
    if kind == "jsonl":
        yield from (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    elif kind == "json":
        yield "[\n"
        for number, row in enumerate(rows):
            yield f"{',' if number else ''} {json.dumps(row, ensure_ascii=False)}\n"
        yield "]\n"
    else:
        out = io.StringIO(newline="")
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(out, names, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        yield "\ufeff"  # without it, Excel takes UTF-8 for something else
        yield out.getvalue()


def _even(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every row with every column: a library that takes the columns from the first row would drop the others."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if _FORMULA.match(text) else text


def _write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    need("pyarrow", "Parquet files")
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(_even(rows)), path)


def _write_datasets(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    need("datasets", "folders of Hugging Face datasets")
    from datasets import Dataset

    _discard(folder)
    Dataset.from_list(_even(rows)).save_to_disk(str(folder))
