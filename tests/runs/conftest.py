"""Runs on the scripted engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augmentlm.engines.base import Engine
from augmentlm.engines.scripted import Script, ScriptedEngine
from augmentlm.examples import Example
from augmentlm.runs.rows import Run, read_run
from augmentlm.runs.run import run
from augmentlm.runs.runner import Progress
from scripted_cli import ScriptedPool
from scripted_run import dreamed

SEEDS = [Example(f"{verb} {thing}", f"About {thing}") for verb in ("Paint", "Sell") for thing in ("a boat", "two hens")]

Work = Callable[..., tuple[Run, list[Progress]]]


@pytest.fixture
def work(tmp_path) -> Work:
    """Do a run in `tmp_path/out` and read it back; gives it with all that was told."""

    def work(script: Script | Engine = dreamed, seeds: Any = SEEDS, out: str = "out", **settings: Any):
        engine = ScriptedEngine(script) if callable(script) else script
        told = list(run(seeds, tmp_path / out, pool=ScriptedPool(engine), **settings))
        return read_run(tmp_path / out), told

    return work


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"
