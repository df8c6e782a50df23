"""A run on the real embedded model, killed on its way: nothing lost, nothing twice, exactly the rows asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from augmentlm.errors import AugmentLMError
from augmentlm.runs.journal import Journal, is_run
from augmentlm.runs.rows import read_run

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
SEEDS = "Plan a three-day trip to Kyoto\nExplain why bread rises\nWrite a polite reminder about an unpaid invoice\n"
PATIENCE = 150.0


def start(folder: Path) -> subprocess.Popen:
    ways = "--steps expand -n 3 --max-tokens 64 --engine llamacpp --out out --no-report".split()
    command = [sys.executable, "-m", "augmentlm.cli", "run", "seeds.txt", *ways]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def texts(folder: Path) -> dict[str, str]:
    """What is kept so far, by key."""
    if not is_run(folder):
        return {}
    try:
        with closing(Journal(folder)) as journal:
            return {text.key: text.text for text in journal.texts()}
    except AugmentLMError:  # it is being made this moment
        return {}


def test_kills_lose_nothing_and_make_nothing_twice(tmp_path) -> None:
    (tmp_path / "seeds.txt").write_text(SEEDS)
    out = tmp_path / "out"
    kept: dict[str, str] = {}
    for _ in range(2):
        working = start(tmp_path)
        deadline = time.monotonic() + PATIENCE
        while len(texts(out)) <= len(kept) and working.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        working.send_signal(signal.SIGKILL)
        working.wait()
        found = texts(out)
        assert len(found) > len(kept) or working.returncode == 0
        assert kept.items() <= found.items()
        kept = found
    last = start(tmp_path)
    try:
        said = last.communicate(timeout=PATIENCE)[1]
    finally:
        last.kill()
    assert last.returncode == 0, said
    assert kept.items() <= texts(out).items()
    accepted = read_run(out).accepted
    rows = [json.loads(line) for line in (out / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(accepted) == len({row["provenance"]["candidate"] for row in rows}) == 3
