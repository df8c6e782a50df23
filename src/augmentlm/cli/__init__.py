"""The command `augmentlm`. Nothing heavy is imported before a verb needs it, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from augmentlm import __version__
from augmentlm.cli import collect, compare, export, publish, run, run_options, votes
from augmentlm.errors import AugmentLMError, EngineError, PublishError, StoppedError, WeightsError

if TYPE_CHECKING:
    from augmentlm.engines.pool import EnginePool

DONE, NOTHING_USABLE, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None, *, pool: EnginePool | None = None) -> int:
    """Run one command and return its exit code. `pool` holds the engines; tests give one of their own."""
    # Prompts and results come in every script; a terminal's old code page must not stop them.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    _tell_news()
    try:
        options = _parser().parse_args(arguments)
        return _run(options, pool)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends even a cleanup that hangs
        return _say("Stopped.", INTERRUPTED)
    except StoppedError as error:
        return _say(str(error), INTERRUPTED)
    except BrokenPipeError:
        # The reader (`| head -1`) has what it wanted. Python would complain when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (WeightsError, EngineError, PublishError) as error:
        return _say(str(error), NOTHING_USABLE)
    except AugmentLMError as error:
        return _say(str(error), WRONG_USE)


def _tell_news() -> None:
    """What the library says of long work goes to standard error, as the rest of the command's own words do."""
    news = logging.StreamHandler(sys.stderr)
    news.setFormatter(logging.Formatter("augmentlm: %(message)s"))
    log = logging.getLogger("augmentlm")
    log.handlers[:] = [news]
    log.setLevel(logging.INFO)


def _run(options: argparse.Namespace, pool: EnginePool | None) -> int:
    match options.verb:
        case "models":
            from augmentlm.cli import models

            return models.run(options)
        case "app":
            from augmentlm.cli import app

            return app.run(options)
        case "publish":
            return publish.run(options)
        case "collect":
            return collect.run(options, pool)
        case "export":
            return export.run(options)
        case "run":
            return run.run(options, pool)
        case "train":
            from augmentlm.cli import distill

            return distill.train(options)
        case "compare":
            return compare.run(options, pool)
        case "votes":
            return votes.run(options)
        case "evaluate":
            from augmentlm.cli import distill

            return distill.evaluate(options, pool)
        case _:
            from augmentlm.cli import generate

            return generate.run(options, pool)


def _say(message: str, code: int) -> int:
    sys.stdout.flush()
    print(f"augmentlm: {' '.join(message.split())}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """Wrong use is answered in one line instead of a screen of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {message}. See {self.prog} --help.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="augmentlm", description="Small models that make fine-tuning data and prompts better.")
    parser.add_argument("--version", action="version", version=f"augmentlm {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")

    for verb, summary in (
        ("refine", "make a prompt clear and specific, keeping its intent and facts"),
        ("expand", "make new instructions of the same task type"),
    ):
        made = verbs.add_parser(verb, help=summary, description=f"{summary.capitalize()}.")
        made.add_argument("text", nargs="?", help="the text; - or nothing reads standard input")
        made.add_argument(
            "--file",
            type=Path,
            help="read from a file: .jsonl, .json, .csv and .tsv hold one text a row, any other is one text",
        )
        _add_generation(made)

    pair = verbs.add_parser(
        "pair",
        help="make new instruction-response pairs from example pairs",
        description="Make new instruction-response pairs from two or more examples.",
    )
    pair.add_argument("examples", nargs="?", help="a JSONL, JSON or CSV file of pairs; - or nothing reads them piped")
    pair.add_argument("--file", type=Path, help="the same, named")
    _add_generation(pair)

    run_options.add_parser(verbs)
    _add_models(verbs.add_parser("models", help="what there is, what fits this machine, downloads, cards"))

    publish.add_parser(verbs)

    collect.add_parser(verbs)
    _add_train(verbs.add_parser("train", help="train a task model from a recipe"))
    _add_evaluate(verbs.add_parser("evaluate", help="measure models side by side on prompts never trained on"))
    export.add_parser(verbs)

    compare.add_parser(verbs)
    votes.add_parser(verbs)

    app = verbs.add_parser("app", help="open the app in the browser", description="Serve the app for the browser.")
    app.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine only)")
    app.add_argument("--port", type=int, help="port to serve on (default: 7860, or the next one that is free)")
    app.add_argument("--mcp", action="store_true", help="also serve the tools to agents over MCP")
    return parser


