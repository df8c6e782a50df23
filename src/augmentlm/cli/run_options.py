"""What `augmentlm run` can be told, and what it means."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augmentlm.errors import InputError

if TYPE_CHECKING:
    from augmentlm.runs.estimate import Price
    from augmentlm.runs.outputs import Output
    from augmentlm.runs.run import Using
    from augmentlm.tasks import Task

_SAMPLING: dict[str, Callable[[str], float | int]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "max_tokens": int,
}


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "run",
        help="augment a data set: seeds in, the number of accepted examples asked for out",
        description="Augment a data set. The same command again goes on where it was stopped; a larger -n extends it.",
    )
    parser.add_argument(
        "seeds",
        nargs="?",
        help="JSONL, JSON, CSV or Parquet with instructions, pairs or chats; a folder; or a data set of the hub. If "
        "there are none, the run in --out goes on",
    )
    parser.add_argument("--out", type=Path, help="folder for the journal, the data set and its report")
    parser.add_argument(
        "--steps",
        default="expand,respond",
        help="refine, expand, pair and respond, in order and separated by commas (default: %(default)s)",
    )
    parser.add_argument("-n", type=int, help="accepted examples wanted (default: as many as there are seeds)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same run (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="make a few rows and say what all of them would take")
    models = parser.add_argument_group("models, for all steps or as STEP=VALUE for one; may be given several times")
    for name, metavar, summary in (
        ("model", "NAME", "a name from `augmentlm models`, or the server's name with --endpoint"),
        ("engine", "ENGINE", "llamacpp, transformers or batch"),
        ("quantization", "NAME", "such as nf4, int8 or bf16"),
        ("endpoint", "URL", "an OpenAI-compatible server; key in $AUGMENTLM_API_KEY"),
        ("temperature", "X", "0 is greedy"),
        ("top-p", "X", "keep the likeliest tokens up to this share"),
        ("top-k", "N", "keep this many of the likeliest tokens"),
        ("max-tokens", "N", "the longest text"),
        ("price", "IN,OUT", "money for a million tokens, read and written: what --dry-run reckons with"),
    ):
        models.add_argument(f"--{name}", action="append", default=[], metavar=f"[STEP=]{metavar}", help=summary)
    data = parser.add_argument_group("data")
    data.add_argument(
        "--map", action="append", default=[], metavar="OURS=THEIRS", help="a column's name, as in instruction=query"
    )
    data.add_argument(
        "--format",
        choices=("pairs", "alpaca", "prompt", "question", "messages", "sharegpt"),
        help="of the data set (default: that of the seeds)",
    )
    data.add_argument(
        "--file",
        choices=("jsonl", "json", "csv", "parquet", "datasets"),
        help="kind of file; csv is made safe for spreadsheets and loses something by it (default: jsonl)",
    )
    data.add_argument("--with-seeds", action="store_true", help="the seeds stand in front of the new rows")
    data.add_argument(
        "--no-report", action="store_true", help="without report.html, report.json and the data set's card"
    )
    data.add_argument("--bare", action="store_true", help="without the column that says how each row was made")
    checks = parser.add_argument_group("checks")
    checks.add_argument("--near-copy", type=float, default=0.7, help="highest ROUGE-L with seeds and accepted rows")
    checks.add_argument("--least-words", type=int, default=3, help="of an instruction (default: %(default)s)")
    checks.add_argument("--most-words", type=int, default=0, help="default: twice the longest seed, at least 150")
    checks.add_argument(
        "--similarity",
        type=float,
        default=1.0,
        help="highest cosine of embeddings with the same (default: not looked at)",
    )
    checks.add_argument("--judge", metavar="NAME[@URL]", help="a model that marks every row from 1 to 5")
    checks.add_argument("--least-score", type=int, default=4, help="lowest mark of the judge (default: %(default)s)")


def of_begun(options: argparse.Namespace, before: Output) -> Output:
    """How the data set of a run that was begun before is written now. Raises `InputError` for an option that says how
    rows are made, where it has another value than it usually has: that is settled."""
    usual = argparse.ArgumentParser()
    add_parser(usual.add_subparsers())
    settled = {"out", "n", "no_report", "format", "file", "with_seeds", "bare"}
    changed = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(usual.parse_args(["run"])).items()
        if name not in settled and getattr(options, name) != value
    ]
    if changed:
        raise InputError(
            f"Without seeds the run goes on as it was begun, and {', '.join(changed)} would change it.",
            hint="Leave that out, or give the seeds and another --out.",
        )
    return replace(
        before,
        schema=options.format or before.schema,
        file=options.file or before.file,
        with_seeds=options.with_seeds or before.with_seeds,
        provenance=before.provenance and not options.bare,
    )


def columns(given: Sequence[str]) -> dict[str, str]:
    """`ours=theirs` each."""
    found = {}
    for one in given:
        ours, equals, theirs = one.partition("=")
        if not (ours and equals and theirs):
            raise InputError(f"--map {one} is not understood.", hint="Write it as --map instruction=query.")
        found[ours] = theirs
    return found


def judge(given: str | None) -> Using | None:
    """`NAME`, or `NAME@URL` for a server."""
    from augmentlm.runs.run import Using

    if not given:
        return None
    name, _, address = given.partition("@")
    return Using(name, endpoint=address or None)


def prices(steps: Sequence[Task], options: argparse.Namespace) -> dict[Task, Price]:
    from augmentlm.runs.estimate import Price

    found: dict[Task, Price] = {}
    for value in options.price:
        step = _step_of(value)
        numbers = (value.partition("=")[2] if step else value).split(",")
        try:
            price = Price(*map(float, numbers))
        except (TypeError, ValueError) as error:
            raise InputError(f"--price {value} is not understood.", hint="Write it as --price 0.4,1.2.") from error
        found |= {one: price for one in steps if step in (None, one)}
    return found


def using(steps: Sequence[str], options: argparse.Namespace) -> dict[str, Using]:
    """What each step runs on, from options that are for all steps or, as STEP=VALUE, for one."""
    from augmentlm.runs.run import Using

    chosen: dict[str, dict[str, str]] = {step: {} for step in steps}
    for name in ("model", "engine", "quantization", "endpoint", *_SAMPLING):
        for value in sorted(getattr(options, name), key=lambda value: _step_of(value) is not None):
            step = _step_of(value)
            if step is not None and step not in steps:
                raise InputError(f"--{name.replace('_', '-')} {value}: {step} is not one of the steps.")
            for one in [step] if step else steps:
                chosen[one][name] = value.partition("=")[2] if step else value
    return {step: _using(Using, values) for step, values in chosen.items()}


def _step_of(value: str) -> str | None:
    from augmentlm.tasks import TASKS

    name, equals, _ = value.partition("=")
    return name if equals and name in TASKS else None


def _using(make: Callable[..., Using], values: dict[str, str]) -> Using:
    sampling = {}
    for name, read in _SAMPLING.items():
        if name in values:
            try:
                sampling[name] = read(values.pop(name))
            except ValueError as error:
                raise InputError(f"--{name.replace('_', '-')} takes a number.") from error
    return make(**values, sampling=sampling)
