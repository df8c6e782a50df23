"""`compare`: two models write for every prompt of a file, and a third says which of them did it better."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augmentlm import catalog
from augmentlm.cli.progress import DownloadProgress, RowProgress
from augmentlm.errors import InputError

if TYPE_CHECKING:
    from augmentlm.arena.judged import Comparison
    from augmentlm.arena.standing import Share, Standing
    from augmentlm.engines.pool import EnginePool


def add_parser(verbs: Any) -> None:
    summary = "hold two models against each other on your prompts, with a model as judge"
    parser = verbs.add_parser(
        "compare",
        help=summary,
        description=f"{summary.capitalize()}. The same command again makes only what is missing.",
    )
    system = "a name from `augmentlm models`, embedded, reference, or NAME@URL for an OpenAI-compatible server"
    parser.add_argument("prompts", type=Path, help="JSONL, JSON, CSV or lines; for pair, two pairs a prompt")
    parser.add_argument("--task", choices=("refine", "expand", "pair"), default="refine", help="default: %(default)s")
    parser.add_argument("--left", metavar="SYSTEM", default="embedded", help=f"{system} (default: %(default)s)")
    parser.add_argument("--right", metavar="SYSTEM", default="reference", help="the same (default: %(default)s)")
    parser.add_argument("--judge", metavar="SYSTEM", default="reference", help="who judges (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="take this many of the prompts, from all over the file")
    parser.add_argument("--out", type=Path, help="folder for samples and verdicts; default: one below AUGMENTLM_HOME")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace, pool: EnginePool | None) -> int:
    from augmentlm.arena.contenders import resolve
    from augmentlm.arena.judged import compare
    from augmentlm.arena.votes import Votes
    from augmentlm.distill import prompts
    from augmentlm.distill.samples import System
    from augmentlm.weights import home
    from augmentlm.weights.pulled import find

    if options.limit is not None and options.limit < 1:
        raise InputError("--limit is 1 or more.")
    left, right = (System.named(resolve(name, options.task)) for name in (options.left, options.right))
    judge = System.named(resolve(options.judge, "respond"))
    if not judge.endpoint and "respond" not in find(judge.model).tasks:
        able = ", ".join(model.name for model in catalog.models_for("respond"))
        raise InputError(f"{find(judge.model).title} can't judge.", hint=f"These can: {able}.")
    found = prompts.some(prompts.file_prompts(options.task, options.prompts), options.limit)
    with DownloadProgress(sys.stderr) as progress:
        comparison = compare(
            options.task,
            found,
            (left, right),
            judge,
            options.out or home() / "compare" / prompts.fingerprint(found),
            votes=Votes(),
            pool=pool,
            progress=progress,
            told=RowProgress("rows"),
        )
    if options.json:
        print(json.dumps(comparison.as_json(), ensure_ascii=False))
    else:
        print("\n".join(_lines(comparison)))
    return 0


def _lines(comparison: Comparison) -> Iterator[str]:
    standing = comparison.standing
    judge = title(standing.judge)
    yield f"{standing.task}: {title(standing.left.model)} against {title(standing.right.model)}"
    itself = ", which is one of the two: models tend to prefer their own texts" if comparison.judges_itself else ""
    yield f"judged by {judge}, a model, in both orders{itself}"
    yield ""
    yield from table(standing)
    if comparison.contradicted or comparison.unreadable:
        yield (
            f"Of the ties, {comparison.contradicted} are verdicts that changed with the order of the texts and "
            f"{comparison.unreadable} could not be read."
        )
    if comparison.people and comparison.agreement:
        agreed = comparison.agreement
        yield ""
        yield f"judged by people ({comparison.people.votes} votes)"
        yield ""
        yield from table(comparison.people)
        yield f"{judge} said the same as people {agreed.same} of {agreed.votes} times: {percent(agreed.share)}."


def table(standing: Standing) -> Iterator[str]:
    """Wins, ties and losses as lines, and what they say."""
    shares = standing.shares
    yield f"  wins    {standing.wins:>5}  {percent(shares['wins'])}"
    bad = f", {standing.both_bad} of them both bad" if standing.both_bad else ""
    yield f"  ties    {standing.ties:>5}  {percent(shares['ties'])}{bad}"
    yield f"  losses  {standing.losses:>5}  {percent(shares['losses'])}"
    yield ""
    yield f"Wins and half the ties: {percent(standing.score)}, with 95 % intervals (Wilson)."
    if standing.length:
        length = standing.length
        longer = "Longer" if length.phi > 0 else "Shorter"
        yield (
            f"At equal lengths: {100 * length.share:.0f} % ({100 * length.low:.0f}–{100 * length.high:.0f}). "
            f"{longer} texts were preferred. (The method of length-controlled AlpacaEval, Dubois et al. 2024.)"
        )
    yield {
        "left": f"{title(standing.left.model)} is better.",
        "right": f"{title(standing.right.model)} is better.",
        "equal": "The two are about equally good.",
        "too_few": "Too few votes to say which is better.",
    }[standing.says]


def percent(share: Share) -> str:
    return f"{100 * share.share:.0f} % ({100 * share.low:.0f}–{100 * share.high:.0f})"


def title(name: str) -> str:
    known = catalog.models().get(name)
    return known.title if known else name
