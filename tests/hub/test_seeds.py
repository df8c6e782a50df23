"""Seeds that lie on the hub, read by the real `datasets`, which asks for its hub when it is loaded: in a process of its
own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

READ = "import sys; from augmentlm import schemas, tables; print(schemas.read(tables.read(sys.argv[1])))"
SOURCE = Path(__file__).parents[2] / "src"
ROWS = b'{"prompt": "Paint a boat", "completion": "Blue."}\n{"prompt": "Sell two hens", "completion": "Sold."}\n'


def read(hub, name: str, tmp_path) -> subprocess.CompletedProcess:
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "own"), "PYTHONPATH": str(SOURCE)}
    return subprocess.run([sys.executable, "-c", READ, name], env=env, capture_output=True, text=True)


def test_a_data_set_of_the_hub_is_read_by_its_name(hub, tmp_path):
    pytest.importorskip("datasets")
    hub.put("ada/seeds", {"README.md": b"# Seeds\n", "data.jsonl": ROWS}, kind="dataset")
    done = read(hub, "ada/seeds", tmp_path)
    assert "schema='prompt'" in done.stdout, done.stderr
    assert "instruction='Paint a boat', response='Blue.'" in done.stdout
    assert "instruction='Sell two hens', response='Sold.'" in done.stdout


def test_a_data_set_that_the_hub_does_not_have_is_told_in_one_sentence(hub, tmp_path):
    pytest.importorskip("datasets")
    done = read(hub, "ada/none", tmp_path)
    assert "ada/none is no file here, and as a data set of the hub it can't be loaded" in done.stderr.splitlines()[-1]
