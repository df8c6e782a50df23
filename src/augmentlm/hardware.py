"""What this computer has. The GPUs are asked for through the driver's own `nvidia-smi`: torch is never imported."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from augmentlm import weights

FEATURES = frozenset(
    {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "asimd", "bf16"}
)
"""The instruction sets that decide how fast a model runs on a CPU."""

BF16_FEATURES = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Those that multiply bf16 in hardware. Without one of them bf16 is several times slower than fp32."""


ZEROGPU_BYTES = 70_000_000_000
"""Of the card's memory, what a Space on ZeroGPU gets."""

VNNI_FEATURES = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""Those that multiply int8 and add up in 32 bits."""

INT8_FEATURES = VNNI_FEATURES | {"avx2"}
"""Those that multiply int8 several times faster than fp32. AVX2 alone adds pairs of products in 16 bits."""


@dataclass(frozen=True)
class Gpu:
    name: str
    total_bytes: int
    free_bytes: int
    compute_capability: float


@dataclass(frozen=True)
class Machine:
    """What there is, in bytes; in a container, what the container may use."""

    ram_total: int
    ram_available: int
    disk_free: int
    cpu_cores: int
    cpu_features: frozenset[str]
    gpus: tuple[Gpu, ...] = ()

    @property
    def gpu(self) -> Gpu | None:
        """The largest GPU: a model runs on one."""
        return max(self.gpus, key=lambda gpu: gpu.total_bytes, default=None)

    @property
    def has_bf16(self) -> bool:
        return bool(self.cpu_features & BF16_FEATURES)

    @property
    def has_int8(self) -> bool:
        return bool(self.cpu_features & INT8_FEATURES)


def inspect() -> Machine:
    """This computer. Takes milliseconds without an NVIDIA driver, up to a second with one."""
    total, available = memory()
    folder = weights.home()
    while not folder.exists():
        folder = folder.parent
    return Machine(
        ram_total=total,
        ram_available=available,
        disk_free=shutil.disk_usage(folder).free,
        cpu_cores=cores(),
        cpu_features=_features(),
        gpus=_gpus(),
    )


def memory() -> tuple[int, int]:
    """Bytes of RAM this process may use in all, and those free or freeable now."""
    here = psutil.virtual_memory()
    limit = _control_group("memory.max")
    if limit is None or limit >= here.total:
        return here.total, here.available
    used = (_control_group("memory.current") or 0) - _reclaimable()
    return limit, max(0, min(here.available, limit - used))


def has_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware, without asking for all that `inspect` does."""
    return bool(_features() & BF16_FEATURES)


def has_vnni() -> bool:
    """Whether this CPU adds up products of int8 in 32 bits."""
    return bool(_features() & VNNI_FEATURES)


def read_gpus(listing: str) -> tuple[Gpu, ...]:
    """GPUs from `nvidia-smi`'s CSV: name, memory total and free in MiB, compute capability. Odd lines are skipped."""
    found = []
    for row in csv.reader(io.StringIO(listing), skipinitialspace=True):
        try:
            name, total, free, capability = row
            found.append(Gpu(name, int(total) * 1024**2, int(free) * 1024**2, float(capability)))
        except ValueError:  # a card in trouble answers "[N/A]" or "[GPU is lost]": it can't be used either
            continue
    return tuple(found)


def on_zerogpu() -> bool:
    """Whether this is a Hugging Face Space on ZeroGPU: a shared card that is there only inside of some calls."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def _gpus() -> tuple[Gpu, ...]:
    if on_zerogpu():  # no driver can be asked before a call has the card
        return (Gpu("ZeroGPU", ZEROGPU_BYTES, ZEROGPU_BYTES, 9.0),)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return ()
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    query = [command, "--query-gpu=name,memory.total,memory.free,compute_cap", "--format=csv,noheader,nounits"]
    if visible:
        query.append(f"--id={visible.strip()}")
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # a driver that doesn't answer can't run a model
        return ()
    return read_gpus(answer.stdout)


def cores() -> int:
    """Cores this process may use: its affinity, and in a container its quota of CPU time."""
    process = psutil.Process()
    cores = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # not in a container, or "max": no quota
        return cores


def _features() -> frozenset[str]:
    """Instruction sets that matter for speed, where the system lists them (Linux)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return FEATURES & frozenset(line.group(1).split()) if line else frozenset()


def _control_group(name: str) -> int | None:
    """A number of this container's control group; None where there is none or it says "max"."""
    try:
        return int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _reclaimable() -> int:
    """Bytes of file cache that a control group counts as used and gives back when asked."""
    try:
        text = Path("/sys/fs/cgroup/memory.stat").read_text(encoding="ascii")
    except OSError:
        return 0
    match = re.search(r"^inactive_file (\d+)$", text, re.MULTILINE)
    return int(match.group(1)) if match else 0
