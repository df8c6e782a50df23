"""What a training began with, noted in its folder: it goes on there with the same alone."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from augmentlm.distill.account import digest_of
from augmentlm.distill.recipe import Recipe
from augmentlm.errors import InputError

_BEGIN = "begin.json"


def same_recipe(recipe: Recipe, out: Path) -> None:
    """Note the recipe in `out`, or refuse to go on there with another one: its rows and shapes would not fit."""
    earlier = _noted(out, "recipe.json", asdict(recipe))
    # How often to save and log may change on the way; everything else decides what is trained.
    changed = [
        key
        for key, value in asdict(recipe).items()
        if key not in ("save_every", "log_every") and earlier.get(key) != value
    ]
    if changed:
        raise InputError(
            f"{out} holds a training with another {', '.join(changed)}.",
            hint="Give another --out, or delete the folder to start over.",
        )


def same_begin(begin: Path | None, out: Path, ended: bool = False) -> None:
    """Note the weights that are taught on in `out`, or refuse to go on there with others. What has `ended` is compared
    alone."""
    begun = digest_of(begin) if begin else "base"
    # Before there was this note, the files of the reference were named by it.
    named = next((file.name.rpartition("-")[0] for file in (out / "reference").glob("*-*.jsonl")), begun)
    if (named if ended and not (out / _BEGIN).exists() else _noted(out, _BEGIN, named)) != begun:
        raise InputError(
            f"The training in {out} began from another adapter.",
            hint="Give the --begin that it was started with, or another --out.",
        )


def same_data(files: list[dict[str, Any]], out: Path) -> None:
    """Note what is trained on in `out`, or refuse to go on there with other data: its rows would be others."""
    if _noted(out, "data.json", files) != files:
        raise InputError(
            f"The data is not what the training in {out} began with.",
            hint="Give another --out, or delete the folder to start over.",
        )


def _noted(out: Path, name: str, value: Any) -> Any:
    """What was noted in a file of `out` when the training began there; now `value`, where nothing was."""
    note = out / name
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not note.exists():
            # Each of several processes comes by here, and none may read a note half written.
            draft = out / f"{name}.{os.getpid()}"
            draft.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
            draft.replace(note)
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"The training folder {out} can't be used: {error}.", hint="Give another --out.") from error
