"""What this computer says it has."""

from __future__ import annotations

import os
import stat

import psutil
import pytest

from augmentlm import hardware
from augmentlm.hardware import Gpu, inspect, read_gpus

LISTING = "NVIDIA GeForce RTX 4060, 8188, 7021, 8.9\nTesla T4, 15360, 15101, 7.5\n"


def test_the_listing_of_the_driver_is_read():
    assert read_gpus(LISTING) == (
        Gpu("NVIDIA GeForce RTX 4060", 8188 * 1024**2, 7021 * 1024**2, 8.9),
        Gpu("Tesla T4", 15360 * 1024**2, 15101 * 1024**2, 7.5),
    )


@pytest.mark.parametrize("listing", ["", "No devices were found\n", "Tesla T4, [N/A], [N/A], 7.5\n"])
def test_cards_that_do_not_answer_are_left_out(listing):
    assert read_gpus(listing) == ()


def test_this_machine_is_described_in_bytes():
    here = inspect()
    assert 0 < here.ram_available <= here.ram_total <= psutil.virtual_memory().total
    assert here.disk_free > 0
    assert 1 <= here.cpu_cores <= (os.cpu_count() or 1)
    assert here.cpu_features <= hardware.FEATURES


def test_bf16_is_what_the_cpu_says_it_has(monkeypatch):
    assert hardware.has_bf16() == inspect().has_bf16
    for features, has in (({"avx2", "avx512f"}, False), ({"avx2", "avx512_bf16"}, True), ({"asimd", "bf16"}, True)):
        monkeypatch.setattr(hardware, "_features", lambda features=features: frozenset(features))
        assert hardware.has_bf16() is has and inspect().has_bf16 is has


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A driver's command on the path; calling it with a text makes it answer that."""

    def install(answer: str, code: int = 0) -> None:
        command = tmp_path / "nvidia-smi"
        command.write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\necho \"$@\" > {tmp_path}/asked\nexit {code}\n")
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return install


def test_gpus_come_from_the_driver(driver):
    driver(LISTING)
    assert [gpu.name for gpu in inspect().gpus] == ["NVIDIA GeForce RTX 4060", "Tesla T4"]


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_not_counted(driver, monkeypatch, hidden):
    driver(LISTING)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert inspect().gpus == ()


def test_only_the_visible_gpus_are_asked_for(driver, monkeypatch, tmp_path):
    driver(LISTING)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    inspect()
    assert "--id=1" in (tmp_path / "asked").read_text()


def test_a_driver_that_fails_means_no_gpu(driver):
    driver("", code=9)
    assert inspect().gpus == ()
