"""What the page hands out: rows as JSONL. The browser saves them, so no file stays behind on this computer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from augmentlm.results import Result
from augmentlm.tasks import PROMPT_VERSION


def jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def provenance(result: Result) -> dict[str, Any]:
    """What is needed to make a row again; it stands beside the row's own columns."""
    return {
        "model": result.model,
        "engine": result.engine,
        "quantization": result.quantization,
        "prompt_version": PROMPT_VERSION,
        "seed": result.seed,
    }


def save(name: str) -> str:
    """The browser's part of a download: JavaScript that saves a text under a name."""
    return f"(text) => window.augmentlm.save(text, {json.dumps(name)})"
