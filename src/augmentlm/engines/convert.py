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
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import augmentlm
from augmentlm import weights
from augmentlm.errors import EngineError
from augmentlm.weights.disk import check, explained, need, settle, sync

GROWTH = 4
"""At most this many times its size on disk: a weight of 4 bits becomes one of 16."""

log = logging.getLogger(__name__)

_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_LOOK_SECONDS = 0.1


def dequantise(gguf: Path, stop: threading.Event | None = None) -> Path:
    """The folder with the weights of a GGUF file in bf16 and its tokenizer, made now unless it is there.

    The work is done by a process of its own, which can be ended at any moment and gives its gigabytes back. When
    another one is converting the same file, this one waits and uses the result. Raises `EngineError` for a file that
    can't be read, `WeightsError` when the disk is full or forbidden, and `StoppedError` once `stop` is set.
    """
    stop = stop or threading.Event()
    folder = weights.home() / "converted" / gguf.stem
    if _is_whole(folder):
        return folder
    if not gguf.is_file():
        raise EngineError(f"There is no file {gguf}.", hint="Download the model again.")
    size = GROWTH * gguf.stat().st_size
    with explained(folder.parent, lambda: size):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, stop):
            if not _is_whole(folder):
                for leftover in (folder, *folder.parent.glob(f".{folder.name}.*.part")):
                    shutil.rmtree(leftover, ignore_errors=True)
                need(folder.parent, size)
                partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
                log.info("Converting %s for torch, once: it takes a minute or two.", gguf.name)
                try:
                    partial.mkdir()  # readable by whoever may read the downloaded weights
                    _work(gguf.absolute(), partial, stop)
                    for file in partial.iterdir():
                        sync(file)
                    settle(partial, folder)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
    return folder


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _FILES)


@contextmanager
def _alone(folder: Path, stop: threading.Event) -> Iterator[None]:
    """Nobody else converts the same file meanwhile. A process that dies gives its lock back."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    while True:
        check(stop)
        try:
            lock.acquire(timeout=_LOOK_SECONDS)
            break
        except Timeout:
            continue
    try:
        yield
    finally:
        lock.release()


def _work(gguf: Path, folder: Path, stop: threading.Event) -> None:
    """Let another process convert the file, and end it when `stop` is set."""
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


def _convert(gguf: Path, folder: Path) -> None:
    import gguf as library
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    library.GGUFReader = cache(library.GGUFReader)  # transformers else reads the whole vocabulary three times
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
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
