"""What is published under which name: our models, their GGUF variants, the teaching data, the Spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from augmentlm import __version__, catalog
from augmentlm.catalog import Model
from augmentlm.errors import InputError
from augmentlm.hub import cards, metadata
from augmentlm.hub.contents import Content
from augmentlm.hub.release import CARD, Kind, Release

GGUF = "-gguf"
"""How the name of a variant for llama.cpp ends."""

_DATA_SUFFIXES = (".jsonl", ".json", ".md", ".csv")


def release(kind: Kind, name: str, tag: str | None = None) -> Release:
    """All that is published under a name. `tag` is the version, by default that of this package.

    Raises `InputError` when nothing of that kind has that name, or the files that it is made from are not here.
    """
    version = tag or f"v{__version__}"
    if kind == "space":
        from augmentlm.hub import spaces

        return Release("space", f"augmentlm-{name}", spaces.assemble(name), version)
    if kind == "dataset":
        return _dataset(name, version) if name == catalog.project().dataset else _run(Path(name), tag)
    is_variant = name.lower().endswith(GGUF)
    model = _ours(name[: -len(GGUF)] if is_variant else name)
    return _gguf(model, version) if is_variant else _model(model, version)


def names(kind: Kind) -> list[str]:
    """All there is to publish of a kind."""
    if kind == "space":
        from augmentlm.hub import spaces

        return spaces.names()
    if kind == "dataset":
        return [catalog.project().dataset]
    ours = [model.name for model in catalog.models().values() if model.adapter]
    return [*ours, *(f"{name}{GGUF}" for name in ours)]


def _ours(name: str) -> Model:
    model = catalog.model(name)
    if model.adapter is None:
        ready = ", ".join(names("model"))
        if model.family.startswith("hub-"):
            hint = f"Offer {cards.path(model)} to its authors on https://huggingface.co/{model.artifact.hub.repo}."
        else:
            hint = f"These can be published: {ready}."
        raise InputError(f"{model.name} is not ours to publish.", hint=hint)
    return model


def _model(model: Model, version: str) -> Release:
    folder = cards.path(model).parent
    files: dict[str, Content] = dict(_files(folder))
    return Release("model", model.name, files, version, tuple(cards.what_is_stale(model)))


def _gguf(model: Model, version: str) -> Release:
    """The adapter in llama.cpp's format, with a card of its own that names the adapter it was made from."""
    from augmentlm.engines.adapters import as_gguf

    assert model.adapter is not None
    owner, name = catalog.project().owner, f"{model.name}{GGUF}"
    file = f"{model.name}-f16.gguf"
    values = cards.front(model)
    values.pop("model-index", None)
    values |= {"base_model": f"{owner}/{model.name}", "base_model_relation": "quantized", "library_name": "gguf"}
    values["tags"] = [*values["tags"], "gguf", "llama-cpp"]
    base = model.artifact
    text = f"""# {model.title}, GGUF

The LoRA adapter [`{owner}/{model.name}`](https://huggingface.co/{owner}/{model.name}) in llama.cpp's format, fp16.
It is applied to [`{base.hub.repo}`](https://huggingface.co/{base.hub.repo}), file `{base.file}`:

```bash
llama-server --model {base.file} --lora {file}
```

What it does, how it was trained and measured, and its limits stand in the card of the adapter. AugmentLM makes this
very file at the first use: `augmentlm {model.tasks[0]}` needs nothing else.
"""
    files: dict[str, Content] = {
        CARD: metadata.write(values, text).encode(),
        file: as_gguf(model.adapter.path),
    }
    return Release("model", name, files, version, tuple(cards.what_is_stale(model)))


def _dataset(name: str, version: str) -> Release:
    folder = catalog.cards_folder().parent / "data"
    if not (folder / CARD).is_file():
        raise InputError("The teaching data is not here.", hint="Publish it from a checkout of the repository.")
    files = {path: file for path, file in _files(folder) if file.suffix in _DATA_SUFFIXES}
    return Release("dataset", name, dict(files), version)


def _run(folder: Path, tag: str | None) -> Release:
    """The data set of a run, its rows with their provenance, under the name of its folder."""
    from augmentlm.runs.push import release_of

    if not (folder / CARD).is_file():
        ours = catalog.project().dataset
        raise InputError(
            f"{folder} is no finished run.", hint=f"Give the folder that `augmentlm run --out` wrote, or {ours}."
        )
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-.")
    found = release_of(folder, name)
    return replace(found, version=tag) if tag else found


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """What is in a folder, by its path in a repository."""
    for file in sorted(folder.rglob("*")):
        relative = file.relative_to(folder)
        if file.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in relative.parts):
            yield relative.as_posix(), file
