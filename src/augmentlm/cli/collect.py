"""`augmentlm collect`: make training sets out of seeds, with a teacher."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augmentlm.cli.progress import DownloadProgress, RowProgress

if TYPE_CHECKING:
    from augmentlm.engines.pool import EnginePool


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "collect",
        help="make training sets out of seeds, with a larger model as the teacher",
        description="Clean, classify and balance seeds; let a teacher add, expand, refine and answer; keep what passes "
        "the checks and the judge. The same command again goes on where it stopped.",
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a JSONL, JSON, CSV or Parquet file, a folder (of datasets, or data/families), or OWNER/NAME on the hub",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for every stage, the sets and the report")
    models = parser.add_argument_group("models")
    models.add_argument(
        "--teacher",
        required=True,
        metavar="SYSTEM",
        help="a name from `augmentlm models`, or NAME@URL for an OpenAI-compatible server",
    )
    models.add_argument(
        "--judge", metavar="SYSTEM", help="who marks the texts; none: rules alone (default: the teacher)"
    )
    models.add_argument(
        "--classifier", choices=("teacher", "embedding"), default="teacher", help="who tells task types apart"
    )
    amounts = parser.add_argument_group("amounts")
    amounts.add_argument("--size", type=int, metavar="N", help="seeds after balancing (default: as many as there are)")
    amounts.add_argument("--shares", type=Path, metavar="FILE", help="TOML with a weight for each task type")
    amounts.add_argument(
        "--chinese", type=float, default=0.125, metavar="SHARE", help="least share in Chinese (default: %(default)s)"
    )
    amounts.add_argument(
        "--expansions", type=int, default=4, metavar="N", help="asked for, for each seed (default: %(default)s)"
    )
    amounts.add_argument(
        "--least", type=int, default=4, metavar="MARK", help="of 5, from which a text is kept (default: %(default)s)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        help="the teaching data: what it holds out stays out of the new sets too (default: %(default)s)",
    )


def run(options: argparse.Namespace, pool: EnginePool | None) -> int:
    from augmentlm.distill.collect.labels import shares
    from augmentlm.distill.collect.report import READABLE, readable
    from augmentlm.distill.collect.run import Plan, collect
    from augmentlm.distill.collect.teacher import Teacher
    from augmentlm.distill.samples import System
    from augmentlm.measures.embed import embedder

    plan = Plan(
        sources=tuple(options.sources),
        shares=shares(options.shares),
        data=options.data,
        size=options.size,
        chinese=options.chinese,
        expansions=options.expansions,
        least=options.least,
        classifier=options.classifier,
    )
    with DownloadProgress(sys.stderr) as progress:
        told = RowProgress("answers")
        teacher = Teacher(System.named(options.teacher), options.out / "answers", pool, progress=progress, told=told)
        judge: Teacher | None = teacher
        if options.judge == "none":
            judge = None
        elif options.judge:
            judge = Teacher(System.named(options.judge), teacher.folder, pool, progress=progress, told=told)
        report = collect(plan, options.out, teacher, judge, partial(embedder, progress))
    print(readable(report))
    print(f"augmentlm: this is {options.out / READABLE}; the sets lie beside it", file=sys.stderr)
    return 0 if any(report["sets"].values()) else 1
