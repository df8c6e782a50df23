"""Rows out of files and folders: what can't be read is told row by row, and the rest goes on."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augmentlm.errors import InputError
from augmentlm.formats import LOOKS_LIKE_JSON, Form, form_of, read_text
from augmentlm.tables.extras import need

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")
_DELIMITERS = ",;\t"
_KNOWN = {"instruction", "prompt", "question", "messages", "conversations"}


@dataclass(frozen=True)
class Table:
    """Rows with their places ("Line 3"), and a sentence for each that could not be read."""

    rows: tuple[tuple[str, dict[str, Any]], ...]
    problems: tuple[str, ...] = ()


def read(source: str | Path) -> Table:
    """The rows of a file, a folder, or a data set on the hub (`owner/name`, its `train` split).

    Raises `InputError` when there is no row in it that can be read, `MissingExtraError` for what needs a package that
    is not installed.
    """
    path = Path(source)
    if path.is_dir():
        found = _folder(path)
    elif path.suffix.lower() == ".parquet":
        found = _parquet(path)
    elif path.exists() or path.suffix.lower() in SUFFIXES or not _HUB_ID.fullmatch(str(source)):
        found = parse(read_text(path), form_of(path))
    else:
        found = _hub(str(source))
    return _some(found)


def parse(text: str, form: Form | None = None) -> Table:
    """The rows of a text: a JSON list, JSON objects one a line, CSV with a line of names, or instructions by line.
    Without a `form` it is told by how the text begins."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip("\n\0 \t"):
        raise InputError("There is no data in it.", hint="Give at least one row.")
    if form == "json" or (form is None and LOOKS_LIKE_JSON.match(text)):
        return _some(_json(text))
    names = {cell.strip('" ').lower() for cell in re.split("[,;\t]", text.lstrip("\n").split("\n", 1)[0])}
    if form == "delimited" or names & _KNOWN:
        return _some(_delimited(text))
    lines = [line.strip("\0 \t") for line in text.split("\n")]
    return _some(
        Table(tuple((f"Line {number}", {"instruction": line}) for number, line in enumerate(lines, 1) if line))
    )


def _some(table: Table) -> Table:
    if not table.rows:
        first = table.problems[0] if table.problems else "There are no rows in it."
        more = f" ({len(table.problems) - 1} more like it.)" if len(table.problems) > 1 else ""
        raise InputError(f"{first}{more}", hint="Give rows with named columns, such as instruction and response.")
    return table


def _json(text: str) -> Table:
    if text.lstrip().startswith("["):
        try:
            values = _loads(text)
        except _NotJsonError as error:
            raise InputError(f"The list {error}.", hint="Write one JSON object a line, or one list.") from error
        return _objects((f"Row {number}", value) for number, value in enumerate(values, 1))
    # Not `splitlines`: strings in JSON may hold U+2028.
    lines = [(f"Line {number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1:
        try:  # one object over several lines
            return _objects([("Row 1", _loads(text))])
        except _NotJsonError:
            pass
    rows: list[tuple[str, Any]] = []
    problems: list[str] = []
    for where, line in lines:
        try:
            rows.append((where, _loads(line)))
        except _NotJsonError as error:
            problems.append(f"{where} {error}.")
    table = _objects(rows)
    return Table(table.rows, (*problems, *table.problems))


class _NotJsonError(ValueError):
    """Why a text is not JSON, as the end of a sentence."""


def _loads(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            raise _NotJsonError("breaks off in the middle") from error
        if "\0" in text:
            raise _NotJsonError("holds a NUL character") from error
        raise _NotJsonError(f"is not JSON: {error.msg}") from error
    except _NotJsonError:
        raise
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets nested thousands deep
        raise _NotJsonError("is not data that can be read") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NotJsonError(f"names {twice} twice")
    return values


def _no_number(name: str) -> Any:
    raise _NotJsonError(f"holds {name}, which is not JSON")


def _objects(values: Any) -> Table:
    rows, problems = [], []
    for where, value in values:
        if isinstance(value, dict):
            rows.append((where, value))
        elif isinstance(value, str):  # a list of plain instructions
            rows.append((where, {"instruction": value}))
        else:
            problems.append(f"{where} is not an object with named columns.")
    return Table(tuple(rows), tuple(problems))


def _delimited(text: str) -> Table:
    text = text.replace("\0", "").strip("\n")
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = reader.fieldnames or []
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"The first line names {twice} twice.", hint="Give every column a name of its own.")
    rows: list[tuple[str, dict[str, Any]]] = []
    problems: list[str] = []
    number = 0
    try:
        for number, values in enumerate(reader, 1):
            if None in values:
                problems.append(f"Row {number} has more cells than there are columns.")
            else:
                rows.append((f"Row {number}", {name: cell for name, cell in values.items() if cell is not None}))
    except csv.Error as error:
        problems.append(f"Row {number + 1} is not CSV: {error}.")
    return Table(tuple(rows), tuple(problems))


def _parquet(path: Path) -> Table:
    need("pyarrow", "Parquet files")
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there.", hint="Check the name.") from error
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not a Parquet file that can be read.", hint="Write it again.") from error
    return _objects((f"Row {number}", row) for number, row in enumerate(rows, 1))


def _folder(path: Path) -> Table:
    if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
        need("datasets", "folders of Hugging Face datasets")
        from datasets import DatasetDict, load_from_disk

        try:
            found = load_from_disk(str(path))
        except Exception as error:  # datasets raises whatever its parts raise
            raise InputError(f"{path} is not a data set that can be read: {error}.", hint="Save it again.") from error
        return _rows(found["train"] if isinstance(found, DatasetDict) else found)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if len(files) != 1:
        what = "no file" if not files else f"{len(files)} files"
        raise InputError(f"There is {what} of rows in {path}.", hint="Name one file.")
    return read(files[0])


def _hub(name: str) -> Table:
    need("datasets", "data sets of the hub")
    from datasets import load_dataset

    repo, _, revision = name.partition("@")
    try:
        return _rows(load_dataset(repo, split="train", revision=revision or None))
    except Exception as error:  # the hub, the network, the disk, the data set's own files: all of them end here
        said = " ".join(str(error).split())
        raise InputError(
            f"{repo} is no file here, and as a data set of the hub it can't be loaded: {said[:200]}",
            hint="Check the name and the network.",
        ) from error


def _rows(dataset: Any) -> Table:
    return _objects((f"Row {number}", row) for number, row in enumerate(dataset, 1))
