"""Data files in and out: JSONL, JSON and CSV, with the column names people already have.

Everywhere here a `Path` is a file to read and a `str` is the data itself, pasted: text a person typed is never
taken for the name of a file.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar

from augmentlm.drafts import draft_of
from augmentlm.errors import InputError, unwritable
from augmentlm.tasks import Pair

PAIR_COLUMNS = (
    ("instruction", "response"),
    ("instruction", "output"),  # Alpaca, with an optional `input` that belongs to the instruction
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
)
INSTRUCTION_COLUMNS = ("instruction", "prompt", "question")

_PAIR_HINT = "Name the columns " + ", ".join(f"{left}/{right}" for left, right in PAIR_COLUMNS) + "."
_INSTRUCTION_HINT = f"Name the column {', '.join(INSTRUCTION_COLUMNS[:-1])} or {INSTRUCTION_COLUMNS[-1]}."
_DELIMITERS = (",", ";", "\t")
Form = Literal["json", "delimited"]
_FORMS: dict[str, Form] = {".jsonl": "json", ".json": "json", ".csv": "delimited", ".tsv": "delimited"}
# A prompt may well begin with a bracket or a brace, so it must look like JSON to be read as JSON.
LOOKS_LIKE_JSON = re.compile(r'\s*(?:\{\s*"|\[\s*[\["{\]])')

T = TypeVar("T")
Row = tuple[str, Any]
"""Where a value stands, in words for a person ("Line 3"), and the value."""


def form_of(source: Path | str) -> Form | None:
    """How a file is written, told by its name; None when that doesn't tell, and for pasted text."""
    return _FORMS.get(source.suffix.lower()) if isinstance(source, Path) else None


def read_text(path: Path) -> str:
    """The file's text: UTF-8, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text.", hint="Save it as UTF-8 and try again.") from error
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", hint="Check the name and the rights.") from error


def read_pairs(source: Path | str) -> list[Pair]:
    """Pairs of instruction and response from JSONL, a JSON list or CSV. Raises `InputError` naming the row."""
    text = _text(source)
    is_json = form_of(source) == "json" or text.lstrip().startswith(("{", "["))
    rows = _json_rows(text) if is_json else _csv_rows(text, PAIR_COLUMNS, _PAIR_HINT)
    return _some([_pair(where, value) for where, value in rows])


def read_instructions(source: Path | str) -> list[str]:
    """Instructions from JSONL, a JSON list, CSV, or plain text with one a line. Raises `InputError` naming the row."""
    text = _text(source)
    form = form_of(source)
    columns = tuple((name,) for name in INSTRUCTION_COLUMNS)
    if form == "json" or LOOKS_LIKE_JSON.match(text):
        rows = _json_rows(text)
    elif form == "delimited" or ("\n" in text and _delimiter(text, columns)):
        rows = _csv_rows(text, columns, _INSTRUCTION_HINT)
    else:
        rows = _lines(text)
    return _some([_instruction(where, value) for where, value in rows])


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any] | Pair]) -> int:
    """Write one JSON object a line and return how many. The file appears whole or not at all."""
    count = 0
    try:
        with draft_of(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                values = asdict(row) if isinstance(row, Pair) else row
                file.write(json.dumps(values, ensure_ascii=False) + "\n")
                count += 1
    except OSError as error:
        raise unwritable(path, error) from error
    return count


def _text(source: Path | str) -> str:
    text = read_text(source) if isinstance(source, Path) else source.removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if not text:
        raise InputError("There is no data in it.", hint="Give at least one row.")
    return text


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Lines with their places, blank ones left out. Not `splitlines`: JSON strings may hold U+2028."""
    return ((f"Line {number}", line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _json_rows(text: str) -> Iterator[Row]:
    is_list = text.lstrip().startswith("[")
    try:
        whole = _parse_json("The list", text)
    except InputError:
        if is_list:
            raise
        for where, line in _lines(text):
            yield where, _parse_json(where, line)
    else:
        for number, value in enumerate(whole if is_list else [whole], 1):
            yield f"Row {number}", value


def _parse_json(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"Line {error.lineno}" if "\n" in text else where
        if error.pos >= len(text) or error.msg.startswith("Unterminated"):
            raise InputError(f"{place} breaks off in the middle.", hint="Complete the row or remove it.") from error
        raise InputError(f"{place} is not JSON: {error.msg}.", hint="Write one JSON object a line.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets nested thousands deep
        raise InputError(f"{where} is not data that can be read.", hint="Give rows of plain texts.") from error


def _csv_rows(text: str, columns: Iterable[tuple[str, ...]], hint: str) -> Iterator[Row]:
    text = text.lstrip("\n")
    delimiter = _delimiter(text, columns)
    if delimiter is None:
        raise InputError("The first line names no column that is known here.", hint=hint)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, values in enumerate(reader, 1):
            if None in values:
                raise InputError(
                    f"Row {number} has more cells than there are columns.", hint="Put double quotes around its texts."
                )
            yield f"Row {number}", values
    except csv.Error as error:
        raise InputError(f"Row {number + 1} is not CSV: {error}.", hint="Check its quotes.") from error


def _delimiter(text: str, columns: Iterable[tuple[str, ...]]) -> str | None:
    """What separates the cells of the first line, if that line names known columns."""
    first = text.lstrip("\n").split("\n", 1)[0]
    for delimiter in _DELIMITERS:
        names = {_name(cell.strip('" ')) for cell in first.split(delimiter)}
        if any(names.issuperset(group) for group in columns):
            return delimiter
    return None


def _pair(where: str, value: Any) -> Pair:
    values = _named(where, value, _PAIR_HINT)
    for left, right in PAIR_COLUMNS:
        if left in values and right in values:
            instruction, response = _cell(where, left, values), _cell(where, right, values)
            extra = _cell(where, "input", values, needed=False) if right == "output" else ""
            return Pair(f"{instruction}\n\n{extra}" if extra else instruction, response)
    known = {name for group in PAIR_COLUMNS for name in group}
    given = [name for name in values if name in known]
    missing = next((right for left, right in PAIR_COLUMNS if left in given), "instruction")
    raise InputError(f"{where} has no {missing}.", hint=_PAIR_HINT)


def _instruction(where: str, value: Any) -> str:
    if isinstance(value, str):
        value = {"instruction": value}
    values = _named(where, value, _INSTRUCTION_HINT)
    name = next((name for name in INSTRUCTION_COLUMNS if name in values), None)
    if name is None:
        raise InputError(f"{where} has no instruction.", hint=_INSTRUCTION_HINT)
    extra = _cell(where, "input", values, needed=False) if name == "instruction" else ""
    text = _cell(where, name, values)
    return f"{text}\n\n{extra}" if extra else text


def _named(where: str, value: Any, hint: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        kind = {list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
        raise InputError(f"{where} is {kind}, not an object with named columns.", hint=hint)
    return {_name(name): cell for name, cell in value.items()}


def _name(column: str) -> str:
    return column.strip().lower()


def _cell(where: str, name: str, values: Mapping[str, Any], *, needed: bool = True) -> str:
    cell = values.get(name)
    if cell is None:
        cell = ""
    if not isinstance(cell, str):
        raise InputError(f"{where}: {name} is not text.", hint='Put double quotes around it, like "42".')
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: {name} holds half a character.", hint="Remove the broken \\u escape.") from error
    if needed and not cell.strip():
        raise InputError(f"{where}: {name} is empty.", hint="Fill it in or remove the row.")
    return cell.strip()


def _some(rows: list[T]) -> list[T]:
    if not rows:
        raise InputError("There are no rows in it.", hint="Give at least one.")
    return rows
