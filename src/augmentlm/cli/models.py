"""`models`: what there is and what fits this machine; download, card, check and removal of one model."""

from __future__ import annotations

import argparse
import sys

from augmentlm import catalog
from augmentlm.catalog import Artifact, Model
from augmentlm.cli.progress import DownloadProgress, size
from augmentlm.errors import AugmentLMError, InputError
from augmentlm.machine import Machine, inspect, plan
from augmentlm.weights import fetch_model, is_cached, pulled, remove, verify
from augmentlm.weights.store import forget, look_up


def run(options: argparse.Namespace) -> int:
    match options.action:
        case "pull":
            return _pull_from_hub(options.name) if _on_hub(options.name) else _pull(catalog.model(options.name))
        case "card":
            return _cards(options) if options.write or options.check else _card(options.name)
        case "verify":
            return _verify(options.name, *_artifacts(options.name))
        case "remove":
            return _remove(options.name)
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
    rows += [_pulled_row(name, machine) for name in pulled.here()]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _pulled_row(name: str, machine: Machine) -> tuple[str, ...]:
    """A model or an adapter that was taken from the hub by its name there."""
    total = size(sum(file.bytes for file in look_up(pulled.artifact(name)).files))
    try:
        model = pulled.adapter(name)
    except InputError:
        return name, "-", total, "?", "?", "yes", "only its files: it is no adapter on a base here"
    return name, ", ".join(model.tasks), total, "?", "?", "yes", _fit(model, machine)


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
        _say(f"{model.name}, {size(model.download_bytes)}: {fit.rstrip('.')}.")
    with DownloadProgress(sys.stderr) as progress:
        path = fetch_model(model, progress=progress)
    print(path)
    return 0


def _pull_from_hub(name: str) -> int:
    """Any model or adapter on the hub, such as one that was published with `augmentlm publish`. How large it is stands
    there before the first byte."""
    artifact = pulled.artifact(name)
    if not is_cached(artifact):
        listing = look_up(artifact)
        total = size(sum(file.bytes for file in listing.files))
        _say(f"{name}, commit {listing.commit[:12]}, {total} in {len(listing.files)} files.")
    with DownloadProgress(sys.stderr) as progress:
        path = pulled.pull(name, progress=progress)
    print(path)
    if pulled.is_adapter(name):
        _say(_how_to_use(name))
    return 0


def _how_to_use(name: str) -> str:
    try:
        model = pulled.adapter(name)
    except InputError as error:
        return str(error)
    base = "" if is_cached(model.artifact) else f" Its base comes with `augmentlm models pull {model.base}`."
    return f"Use it with `augmentlm {model.tasks[0]} --model {name}`.{base}"


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
            _say(sentence)
    return 0 if right else 1


def _card(name: str) -> int:
    text = pulled.card(name) if _on_hub(name) else catalog.model(name).card.read_text(encoding="utf-8")
    print(text.rstrip("\n"))
    return 0


def _on_hub(name: str) -> bool:
    return "/" in name


def _artifacts(name: str) -> tuple[Artifact, ...]:
    if _on_hub(name):
        return (pulled.artifact(name),)
    model = catalog.model(name)
    return model.artifact, *model.parts


def _verify(name: str, *artifacts: Artifact) -> int:
    right = True
    for artifact in artifacts:
        called = name if _on_hub(name) else artifact.name
        if not is_cached(artifact):
            print(f"{called}: not downloaded")
            right = False
        elif verify(artifact):
            print(f"{called}: right")
        else:
            print(f"{called}: damaged. `augmentlm models remove {name}` and pull it again.")
            right = False
    return 0 if right else 1


def _remove(name: str) -> int:
    artifacts = _artifacts(name)
    freed = sum(remove(artifact) for artifact in artifacts)
    if _on_hub(name):
        forget(artifacts[0])
    shared = [
        other.name for other in catalog.models().values() if other.artifact == artifacts[0] and other.name != name
    ]
    print(f"Freed {size(freed)}." if freed else "Nothing was downloaded.")
    if freed and shared:
        print(f"The same weights served {', '.join(shared)}; they are downloaded again when needed.")
    return 0


def _say(text: str) -> None:
    print(f"augmentlm: {text}", file=sys.stderr)
