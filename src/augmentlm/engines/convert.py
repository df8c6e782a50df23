"""GGUF weights as the folder of safetensors that torch needs: converted once, then shared by every process.

Reading a GGUF file with transformers takes half a minute or more each time, and dequantises it anyway.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import augmentlm
from augmentlm import weights
from augmentlm.errors import EngineError
from augmentlm.weights.disk import Meter, Progress, check, explained, need, settle, size_of, sync

GROWTH = 4
"""At most this many times its size on disk: a weight of 4 bits becomes one of 16."""

log = logging.getLogger(__name__)

_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_TALLY = ".tally"
"""A file beside those being made. It grows by a byte with each hundredth, so that whoever waits sees how far it is."""

_BEGUN, _TOKENIZER_READ, _METADATA_READ, _UNPACKED = 5, 25, 45, 90
"""Hundredths of the time that have gone by then: for a 0.5B model on two cores, and much the same elsewhere."""

_LOOK_SECONDS = 0.1


def dequantise(gguf: Path, *, progress: Progress | None = None, stop: threading.Event | None = None) -> Path:
    """The folder with the weights of a GGUF file in bf16 and its tokenizer, made now unless it is there.

    The work is done by a process of its own, which can be ended at any moment and gives its gigabytes back. When
    another one is converting the same file, this one waits and uses the result; `progress` hears how far it is either
    way. Raises `EngineError` for a file that can't be read, `WeightsError` when the disk is full or forbidden, and
    `StoppedError` once `stop` is set.
    """
    stop = stop or threading.Event()
    folder = weights.home() / "converted" / gguf.stem
    if _is_whole(folder):
        return folder
    if not gguf.is_file():
        raise EngineError(f"There is no file {gguf}.", hint="Download the model again.")
    size = GROWTH * gguf.stat().st_size
    meter = Meter(100, progress and (lambda done, total: progress(done, total, "convert")))
    with explained(folder.parent, lambda: size):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, meter, stop):
            if not _is_whole(folder):
                for leftover in (folder, *_partials(folder)):
                    shutil.rmtree(leftover, ignore_errors=True)
                need(folder.parent, size)
                partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
                log.info("Converting %s for torch, once: it takes a minute or two.", gguf.name)
                try:
                    partial.mkdir()  # readable by whoever may read the downloaded weights
                    _work(gguf.absolute(), partial, meter, stop)
                    (partial / _TALLY).unlink(missing_ok=True)
                    for file in partial.iterdir():
                        sync(file)
                    settle(partial, folder)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
    meter.finish()
    return folder


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _FILES)


def _partials(folder: Path) -> Iterator[Path]:
    """What is being made, or was when something broke."""
    return folder.parent.glob(f".{folder.name}.*.part")


@contextmanager
def _alone(folder: Path, meter: Meter, stop: threading.Event) -> Iterator[None]:
    """Nobody else converts the same file meanwhile. A process that dies gives its lock back."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    while True:
        check(stop)
        try:
            lock.acquire(timeout=_LOOK_SECONDS)
            break
        except Timeout:
            meter(max((size_of(partial / _TALLY) for partial in _partials(folder)), default=0))
    try:
        yield
    finally:
        lock.release()


def _work(gguf: Path, folder: Path, meter: Meter, stop: threading.Event) -> None:
    """Let another process convert the file, look how far it is, and end it when `stop` is set."""
    paths = [str(Path(augmentlm.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(gguf), str(folder)],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        while True:
            check(stop)
            meter(size_of(folder / _TALLY))
            try:
                _, said = process.communicate(timeout=_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
    finally:
        process.kill()
        process.wait()
    if process.returncode < 0:
        raise EngineError(
            f"The system ended the conversion of {gguf.name}, probably because memory ran out.",
            hint="Close other programs and try again.",
            retryable=True,
        )
    if process.returncode:
        why = (said.strip().splitlines() or ["it fails"])[-1]
        raise EngineError(
            f"{gguf.name} can't be converted for torch: {why.rstrip('.')}.",
            hint="Remove the model and download it again.",
        )


class _Tally:
    """Tells how far a conversion is: see `_TALLY`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._share = 0

    def reach(self, share: int) -> None:
        self._file.write(bytes(max(0, share - self._share)))
        self._share = max(self._share, share)


def _counted(unpack: Callable[..., Any], size: int, tally: _Tally) -> Callable[..., Any]:
    """The function that unpacks a tensor, with the bytes counted that it has worked on."""
    done = 0

    def counted(data: Any, *rest: Any) -> Any:
        nonlocal done
        unpacked = unpack(data, *rest)
        done += data.nbytes
        tally.reach(_METADATA_READ + (_UNPACKED - _METADATA_READ) * done // size)
        return unpacked

    return counted


def _convert(gguf: Path, folder: Path) -> None:
    import gguf as library
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tally = _Tally(folder / _TALLY)
    library.GGUFReader = cache(library.GGUFReader)  # transformers else reads the whole vocabulary three times
    library.dequantize = _counted(library.dequantize, gguf.stat().st_size, tally)
    tally.reach(_BEGUN)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    tally.reach(_TOKENIZER_READ)
    model, info = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
        local_files_only=True,
        output_loading_info=True,
    )
    if info["missing_keys"]:  # transformers fills them with random numbers
        raise ValueError(f"it lacks {min(info['missing_keys'])}")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    try:
        _convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as reason:  # told by `_work`; on a damaged file the reader fails in a dozen ways
        sys.exit(" ".join(str(reason).split()) or type(reason).__name__)