def _add_generation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", type=int, default=1, help="results for each input (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, rejected ones too")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        help="a name from `augmentlm models`, OWNER/NAME[@REVISION] of a LoRA adapter on the hub, or the server's name "
        "with --endpoint",
    )
    model.add_argument(
        "--engine", choices=("llamacpp", "transformers", "batch"), help="default: what fits this machine best"
    )
    model.add_argument(
        "--quantization",
        help="nf4, int8, bf16, fp16 or fp32, as `augmentlm models` says for each; default: what fits this machine best",
    )
    model.add_argument("--endpoint", metavar="URL", help="an OpenAI-compatible server; key in $AUGMENTLM_API_KEY")
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("--temperature", type=float, help="0 is greedy")
    sampling.add_argument("--top-p", type=float, help="keep the likeliest tokens up to this share")
    sampling.add_argument("--top-k", type=int, help="keep this many of the likeliest tokens")
    sampling.add_argument("--max-tokens", type=int, help="the longest result")
    sampling.add_argument(
        "--seed",
        type=int,
        help="the same seed gives the same result for one text at a time; among many rows at once, rounding may tip a "
        "choice between two near-equal words",
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the models, or work on one."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions (default: list)")
    actions.add_parser("list", help="every model with size, licence and how it fits this machine")
    made = {}
    for action, summary in (
        ("pull", "download a model's weights"),
        ("card", "show a model's card"),
        ("verify", "check downloaded weights against their digest"),
        ("remove", "delete downloaded weights"),
    ):
        made[action] = actions.add_parser(action, help=summary)
        made[action].add_argument("name", help="a name from `augmentlm models`, or OWNER/NAME[@REVISION] on the hub")
    made["card"].add_argument("--write", action="store_true", help="put metadata and numbers into it anew (a checkout)")
    made["card"].add_argument(
        "--check", action="store_true", help="say what is stale in it; exit code 1 if anything is"
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train a task model from a recipe. The same command again resumes it. A recipe with a table [preference] "
        "learns which texts to prefer, from several of its own for a prompt that a reader scored, in DATA/scored/TASK."
    )
    parser.add_argument("recipe", help="a recipe such as refine, pair-corrected or expand-preferred, or a TOML file")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, loss curve and result")
    parser.add_argument("--data", type=Path, default=Path("data"), help="the teaching data (default: %(default)s)")
    parser.add_argument("--base", type=Path, help="a folder in Hugging Face form; default: the recipe's base, fetched")
    parser.add_argument("--begin", type=Path, help="a folder with an adapter to teach on, such as that of a model card")


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Sample from models on prompts they were not trained on, measure and judge what they write. "
        "Rows are kept: the same command again makes only what is missing."
    )
    parser.add_argument("task", nargs="?", choices=("refine", "expand", "pair"))
    parser.add_argument(
        "systems",
        nargs="*",
        metavar="SYSTEM",
        help="a name from `augmentlm models`, or NAME@URL for an OpenAI-compatible server; the first is held against "
        "each of the others",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for samples, verdicts and eval.json")
    prompts = parser.add_argument_group("prompts")
    prompts.add_argument("--data", type=Path, default=Path("data"), help="the held-out families (default: %(default)s)")
    prompts.add_argument("--prompts", type=Path, metavar="FILE", help="other prompts: JSONL, JSON, CSV or lines")
    prompts.add_argument("--limit", type=int, help="take this many of the prompts, from all over the set")
    prompts.add_argument("--samples", type=int, default=1, help="samples for each prompt (default: %(default)s)")
    prompts.add_argument("--max-tokens", type=int, help="the longest sample; default: the product's")
    verdicts = parser.add_argument_group("verdicts")
    verdicts.add_argument("--judge", metavar="SYSTEM", help="a model that judges, named as the systems are")
    verdicts.add_argument("--blind", type=Path, metavar="SHEET", help="write the first two systems' texts for a reader")
    verdicts.add_argument("--verdicts", type=Path, metavar="FILE", help="read a reader's verdicts on a sheet")
    verdicts.add_argument("--key", type=Path, help="the key of that sheet")
    verdicts.add_argument("--reader", metavar="NAME", help="who read it")
    parser.add_argument("--card", action="store_true", help="put the numbers into the first system's model card")
    report = parser.add_argument_group("report", "of every task in --out; without TASK and SYSTEM, of what is there")
    report.add_argument("--report", type=Path, metavar="FILE.html", help="a page with pictures, and a folder of CSV")
    report.add_argument("--results", type=Path, metavar="FILE.md", help="the same as Markdown with pictures beside it")
    report.add_argument(
        "--baseline", metavar="MODEL", help="writes by Self-Instruct; default: the first base that responds"
    )
