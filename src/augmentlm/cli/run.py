"""`run`: augment a data set. How far it is goes to stderr, where the data set lies to stdout."""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from augmentlm.cli import run_options
from augmentlm.errors import AugmentLMError, InputError

if TYPE_CHECKING:
    from augmentlm.engines.pool import EnginePool
    from augmentlm.runs.estimate import Estimate
    from augmentlm.runs.runner import Progress
    from augmentlm.schemas import Read

_REDRAW_SECONDS = 0.2
_QUIET_SECONDS = 15.0
_MOST_PROBLEMS = 5
# A row of a file may hold escape sequences.
_TERMINAL_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def run(options: argparse.Namespace, pool: EnginePool | None) -> int:
    from augmentlm import tables
    from augmentlm.cli.progress import DownloadProgress
    from augmentlm.runs.estimate import Estimate
    from augmentlm.runs.run import output_of

    if options.out is None and not options.dry_run:
        raise InputError("--out is missing.", hint="Name a folder, or use --dry-run.")
    stop = threading.Event()
    with DownloadProgress(sys.stderr) as downloaded:
        shared = {"pool": pool, "stop": stop, "downloaded": downloaded}
        last = _follow(_working(options, shared), stop)
        if isinstance(last, Estimate):
            for line in _told(last):
                print(line)
            return 0 if last.accepted else 1
        if not options.no_report:
            _report(options.out, downloaded)
    _say(last.ended or f"{last.accepted} of {last.wanted} accepted, {last.rejected} rejected.")
    print(options.out / tables.FILES[output_of(options.out).file])
    return 0 if last.complete else 1


def _working(options: argparse.Namespace, shared: dict[str, Any]) -> Iterator[Progress | Estimate]:
    """The run, its probe, or the rest of one that was begun before."""
    from augmentlm import schemas, tables
    from augmentlm.runs.estimate import probe
    from augmentlm.runs.outputs import usual_schema
    from augmentlm.runs.rows import check_run
    from augmentlm.runs.run import output_of, resume, run
    from augmentlm.runs.spec import Checks, check_steps

    if options.seeds is None:
        if options.dry_run:
            raise InputError("There are no seeds.", hint="Name a file for the dry run.")
        check_run(options.out)
        output = run_options.of_begun(options, output_of(options.out))
        return resume(options.out, n=options.n, output=output, **shared)
    steps = check_steps(options.steps.split(","))
    seeds = schemas.read(tables.read(options.seeds), run_options.columns(options.map))
    for line in _about(seeds):
        _say(line)
    n = len(set(seeds.examples)) if options.n is None else options.n
    limits = (options.near_copy, options.least_words, options.most_words, options.similarity, options.least_score)
    settings: dict[str, Any] = {
        "steps": steps,
        "using": run_options.using(steps, options),
        "checks": Checks(*limits),
        "judge": run_options.judge(options.judge),
        "seed": options.seed,
        **shared,
    }
    if options.dry_run:
        return probe(seeds.examples, n, prices=run_options.prices(steps, options), **settings)
    return run(
        seeds.examples,
        options.out,
        n=n,
        schema=options.format or usual_schema(seeds.examples, seeds.schema),
        file=options.file or "jsonl",
        with_seeds=options.with_seeds,
        provenance=not options.bare,
        **settings,
    )


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
