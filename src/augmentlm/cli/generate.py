"""`refine`, `expand` and `pair`: read the inputs, run the model, print results to stdout and all else to stderr."""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from augmentlm import formats
from augmentlm.augmenter import Augmenter, load
from augmentlm.cli.progress import DownloadProgress
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError
from augmentlm.results import Result
from augmentlm.tasks import Task, TaskInput, check_input, format_pair

_TABLES = {".jsonl", ".json", ".csv", ".tsv"}
# What a model writes is not trusted: escape sequences could rewrite the screen or the title of the terminal.
_TERMINAL_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def run(options: argparse.Namespace, pool: EnginePool | None) -> int:
    task: Task = options.verb
    values = _inputs(task, options)
    if len(values) == 1:
        check_input(task, values[0])  # wrong use is answered before anything is downloaded
    sampling = {name: getattr(options, name) for name in ("temperature", "top_p", "top_k", "max_tokens", "seed")}
    with DownloadProgress(sys.stderr) as progress:
        augmenter = load(
            task,
            options.model,
            engine=options.engine,
            quantization=options.quantization,
            endpoint=options.endpoint,
            pool=pool,
            progress=progress,
        )
        if task == "refine" and len(values) == options.n == 1 and not options.json:
            return _stream(augmenter, values[0], sampling)
        return _batch(augmenter, values, options.n, sampling, as_json=options.json)


def _inputs(task: Task, options: argparse.Namespace) -> list[TaskInput]:
    given = options.examples if task == "pair" else options.text
    if given not in (None, "-") and options.file:
        raise InputError("Both an argument and --file are given.", hint="Give one of them.")
    if task == "pair":
        path = options.file or (Path(given) if given not in (None, "-") else None)
        return [formats.read_pairs(path or _standard_input(given))]
    if options.file:
        is_table = options.file.suffix.lower() in _TABLES
        return list(formats.read_instructions(options.file)) if is_table else [formats.read_text(options.file)]
    return [_standard_input(given) if given in (None, "-") else given]


def _standard_input(given: str | None) -> str:
    if given is None and sys.stdin.isatty():
        raise InputError("There is nothing to work on.", hint="Give it as an argument, with --file, or pipe it in.")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("What was piped in is not UTF-8 text.", hint="Convert it to UTF-8 first.") from error


def _stream(augmenter: Augmenter, value: TaskInput, sampling: dict[str, float | int | None]) -> int:
    stream = augmenter.stream(value, **sampling)
    written = False
    try:
        for piece in _trimmed(stream):
            written = True
            print(piece, end="", flush=True)
    finally:
        stream.close()
        if written:
            print(flush=True)
    _note(stream.result)
    return 0 if stream.result.usable else 1


def _trimmed(pieces: Iterable[str]) -> Iterable[str]:
    """The pieces without the blank space round the whole: held back until something follows it."""
    held, started = "", False
    for piece in pieces:
        held += _TERMINAL_CONTROL.sub("", piece)
        ready = held.rstrip() if started else held.strip()
        if ready:
            yield ready
            held, started = held[len(held.rstrip()) :], True


def _batch(
    augmenter: Augmenter,
    values: list[TaskInput],
    n: int,
    sampling: dict[str, float | int | None],
    *,
    as_json: bool,
) -> int:
    stop = threading.Event()
    printed = 0
    try:
        for result in augmenter.batch(values, n, stop=stop, **sampling):
            wanted = _wanted(result)
            if as_json:
                print(json.dumps(result.as_json(), ensure_ascii=False), flush=True)
            elif wanted:
                print("\n" * bool(printed) + _shown(result), flush=True)
            if not as_json:
                _note(result, row=result.index + 1 if len(values) > 1 else None)
            printed += wanted
    finally:
        stop.set()
    return 0 if printed else 1


def _wanted(result: Result) -> bool:
    """A refined prompt is shown with its notes; new data that fails a check is left out of the data."""
    return result.usable if result.task == "refine" else result.accepted


def _shown(result: Result) -> str:
    output = result.output
    return _TERMINAL_CONTROL.sub("", output if isinstance(output, str) else format_pair(output) if output else "")


def _note(result: Result, row: int | None = None) -> None:
    """Say on stderr what the checks found."""
    where = f"Row {row}: " if row else ""
    for finding in result.findings:
        evidence = _TERMINAL_CONTROL.sub("", " ".join(finding.evidence.split()))
        kind = "note" if _wanted(result) else "left out"
        print(f"augmentlm: {where}{kind}: {finding.code}: {evidence}", file=sys.stderr)
    if result.unchanged and not result.findings:
        print(f"augmentlm: {where}note: the prompt was good as it is", file=sys.stderr)
