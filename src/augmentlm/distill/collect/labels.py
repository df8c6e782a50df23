"""The fixed set of task types that seeds are sorted into, and the share of the data that each should have."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from augmentlm.errors import InputError

_FILE = Path(__file__).with_name("labels.toml")


@dataclass(frozen=True)
class Label:
    """`what` describes the type to a classifier, `example` is one instruction of it, `share` its weight."""

    name: str
    what: str
    example: str
    share: float


@cache
def labels() -> Mapping[str, Label]:
    """Every label by its name, in the file's order."""
    read = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {name: Label(name, **values) for name, values in read.items()}


def shares(path: Path | None = None) -> dict[str, float]:
    """The share of each label, adding up to 1: the default ones, or those of a TOML file of `label = weight` lines.

    A label that the file leaves out gets nothing. Raises `InputError`.
    """
    if path is None:
        weights = {name: label.share for name, label in labels().items()}
    else:
        try:
            weights = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(
                f"{path} can't be read as TOML: {error}.", hint="Write lines such as `math = 2`."
            ) from error
    unknown = [name for name in weights if name not in labels()]
    if unknown:
        raise InputError(f"There is no task type called {unknown[0]!r}.", hint=f"These are: {', '.join(labels())}.")
    wrong = [name for name, weight in weights.items() if isinstance(weight, bool) or not _is_weight(weight)]
    if wrong or not sum(weights.values()):
        raise InputError(
            f"The share of {wrong[0] if wrong else 'every type'} is no weight.", hint="Use numbers above 0."
        )
    total = sum(weights.values())
    return {name: weights.get(name, 0) / total for name in labels()}


def read_label(reply: str) -> str | None:
    """The one label that a classifier's reply begins with, None when it names none or none that is known."""
    words = re.sub(r"[\s_-]+", "_", reply.strip().strip("\"'`*.[]()").lower())
    found = [name for name in labels() if re.match(rf"{name}(?![a-z])", words)]
    return max(found, key=len) if found else None


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0
