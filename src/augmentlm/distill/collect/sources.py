"""Where seeds come from: files in JSONL, JSON, CSV or Parquet, data sets of the hub, and the teaching families."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augmentlm import hub_files
from augmentlm.checks import Finding
from augmentlm.distill.sets import read_rows
from augmentlm.errors import InputError, MissingExtraError
from augmentlm.formats import INSTRUCTION_COLUMNS, PAIR_COLUMNS

HUB = "hub:"
FILES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_TURNS = ("conversations", "messages")
"""A chat in one column: ShareGPT (as in OpenHermes 2.5) and OpenAI."""
_ASKS, _ANSWERS = {"human", "user"}, {"gpt", "assistant"}


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

    `source` is a file, a folder of files (of families with `items`, their train split alone), or
    `hub:OWNER/NAME[@REVISION]`, downloaded to the user's shared cache. Raises `InputError`.
    """
    if source.startswith(HUB):
        yield from _folder(_from_hub(source.removeprefix(HUB)), source)
        return
    path = Path(source)
    if path.is_dir():
        yield from _folder(path, path.name)
    elif path.suffix.lower() in FILES:
        yield from _file(path)
    else:
        raise InputError(
            f"{source} is no source of seeds.", hint=f"Give a file ({', '.join(FILES)}), a folder, or {HUB}OWNER/NAME."
        )


def _folder(path: Path, name: str) -> Iterator[Raw]:
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in FILES and not file.name.startswith("."))
    if not files:
        raise InputError(f"There are no data files in {name}.", hint=f"Files read are {', '.join(FILES)}.")
    if files[0].suffix == ".jsonl" and "items" in next(_jsonl(files[0]), ("", {}))[1]:
        yield from _families(path)
        return
    for file in files:
        yield from _file(file)


def _families(path: Path) -> Iterator[Raw]:
    for row in read_rows(path, "train"):
        for number, item in enumerate(row["items"]):
            yield Raw(
                f"{path.name}: {row['id']}/{number}",
                item["instruction"],
                item["response"],
                row.get("category"),
                f"{row['id']}/{number}",
            )


def _file(path: Path) -> Iterator[Raw]:
    kind = path.suffix.lower()
    readers = {".jsonl": _jsonl, ".json": _json, ".parquet": _parquet}
    try:
        for where, values in readers.get(kind, _csv)(path):
            yield _row(f"{path.name}: {where}", values)
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text.", hint="Save it as UTF-8 and try again.") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"{path} can't be read: {why}.", hint="Check the name and the rights.") from error


def _jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError):
                yield f"line {number}", None


def _json(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, RecursionError):
        yield from _jsonl(path)
        return
    for number, value in enumerate(values if isinstance(values, list) else [values], 1):
        yield f"row {number}", value


def _csv(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        number = 0
        try:
            for number, values in enumerate(reader, 1):
                yield f"row {number}", None if None in values else values
        except csv.Error as error:
            raise InputError(f"{path.name}, row {number + 1} is not CSV: {error}.", hint="Check its quotes.") from error


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingExtraError(
            "Parquet files need pyarrow, not installed here.", hint='Run `pip install -e ".[data]"`.'
        ) from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for values in batch.to_pylist():
                    number += 1
                    yield f"row {number}", values
    except ArrowException as error:
        raise InputError(f"{path.name} is not a Parquet file: {error}.", hint="Check how it was written.") from error


def _row(where: str, values: Any) -> Raw:
    if isinstance(values, str):
        values = {"instruction": values}
    if not isinstance(values, Mapping):
        return Raw(where, fault=Finding("unreadable", "the row holds no named columns"))
    cells = {str(name).strip().lower(): cell for name, cell in values.items()}
    instruction, response = _of_chat(cells) or _of_columns(cells)
    if not isinstance(instruction, str) or not instruction.strip():
        return Raw(where, fault=Finding("no_instruction", f"columns: {', '.join(cells) or 'none'}"))
    category = cells.get("category")
    return Raw(
        where,
        instruction,
        response if isinstance(response, str) and response.strip() else None,
        category if isinstance(category, str) else None,
    )


def _of_columns(cells: Mapping[str, Any]) -> tuple[Any, Any]:
    left = next((name for name in INSTRUCTION_COLUMNS if cells.get(name)), None)
    if left is None:
        return None, None
    right = next((right for name, right in PAIR_COLUMNS if name == left and cells.get(right)), None)
    extra = cells.get("input") if left == "instruction" else None
    text = f"{cells[left]}\n\n{extra}" if isinstance(extra, str) and extra.strip() else cells[left]
    return text, cells.get(right) if right else None


def _of_chat(cells: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The first question of a chat and its answer; what came before and after is left out."""
    turns = next((cells[name] for name in _TURNS if isinstance(cells.get(name), list)), None)
    if turns is None:
        return None
    said = [
        (turn.get("from") or turn.get("role"), turn.get("value") or turn.get("content"))
        for turn in turns
        if isinstance(turn, Mapping)
    ]
    place = next((place for place, (who, _) in enumerate(said) if who in _ASKS), None)
    if place is None:
        return None, None
    following = said[place + 1] if place + 1 < len(said) else (None, None)
    return said[place][1], following[1] if following[0] in _ANSWERS else None


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repo, _, revision = name.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise InputError(f"{repo!r} is no data set's name.", hint=f"Write {HUB}OWNER/NAME.")
    try:
        found = snapshot_download(
            repo,
            repo_type="dataset",
            revision=revision or None,
            allow_patterns=[f"*{kind}" for kind in FILES],
            endpoint=hub_files.endpoint(),
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        why = str(error).strip().split("\n")[0]
        raise InputError(
            f"The data set {repo} can't be had: {why}", hint="Check its name and the network, or give local files."
        ) from error
    return Path(found)
