"""The command on the real weights, as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONG = "Write a travel guide with a paragraph for each of these cities: Kyoto, Lima, Oslo, Cairo, Quito, Perth, Turin."


@pytest.mark.real
def test_ctrl_c_while_the_model_writes_ends_at_once_and_keeps_what_is_printed() -> None:
    command = [sys.executable, "-m", "augmentlm.cli", "refine", LONG, "--temperature", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = process.stdout.read(1)
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (first + out).decode().strip() and b"Traceback" not in err and err.endswith(b"augmentlm: Stopped.\n")
    assert time.monotonic() - pressed < 5  # a second on an idle machine; all of the text would take a minute
