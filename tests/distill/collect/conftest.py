"""What tests of collecting share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from augmentlm.distill.collect.teacher import Teacher
from augmentlm.distill.samples import System
from augmentlm.engines.base import Request
from augmentlm.engines.scripted import ScriptedEngine
from scripted_cli import ScriptedPool
from scripted_teacher import MODEL, Script


@pytest.fixture
def teacher(tmp_path) -> Callable[..., Teacher]:
    def make(script: Callable[[Request], str] | None = None, delay: float = 0.0, **more) -> Teacher:
        pool = ScriptedPool(ScriptedEngine(script or Script(), delay))
        return Teacher(System(MODEL), tmp_path / "out" / "answers", pool, **more)

    return make


@pytest.fixture
def write(tmp_path) -> Callable[[str, Sequence[object]], Path]:
    def write(name: str, values: Sequence[object]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8")
        return path

    return write
