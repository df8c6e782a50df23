"""What is taken from the hub by its name there, `OWNER/NAME` or `OWNER/NAME@REVISION`: any model's files, and LoRA
adapters on a base of the catalog, which run like its own models."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from augmentlm import catalog
from augmentlm.catalog import Adapter, Artifact, HubSource, Model
from augmentlm.errors import InputError
from augmentlm.tasks import clean
from augmentlm.weights import store
from augmentlm.weights.disk import Progress, read_json
from augmentlm.weights.listings import CARD

CONFIG = "adapter_config.json"
_TRAINING = "training.json"
_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?")


def find(name: str, *, progress: Progress | None = None, stop: threading.Event | None = None) -> Model:
    """A model of the catalog, or an adapter of the hub, which is fetched for what it says of itself unless it is here.

    Raises `UnknownModelError`, `WeightsError` as `fetch` does, and `InputError` for what is no adapter on a base here.
    """
    return adapter(name, progress=progress, stop=stop) if "/" in name else catalog.model(name)


def artifact(name: str) -> Artifact:
    """A repository of the hub as an artifact. Raises `InputError` for a name that can't be one."""
    match = _NAME.fullmatch(name)
    if match is None or ".." in name:
        raise InputError(f"{name!r} is not the name of a repository.", hint="Write OWNER/NAME or OWNER/NAME@REVISION.")
    return Artifact(name.replace("/", "--"), "repository", HubSource(match["repo"], match["revision"]))


def pull(name: str, *, progress: Progress | None = None, stop: threading.Event | None = None) -> Path:
    """The folder of a repository, fetched unless it is here: safetensors, configuration and tokenizer.

    The revision is a tag or commit; without one `main` is resolved at the first time and used from then on. Raises
    `InputError` for a name that can't be one, and `WeightsError` as `fetch` does.
    """
    return store.fetch(artifact(name), progress=progress, stop=stop)


def here() -> list[str]:
    """The names of what was pulled and is whole."""
    found = []
    for lock in sorted((store.home() / "weights").glob("*--*.lock.json")):
        _, at, revision = lock.name.removesuffix(".lock.json").partition("@")
        name = f"{read_json(lock).get('repo')}{at}{revision}"
        if _NAME.fullmatch(name) and store.is_cached(artifact(name)):
            found.append(name)
    return found


def card(name: str) -> str:
    """The model card that came with what was pulled, without control characters: it is a stranger's text. Raises
    `InputError` when nothing of that name was pulled, or it has no card."""
    place = artifact(name)
    if not store.is_cached(place):
        raise InputError(f"{name} is not on this machine.", hint=f"Run `augmentlm models pull {name}` first.")
    try:
        return clean((store.fetch(place) / CARD).read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError as error:
        raise InputError(f"{name} came without a card.", hint="Look at its page on the hub.") from error


def adapters() -> list[Model]:
    """What was pulled and is whole, as far as it is an adapter on a base here. Asks nothing of the hub."""
    found = []
    for name in here():
        with suppress(InputError):
            found.append(adapter(name))
    return found


def is_adapter(name: str, *, stop: threading.Event | None = None) -> bool:
    """Whether a repository says that it is an adapter. Asks the hub at the first time; fetches no weights."""
    return any(file.name == CONFIG for file in store.look_up(artifact(name), stop=stop).files)


def adapter(name: str, *, progress: Progress | None = None, stop: threading.Event | None = None) -> Model:
    """An adapter of the hub as a model on its base. Raises as `find` does."""
    bases = {
        model.parent: model
        for model in catalog.models().values()
        if model.parent and not model.base and model.artifact.format == "gguf"
    }
    these = f"Name a LoRA adapter in PEFT's form on {' or '.join(map(str, bases))}."
    if not is_adapter(name, stop=stop):
        raise InputError(f"{name} is no adapter.", hint=these)
    folder = pull(name, progress=progress, stop=stop)
    config = read_json(folder / CONFIG)
    named = config.get("base_model_name_or_path")
    if config.get("peft_type") != "LORA":
        raise InputError(f"{name} is no LoRA adapter.", hint=these)
    if named not in bases:
        raise InputError(f"{name} is an adapter on {named}, which is no base here.", hint=these)
    base = bases[named]
    recipe = read_json(folder / _TRAINING).get("recipe")
    task = recipe.get("task") if isinstance(recipe, dict) else None
    return replace(
        base,
        name=name,
        title=name,
        family="pulled",
        tasks=(task,) if task in base.tasks else base.tasks,
        style="tuned",
        base=base.name,
        adapter=Adapter(str(folder)),
        licence="unknown",
    )
