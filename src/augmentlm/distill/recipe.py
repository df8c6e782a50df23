"""A training recipe: one readable TOML file a model."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from augmentlm.errors import InputError

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Preference:
    """Direct Preference Optimization (arXiv 2305.18290): `beta`, above zero, holds the model near its reference.

    A text is preferred to another of its prompt when its score is higher by `gap` or more, which is above zero too.
    `likelihood_weight` is that of the mean negative log-likelihood per token of the texts with a score of `good` or
    more, which is added lest they lose probability too (arXiv 2404.19733).
    """

    beta: float
    likelihood_weight: float
    gap: float
    good: float


@dataclass(frozen=True)
class Recipe:
    """`tokens_per_row` tokens of packed examples are one row; `rows_per_step` rows a device make one step.

    A LoRA is put on the upper `layers` layers; full fine-tuning trains them all. With a `preference` it learns from
    scored texts which to prefer, without one the likelihood of texts.
    """

    task: Literal["expand", "refine", "pair"]
    base: str
    method: Literal["lora", "full"]
    rank: int
    layers: int
    alpha: int
    dropout: float
    epochs: float
    tokens_per_row: int
    rows_per_step: int
    learning_rate: float
    warmup_share: float
    weight_decay: float
    seed: int
    save_every: int
    log_every: int
    preference: Preference | None = None


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file. Raises `InputError` naming the key that is missing, unknown or of the wrong kind."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The recipe {path} can't be read.", hint="Give the path of a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe {path} is not valid TOML: {error}.") from error
    preference = None
    if "preference" in values:
        table = values.pop("preference")
        if not isinstance(table, dict):
            raise InputError(f"In the recipe {path}, preference is {table!r}; it has to be a table, [preference].")
        _check(f"The table [preference] of the recipe {path}", table, get_type_hints(Preference))
        for key in ("beta", "gap"):
            if not table[key]:
                raise InputError(
                    f"In the table [preference] of the recipe {path}, {key} is 0; it has to be above zero."
                )
        preference = Preference(**table)
    kinds = get_type_hints(Recipe)
    del kinds["preference"]
    _check(f"The recipe {path}", values, kinds)
    return Recipe(**values, preference=preference)


def _check(where: str, values: dict[str, Any], kinds: dict[str, Any]) -> None:
    for problem, keys in (("lacks", kinds.keys() - values.keys()), ("has unknown", values.keys() - kinds.keys())):
        if keys:
            raise InputError(f"{where} {problem}: {', '.join(sorted(keys))}.")
    for key, kind in kinds.items():
        wanted = _mismatch(values[key], kind)
        if wanted:
            raise InputError(f"In {where[0].lower()}{where[1:]}, {key} is {values[key]!r}; it has to be {wanted}.")


def _mismatch(value: Any, kind: Any) -> str | None:
    """What the value has to be, if it is something else."""
    if choices := get_args(kind):
        return None if value in choices else " or ".join(choices)
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
        return None if fits else "a number, zero or more"
    if kind is int:
        return (
            None
            if isinstance(value, int) and not isinstance(value, bool) and value > 0
            else "a whole number above zero"
        )
    return None if isinstance(value, str) else "text"
