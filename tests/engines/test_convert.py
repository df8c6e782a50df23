"""GGUF weights made ready for torch, once."""

from __future__ import annotations

import collections
import json
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from augmentlm.engines import convert
from augmentlm.engines.convert import dequantise
from augmentlm.errors import EngineError, StoppedError, WeightsError
from tiny_models import write_gguf


@pytest.fixture(scope="module")
def tiny_gguf(tiny_base, tmp_path_factory) -> Path:
    return write_gguf(tiny_base, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def visible(home: Path) -> list[str]:
    """Names in the folder of conversions, but for locks."""
    return sorted(path.name for path in (home / "converted").glob("*") if path.suffix != ".lock")


def test_the_folder_holds_the_same_weights_and_a_tokenizer_and_is_made_once(tiny_gguf, tiny_base, home, capfd):
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    folder = dequantise(tiny_gguf)
    assert folder == home / "converted" / "tiny" and visible(home) == ["tiny"]
    assert capfd.readouterr() == ("", "")
    before, after = load_file(tiny_base / "model.safetensors"), load_file(folder / "model.safetensors")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert after[name].dtype == torch.bfloat16
        assert torch.equal(after[name], tensor.to(torch.bfloat16))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = tokenizer.encode("<|im_start|>user\nhe é").ids
    assert ids[0] == 318 and tokenizer.decode(ids) == "user\nhe é"
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] == 319
    fresh = home / "fresh"
    fresh.mkdir()
    assert folder.stat().st_mode == fresh.stat().st_mode, "others may read it as they may read any folder"
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert dequantise(tiny_gguf) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made


@pytest.fixture
def worked(monkeypatch) -> list[Path]:
    """Folders that were filled, with nothing much, in place of a conversion."""
    folders = []

    def work(gguf: Path, folder: Path, meter, stop: threading.Event) -> None:
        folders.append(folder)
        time.sleep(0.5)
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            (folder / name).write_text("{}")

    monkeypatch.setattr(convert, "_work", work)
    return folders


def test_who_waits_is_told_why(tiny_gguf, home, worked, caplog):
    caplog.set_level("INFO", "augmentlm")
    dequantise(tiny_gguf)
    dequantise(tiny_gguf)
    assert caplog.messages == ["Converting tiny.gguf for torch, once: it takes a minute or two."]


def test_who_waits_sees_how_far_it_is_and_then_that_it_is_over(tiny_gguf, home):
    told = []
    folder = dequantise(tiny_gguf, progress=lambda *what: told.append(what))
    assert {(total, work) for _, total, work in told} == {(100, "convert")}
    shares = [done for done, *_ in told]
    assert shares == sorted(shares) and shares[-1] == 100
    assert any(0 < share < 100 for share in shares)
    assert sorted(path.name for path in folder.glob(".*")) == []


def test_who_waits_for_another_process_sees_how_far_that_is(tiny_gguf, home):
    partial = home / "converted" / ".tiny.abc.part"
    partial.mkdir(parents=True)
    (partial / ".tally").write_bytes(bytes(40))
    told, stop = [], threading.Event()

    def hear(*what) -> None:
        told.append(what)
        stop.set()

    with FileLock(home / "converted" / ".tiny.lock"), pytest.raises(StoppedError):
        dequantise(tiny_gguf, progress=hear, stop=stop)
    assert told == [(40, 100, "convert")]


def test_those_who_ask_at_once_share_one_conversion(tiny_gguf, home, worked):
    found = []
    threads = [threading.Thread(target=lambda: found.append(dequantise(tiny_gguf))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [home / "converted" / "tiny"] * 3
    assert len(worked) == 1


def test_what_a_kill_left_behind_is_cleared_away(tiny_gguf, home, worked):
    half = home / "converted" / "tiny"
    torn = home / "converted" / ".tiny.abc.part"
    for folder in (half, torn):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("torn")
    folder = dequantise(tiny_gguf)
    assert (folder / "config.json").read_text() == "{}"
    assert visible(home) == ["tiny"]


def test_stop_ends_a_conversion_and_leaves_nothing(tiny_gguf, home):
    stop = threading.Event()
    threading.Timer(1, stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        dequantise(tiny_gguf, stop=stop)
    assert time.monotonic() - started < 5
    assert visible(home) == []


def test_stop_ends_the_wait_for_another_conversion(tiny_gguf, home):
    (home / "converted").mkdir(parents=True)
    stop = threading.Event()
    with FileLock(home / "converted" / ".tiny.lock"):
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(StoppedError):
            dequantise(tiny_gguf, stop=stop)


def test_a_missing_file_is_said_to_be_missing(tmp_path, home):
    with pytest.raises(EngineError, match=r"no file .*gone\.gguf"):
        dequantise(tmp_path / "gone.gguf")


@pytest.mark.parametrize("damage", ["cut", "without a tensor"])
def test_a_damaged_file_is_one_clear_error_and_leaves_nothing(tiny_gguf, tiny_base, home, tmp_path, damage):
    broken = tmp_path / "broken.gguf"
    content = tiny_gguf.read_bytes()
    if damage == "without a tensor":
        broken.write_bytes(content.replace(b"blk.1.ffn_up.weight", b"blk.9.ffn_up.weight"))
    else:
        broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(EngineError) as caught:
        dequantise(broken)
    why = "it lacks model.layers.1.mlp.up_proj.weight" if damage == "without a tensor" else "cannot reshape"
    assert caught.value.message.startswith(f"broken.gguf can't be converted for torch: {why}")
    assert "download it again" in caught.value.hint
    assert visible(home) == []


def test_a_conversion_that_the_system_ends_blames_memory(tiny_gguf, home, tmp_path, monkeypatch):
    killed = tmp_path / "killed"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(convert.sys, "executable", str(killed))
    with pytest.raises(EngineError, match="probably because memory ran out") as caught:
        dequantise(tiny_gguf)
    assert caught.value.retryable
    assert visible(home) == []


def test_a_disk_without_room_is_refused_before_the_work_begins(tiny_gguf, home, worked, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr("augmentlm.weights.disk.shutil.disk_usage", lambda _: usage(100, 99, 1000))
    with pytest.raises(WeightsError, match="disk is full"):
        dequantise(tiny_gguf)
    assert worked == [] and visible(home) == []


def test_a_folder_that_may_not_be_written_to_is_named(tiny_gguf, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(WeightsError, match="can't be used"):
        dequantise(tiny_gguf)
