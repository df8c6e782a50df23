"""A run that is killed again and again comes to the same end as one that nobody disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from augmentlm.runs.rows import read_run

ROOT = Path(__file__).parents[2]
TOPICS = "Plan a trip to Kyoto|Explain how bread rises|Name three rivers|Write a toast to a friend|Sort some numbers"
KILLS = 20


@pytest.fixture
def seeds(tmp_path) -> Path:
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps({"instruction": topic}) + "\n" for topic in TOPICS.split("|")))
    return path


def start(seeds: Path, out: Path, delay: float) -> subprocess.Popen:
    script = [sys.executable, str(ROOT / "tests" / "scripted_run.py"), str(delay)]
    command = [
        *script,
        "run",
        str(seeds),
        "--steps",
        "expand,respond",
        "-n",
        "60",
        "--out",
        str(out),
        "--no-report",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def until_at_work(working: subprocess.Popen) -> None:
    assert any("accepted" in line for line in iter(working.stderr.readline, ""))


def test_twenty_kills_lose_no_row_make_none_twice_and_change_no_byte(tmp_path, seeds) -> None:
    undisturbed = start(seeds, tmp_path / "calm", 0)
    assert undisturbed.wait() == 0, undisturbed.stderr.read()

    out = tmp_path / "killed"
    moments = random.Random()
    killed, kept = 0, []
    for _ in range(KILLS):
        working = start(seeds, out, 0.005)
        until_at_work(working)
        time.sleep(moments.uniform(0, 0.3))
        working.send_signal(signal.SIGKILL)
        killed += working.wait() == -signal.SIGKILL
        accepted = [record.candidate for record in read_run(out).accepted]
        assert accepted[: len(kept)] == kept
        kept = accepted
    assert killed == KILLS
    last = start(seeds, out, 0)
    assert last.wait() == 0, last.stderr.read()

    rows = [json.loads(line) for line in (out / "data.jsonl").read_text().splitlines()]
    assert len(rows) == len({row["provenance"]["candidate"] for row in rows}) == 60
    assert [row["provenance"]["candidate"] for row in rows][: len(kept)] == kept
    for name in ("data.jsonl", "rejected.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()


def test_two_programs_do_not_work_on_one_run(tmp_path, seeds) -> None:
    first = start(seeds, tmp_path / "out", 0.05)
    until_at_work(first)
    second = start(seeds, tmp_path / "out", 0)
    assert second.wait() == 2
    assert "Another program works on" in second.stderr.read()
    first.kill()
    first.wait()
