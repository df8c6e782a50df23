"""pyarrow and datasets, which are asked for when they are needed."""

from __future__ import annotations

from importlib.util import find_spec

from augmentlm.errors import MissingExtraError


def need(package: str, what: str) -> None:
    """Raises `MissingExtraError` when an optional package is not installed."""
    if find_spec(package) is None:
        raise MissingExtraError(f"{what[0].upper()}{what[1:]} need {package}.", hint='Run `pip install -e ".[data]"`.')
