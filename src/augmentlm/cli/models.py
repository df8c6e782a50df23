"""`models`: what there is and what fits this machine; download, card, check and removal of one model."""

from __future__ import annotations

import argparse
import sys

from augmentlm import catalog
from augmentlm.catalog import Model
from augmentlm.cli.progress import DownloadProgress, size
from augmentlm.errors import AugmentLMError, InputError
from augmentlm.machine import Machine, inspect, plan
from augmentlm.weights import fetch_model, is_cached, remove, verify


def run(options: argparse.Namespace) -> int:
    match options.action:
        case "pull":
            return _pull_from_hub(options.name) if "/" in options.name else _pull(catalog.model(options.name))
        case "card":
            return _cards(options) if options.write or options.check else _card(catalog.model(options.name))
        case "verify":
            return _verify(catalog.model(options.name))
        case "remove":
            return _remove(catalog.model(options.name))
        case _:
            return _list()


def _list() -> int:
    machine = inspect()
    rows = [("NAME", "TASKS", "DOWNLOAD", "LICENCE", "LANGUAGES", "HERE", "ON THIS MACHINE")]
    for model in catalog.models().values():
        rows.append(
            (
                model.name,
                ", ".join(model.tasks) or "-",
                size(model.download_bytes),
                model.licence,
                ", ".join(model.languages),
                "yes" if is_cached(model.artifact) else "no",
                _fit(model, machine),
            )
        )
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _fit(model: Model, machine: Machine) -> str:
    if not model.tasks:
        return "used by the checks"
    try:
        return plan(model, machine).reason
    except AugmentLMError as error:
        return error.message


def _pull(model: Model) -> int:
    """What it is and how it fits stands there before the first byte."""
    if not is_cached(model.artifact):
        fit = _fit(model, inspect())
        print(f"augmentlm: {model.name}, {size(model.download_bytes)}: {fit.rstrip('.')}.", file=sys.stderr)
    with DownloadProgress(sys.stderr) as progress:
        path = fetch_model(model, progress=progress)
    print(path)
    return 0


def _pull_from_hub(name: str) -> int:
    """Any model or adapter on the hub, such as one that was published with `augmentlm publish`."""
    from augmentlm.hub.pull import pull

    repo, _, revision = name.partition("@")
    with DownloadProgress(sys.stderr) as progress:
        print(pull(repo, revision or None, progress=progress))
    return 0


def _cards(options: argparse.Namespace) -> int:
    """Write cards anew or check them: that of one model, or `all`."""
    from augmentlm.hub import cards

    every = [model for model in catalog.models().values() if cards.generated(model)]
    chosen = every if options.name == "all" else [catalog.model(options.name)]
    right = True
    for model in chosen:
        if model not in every:
            raise InputError(f"The card of {model.name} is written by hand.", hint="Edit it.")
        if options.write:
            print(f"{cards.path(model)}: {'written' if cards.write(model) else 'nothing has changed'}")
        for sentence in cards.what_is_stale(model):
            right = False
            print(f"augmentlm: {sentence}", file=sys.stderr)
    return 0 if right else 1


def _card(model: Model) -> int:
    print(model.card.read_text(encoding="utf-8"), end="")
    return 0


def _verify(model: Model) -> int:
    right = True
    for artifact in (model.artifact, *model.parts):
        if not is_cached(artifact):
            print(f"{artifact.name}: not downloaded")
            right = False
        elif verify(artifact):
            print(f"{artifact.name}: right")
        else:
            print(f"{artifact.name}: damaged. `augmentlm models remove {model.name}` and pull it again.")
            right = False
    return 0 if right else 1


def _remove(model: Model) -> int:
    freed = sum(remove(artifact) for artifact in (model.artifact, *model.parts))
    shared = [
        other.name for other in catalog.models().values() if other.artifact == model.artifact and other is not model
    ]
    print(f"Freed {size(freed)}." if freed else "Nothing was downloaded.")
    if freed and shared:
        print(f"The same weights served {', '.join(shared)}; they are downloaded again when needed.")
    return 0
