"""A training recipe: one readable TOML file a model."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from augmentlm.errors import InputError
from augmentlm.tasks import Task

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """`tokens_per_row` tokens of packed examples are one row; `rows_per_step` rows a device make one step."""

    task: Task
    base: str
    method: Literal["lora", "full"]
    rank: int
    alpha: int
    dropout: float
    epochs: int
    tokens_per_row: int
    rows_per_step: int
    learning_rate: float
    warmup_share: float
    weight_decay: float
    seed: int
    save_every: int
    log_every: int


def read_recipe(path: Path) -> Recipe:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The recipe {path} can't be read.", hint="Give the path of a TOML file.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The recipe {path} is not valid TOML: {error}.") from error
    names = {field.name for field in fields(Recipe)}
    for problem, keys in (("lacks", names - values.keys()), ("has unknown", values.keys() - names)):
        if keys:
            raise InputError(f"The recipe {path} {problem}: {', '.join(sorted(keys))}.")
    return Recipe(**values)
