"""`votes`: what was voted in the Compare tab and by judges, and the votes to take away."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from augmentlm.cli.compare import table, title


def add_parser(verbs: Any) -> None:
    summary = "what people and judges said of the models; export as JSONL or as preference pairs"
    parser = verbs.add_parser("votes", help=summary, description=f"{summary.capitalize()}.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions (default: list)")
    actions.add_parser("list", help="wins, ties and losses by task, pair of models and judge")
    for action, what in (
        ("export", "write every vote as JSONL"),
        ("preferences", "write prompt, chosen and rejected as JSONL, for DPO trainers and for `augmentlm train`"),
    ):
        made = actions.add_parser(action, help=what)
        made.add_argument("file", type=Path, help="where to")
        made.add_argument("--people", action="store_true", help="only what people voted, not what models judged")


def run(options: argparse.Namespace) -> int:
    from augmentlm import formats
    from augmentlm.arena.exports import preference_rows, vote_rows
    from augmentlm.arena.standing import standings
    from augmentlm.arena.votes import PEOPLE, Votes

    votes = Votes().all()
    if options.action in ("export", "preferences"):
        chosen = [vote for vote in votes if not options.people or vote.judge == PEOPLE]
        rows = list((vote_rows if options.action == "export" else preference_rows)(chosen))
        try:
            options.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise formats.unwritable(options.file, error) from error
        formats.write_jsonl(options.file, rows)
        print(json.dumps({"votes": len(chosen), "rows": len(rows), "file": str(options.file)}))
        return 0
    if not votes:
        print("There are no votes yet: vote in the Compare tab (`augmentlm app`), or run `augmentlm compare`.")
        return 0
    for number, standing in enumerate(standings(votes)):
        print(
            "\n" * bool(number) + f"{standing.task}: {title(standing.left.model)} ({standing.left.quantization})",
            end="",
        )
        print(f" against {title(standing.right.model)} ({standing.right.quantization})")
        who = "people" if standing.judge == PEOPLE else f"{title(standing.judge)}, a model"
        print(f"judged by {who}\n")
        print("\n".join(table(standing)))
    return 0
