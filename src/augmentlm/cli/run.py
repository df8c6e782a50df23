"""`run`: augment a data set. How far it is goes to stderr, where the data set lies to stdout."""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from augmentlm.errors import AugmentLMError, InputError

if TYPE_CHECKING:
    from augmentlm.engines.pool import EnginePool
    from augmentlm.runs.estimate import Estimate, Price
    from augmentlm.runs.run import Using
    from augmentlm.runs.runner import Progress
    from augmentlm.schemas import Read
    from augmentlm.tasks import Task

_REDRAW_SECONDS = 0.2
_QUIET_SECONDS = 15.0
_MOST_PROBLEMS = 5
# A row of a file may hold escape sequences.
_TERMINAL_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
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
        help="JSONL, JSON, CSV or Parquet with instructions, pairs or chats; a folder; or a data set on the hub",
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
        default="jsonl",
        help="kind of file; csv is made safe for spreadsheets and loses something by it (default: %(default)s)",
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


def run(options: argparse.Namespace, pool: EnginePool | None) -> int:
    from augmentlm import schemas, tables
    from augmentlm.cli.progress import DownloadProgress
    from augmentlm.runs.estimate import Estimate, probe
    from augmentlm.runs.outputs import usual_schema
    from augmentlm.runs.run import run
    from augmentlm.runs.runner import Progress
    from augmentlm.runs.spec import Checks, check_steps

    steps = check_steps(options.steps.split(","))
    seeds = schemas.read(tables.read(options.seeds), _columns(options.map))
    for line in _about(seeds):
        _say(line)
    n = len(set(seeds.examples)) if options.n is None else options.n
    prices = _prices(steps, options)
    stop = threading.Event()
    with DownloadProgress(sys.stderr) as downloaded:
        settings: dict[str, Any] = {
            "steps": steps,
            "using": using(steps, options),
            "checks": Checks(
                options.near_copy, options.least_words, options.most_words, options.similarity, options.least_score
            ),
            "judge": _judge(options.judge),
            "seed": options.seed,
            "pool": pool,
            "stop": stop,
            "downloaded": downloaded,
        }
        if options.dry_run:
            last = _follow(probe(seeds.examples, n, prices=prices, **settings), stop)
            assert isinstance(last, Estimate)
            for line in _told(last):
                print(line)
            return 0 if last.accepted else 1
        if options.out is None:
            raise InputError("--out is missing.", hint="Name a folder, or use --dry-run.")
        working = run(
            seeds.examples,
            options.out,
            n=n,
            schema=options.format or usual_schema(seeds.examples, seeds.schema),
            file=options.file,
            with_seeds=options.with_seeds,
            provenance=not options.bare,
            **settings,
        )
        last = _follow(working, stop)
        if not options.no_report:
            _report(options.out, downloaded)
    assert isinstance(last, Progress)
    _say(last.ended or f"{last.accepted} of {last.wanted} accepted, {last.rejected} rejected.")
    print(options.out / tables.FILES[options.file])
    return 0 if last.complete else 1


def _report(folder: Path, downloaded: Callable[..., None]) -> None:
    """The page beside the data set; without it the data set is no worse."""
    from augmentlm.measures import embed
    from augmentlm.reports.dataset import run_report

    try:
        _say(f"The report is {run_report(folder, lambda: embed.embedder(downloaded))}.")
    except AugmentLMError as error:
        _say(f"There is no report: {error}")


def _follow(working: Iterator[Progress | Estimate], stop: threading.Event) -> Progress | Estimate:
    """Show how far it is, and give back the last word."""
    from augmentlm.runs.runner import Progress

    shown = _Shown(sys.stderr)
    last: Progress | Estimate | None = None
    try:
        with closing(working):  # type: ignore[type-var]
            for last in working:
                if isinstance(last, Progress):
                    shown(last)
    finally:
        stop.set()
        shown.close()
    assert last is not None
    return last


def _told(estimate: Estimate) -> Iterator[str]:
    from augmentlm.cli.progress import duration

    yield f"{estimate.accepted} of {estimate.tried} candidates were accepted in the probe."
    if not estimate.accepted:
        yield "Nothing can be said about the rest: try other seeds, steps or models."
        return
    yield f"{estimate.rows} rows will take about {estimate.candidates} candidates and {duration(estimate.seconds)}:"
    for step in estimate.steps:
        money = f", {step.money:.2f} of money" if step.money else ""
        yield f"  {step.task}: {step.prompt_tokens:,} tokens of prompts, {step.completion_tokens:,} written{money}"


def _prices(steps: Sequence[Task], options: argparse.Namespace) -> dict[Task, Price]:
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


def _judge(given: str | None) -> Using | None:
    """`NAME`, or `NAME@URL` for a server."""
    from augmentlm.runs.run import Using

    if not given:
        return None
    name, _, address = given.partition("@")
    return Using(name, endpoint=address or None)


def _columns(given: Sequence[str]) -> dict[str, str]:
    """`ours=theirs` each."""
    found = {}
    for one in given:
        ours, equals, theirs = one.partition("=")
        if not (ours and equals and theirs):
            raise InputError(f"--map {one} is not understood.", hint="Write it as --map instruction=query.")
        found[ours] = theirs
    return found


def _about(seeds: Read) -> Iterator[str]:
    """What was made of the seeds, before anything runs."""
    answered = sum(bool(seed.response) for seed in seeds.examples)
    turns = sum(bool(seed.context) for seed in seeds.examples)
    repeated = len(seeds.examples) - len(set(seeds.examples))
    line = f"{len(seeds.examples)} seeds, read as {seeds.schema}; {answered} with a response"
    line += f", {turns} with several turns" if turns else ""
    yield line + (f", {repeated} of them repeated and taken once" if repeated else "") + "."
    for problem in seeds.problems[:_MOST_PROBLEMS]:
        yield f"left out: {problem}"
    if len(seeds.problems) > _MOST_PROBLEMS:
        yield f"left out: {len(seeds.problems) - _MOST_PROBLEMS} more rows"


def _say(line: str) -> None:
    print(f"augmentlm: {_TERMINAL_CONTROL.sub('', line)}", file=sys.stderr, flush=True)


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


class _Shown:
    """One line that is redrawn on a terminal; elsewhere a plain line now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._drawn = float("-inf")
        self._open = False

    def __call__(self, progress: Progress) -> None:
        from augmentlm.cli.progress import duration

        now = time.monotonic()
        if now - self._drawn < (_REDRAW_SECONDS if self._terminal else _QUIET_SECONDS):
            return
        self._drawn = now
        line = f"{progress.accepted} of {progress.wanted} accepted, {progress.rejected} rejected"
        if progress.step:
            line += f" · {progress.step} {progress.step_done} of {progress.step_total}"
        if progress.seconds_left:
            line += f" · {duration(progress.seconds_left)} left"
        if self._terminal:
            self._out.write(f"\r\x1b[K{line}")
            self._out.flush()
            self._open = True
        else:
            print(f"augmentlm: {line}", file=self._out, flush=True)

    def close(self) -> None:
        if self._open:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._open = False
