"""`train` and `evaluate`: make a task model from a recipe, and measure it beside others."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from augmentlm import catalog
from augmentlm.cli.progress import DownloadProgress, RowProgress
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from augmentlm.distill.evaluate import Plan
    from augmentlm.distill.samples import System


def train(options: argparse.Namespace) -> int:
    from augmentlm.distill.recipe import RECIPES, read_recipe

    named = RECIPES / f"{options.recipe}.toml"
    recipe = read_recipe(named if named.is_file() else Path(options.recipe))
    missing = [
        name for name in ("torch", "transformers", "peft", "accelerate") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise MissingExtraError(
            f"Training needs {', '.join(missing)}, not installed here.", hint='Run `pip install -e ".[gpu]"`.'
        )
    base = options.base or base_folder(recipe.base)
    from augmentlm.distill.train import train

    print(train(recipe, base, options.data, options.out, options.begin))
    return 0


def base_folder(name: str) -> Path:
    """The folder that a base is trained from: what was fetched, converted first when it is a GGUF file."""
    from augmentlm.engines.convert import dequantise
    from augmentlm.weights import fetch_model

    model = catalog.model(name)
    with DownloadProgress(sys.stderr) as progress:
        weights = fetch_model(model, progress=progress)
    return dequantise(weights) if model.artifact.format == "gguf" else weights


def evaluate(options: argparse.Namespace, pool: EnginePool | None) -> int:
    from augmentlm.distill import blind, prompts
    from augmentlm.distill.card import table, write_card
    from augmentlm.distill.evaluate import Plan, collect, evaluate, first_samples
    from augmentlm.distill.samples import System

    _check(options)
    if not options.task:
        _write_reports(options)
        return 0
    found = (
        prompts.file_prompts(options.task, options.prompts)
        if options.prompts
        else prompts.dev_prompts(options.task, options.data)
    )
    plan = Plan(
        task=options.task,
        systems=tuple(System.named(name) for name in options.systems),
        prompts=tuple(prompts.some(found, options.limit)),
        source=options.prompts.name if options.prompts else "the held-out families",
        samples=options.samples,
        max_tokens=options.max_tokens,
        judge=System.named(options.judge) if options.judge else None,
        data=None if options.prompts else options.data,
    )
    if options.verdicts:
        blind.import_verdicts(options.verdicts, options.key, options.reader, options.out / options.task)
    reported = options.report or options.results
    baseline = _baseline(plan, options.baseline, pool) if reported else None
    with DownloadProgress(sys.stderr) as progress:
        told = RowProgress("samples")
        report = evaluate(plan, options.out, pool=pool, progress=progress, told=told)
        if reported:
            from augmentlm.reports.comparison import compare

            compare(plan, report, options.out, baseline=baseline, pool=pool, progress=progress, told=told)
    if options.blind:
        left, right = list(first_samples(collect(plan, options.out)).items())[:2]
        blind.export_blind(options.blind, left, right)
        _say(f"The sheet is {options.blind}; keep {blind.key_of(options.blind).name} from the reader.")
    if options.card:
        from augmentlm.hub import cards

        measured = catalog.model(plan.systems[0].model)
        write_card(cards.path(measured), report)
        if cards.generated(measured):  # the metadata holds the same numbers
            cards.write(measured)
    print(table(report))
    _write_reports(options)
    return 0


def _baseline(plan: Plan, named: str | None, pool: EnginePool | None) -> System | None:
    """Who writes by Self-Instruct: the model named, or the first base of the systems that can. Raises as `load` does
    for one that can't, before the samples are made rather than after."""
    from augmentlm.distill.samples import System
    from augmentlm.distill.self_instruct import base_of

    baseline = System.named(named) if named else base_of(plan.systems)
    if plan.task == "refine":  # nothing is asked of it
        return baseline
    if baseline is None:
        _say("The report has no baseline: none of these systems has a base here to respond. --baseline names another.")
        return None
    baseline.load("respond", pool, purpose="batch")
    return baseline


def _write_reports(options: argparse.Namespace) -> None:
    if not options.report and not options.results:
        return
    from augmentlm.reports.comparison import records
    from augmentlm.reports.comparison_page import write_report, write_results

    found = records(options.out)
    if not found:
        raise InputError(f"{options.out} holds nothing to report.", hint="Name a task and the systems to evaluate.")
    if options.report:
        write_report(options.report, found)
        _say(f"The report is {options.report}.")
    if options.results:
        write_results(options.results, found)
        _say(f"The results are {options.results}.")


def _check(options: argparse.Namespace) -> None:
    if not options.task and not options.report and not options.results:
        raise InputError("There is nothing to evaluate.", hint="Name a task and one or more systems.")
    if options.task and not options.systems:
        raise InputError("There is no system to evaluate.", hint="`augmentlm models` lists them.")
    if options.samples < 1 or (options.limit is not None and options.limit < 1):
        raise InputError("--samples and --limit are 1 or more.")
    if options.blind and len(options.systems) < 2:
        raise InputError("A blind sheet needs two systems.", hint="Name the second one too.")
    if options.blind and options.blind.exists():
        raise InputError(f"{options.blind} is there already.", hint="Give the sheet another name.")
    if bool(options.verdicts) != bool(options.key) or bool(options.verdicts) != bool(options.reader):
        raise InputError("--verdicts, --key and --reader belong together.", hint="Give all three.")


def _say(text: str) -> None:
    print(f"augmentlm: {text}", file=sys.stderr, flush=True)
