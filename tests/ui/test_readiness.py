"""The line at the top of the page, while the weights come."""

from __future__ import annotations

import threading

import pytest

from augmentlm.errors import WeightsError
from augmentlm.ui.readiness import Readiness


class Warming:
    """A warm-up that goes on when the test says so."""

    def __init__(self) -> None:
        self.went = threading.Event()
        self.times = 0
        self.fails = False

    def __call__(self, progress) -> None:
        self.times += 1
        progress(1_000_000, 500_000_000)
        self.went.wait(10)
        self.went.clear()
        if self.fails:
            raise WeightsError("No network.", hint="Check the <cable>.")


def wait_for(condition) -> None:
    tick = threading.Event()
    for _ in range(500):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it did not happen")


@pytest.fixture
def warming() -> Warming:
    return Warming()


def test_nothing_is_loaded_before_somebody_comes_and_then_once(warming) -> None:
    readiness = Readiness(warming)
    assert warming.times == 0
    assert "Starting…" in readiness.html("en")
    for _ in range(5):
        readiness.start()
    wait_for(lambda: readiness.state == "coming")
    assert "Downloading the model, once: 1 MB of 500 MB" in readiness.html("en")
    assert 'role="progressbar"' in readiness.html("zh")
    warming.went.set()
    wait_for(lambda: readiness.look() == "ready")
    readiness.start()
    assert "Ready. Everything runs on this computer." in readiness.html("en")
    assert warming.times == 1


def test_a_conversion_is_shown_as_a_download_is() -> None:
    went = threading.Event()

    def warm_up(progress) -> None:
        progress(500_000_000, 500_000_000)
        progress(40, 100, "convert")
        went.wait(10)

    readiness = Readiness(warm_up)
    readiness.start()
    wait_for(lambda: readiness.state == "coming")
    assert "Converting the model to another format, once: 40 %" in readiness.html("en")
    assert "正在转换模型格式（仅一次）：40%" in readiness.html("zh")
    assert 'aria-valuenow="40"' in readiness.html("en")
    went.set()
    wait_for(lambda: readiness.look() == "ready")


def test_a_model_that_somebodys_work_has_loaded_is_ready_after_all(warming) -> None:
    there: list[str] = []
    readiness = Readiness(warming, is_loaded=lambda: bool(there))
    warming.fails = True
    warming.went.set()
    readiness.start()
    wait_for(lambda: readiness.look() == "failed")
    assert "could not be loaded" in readiness.html("en")
    there.append("the model")
    assert readiness.look() == "ready"
    assert "Ready." in readiness.html("en") and "network" not in readiness.html("en")


def test_strangers_are_not_told_that_it_runs_on_their_computer(warming) -> None:
    readiness = Readiness(warming, local=False)
    warming.went.set()
    readiness.start()
    wait_for(lambda: readiness.look() == "ready")
    assert "Ready." in readiness.html("en")
    assert "this computer" not in readiness.html("en")


def test_a_failure_is_said_and_tried_again_by_the_next_visitor(warming) -> None:
    readiness = Readiness(warming)
    warming.fails = True
    warming.went.set()
    readiness.start()
    wait_for(lambda: readiness.state == "failed")
    assert "The model could not be loaded. No network. Check the &lt;cable&gt;." in readiness.html("en")
    warming.fails = False
    warming.went.set()
    wait_for(lambda: readiness.start() or readiness.state == "ready")
    assert warming.times == 2
