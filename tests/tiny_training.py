"""Recipes for the tiny base, and what a training leaves, for the tests that train."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from augmentlm.distill.recipe import Preference, Recipe

RECIPE = Recipe(
    task="refine",
    base="tiny",
    method="lora",
    rank=4,
    layers=2,
    alpha=8,
    dropout=0.0,
    epochs=2,
    tokens_per_row=256,
    rows_per_step=1,
    learning_rate=5e-3,
    warmup_share=0.1,
    weight_decay=0.0,
    seed=1,
    save_every=10,
    log_every=2,
)
PREFERRED = dataclasses.replace(
    RECIPE,
    task="expand",
    epochs=3,
    learning_rate=2e-3,
    rows_per_step=2,
    save_every=4,
    preference=Preference(beta=0.1, likelihood_weight=0.1, gap=2, good=7),
)
CHILD = """
import json, sys, time
from pathlib import Path
from augmentlm.distill import train as module
from augmentlm.distill.recipe import Preference, Recipe
recipe, base, data, out, pause = json.loads(sys.argv[1])
recipe["preference"] = recipe["preference"] and Preference(**recipe["preference"])
slow = module.PackedRows.__getitem__
module.PackedRows.__getitem__ = lambda self, index: (time.sleep(pause), slow(self, index))[1]
module.train(Recipe(**recipe), Path(base), Path(data), Path(out))
"""


def child_arguments(recipe: Recipe, base: Path, data: Path, out: Path, pause: float) -> str:
    """What `CHILD` takes: it trains, and waits `pause` seconds at each row."""
    return json.dumps([dataclasses.asdict(recipe), str(base), str(data), str(out), pause])


def train_in_two_processes(recipe: Recipe, base: Path, data: Path, folder: Path) -> str:
    """Train to `folder/out` as `accelerate launch` does for two devices; gives what was printed."""
    script = folder / "child.py"
    script.write_text(CHILD, encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
            *(str(script), child_arguments(recipe, base, data, folder / "out", 0.0)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def column(out: Path, name: str = "loss") -> dict[int, float]:
    """A column of `loss.csv` by step; every step stands there once."""
    with (out / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    assert steps == sorted(set(steps))
    return {int(row["step"]): float(row[name]) for row in rows}
