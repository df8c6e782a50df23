"""Which way of running a model fits this computer: decided before a byte is downloaded, without importing torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from augmentlm import catalog
from augmentlm.catalog import Adapter, Model
from augmentlm.errors import DoesNotFitError, InputError, MissingExtraError
from augmentlm.hardware import Gpu, Machine, inspect
from augmentlm.weights.disk import read_json

__all__ = ["Fit", "Gpu", "Machine", "Plan", "bytes_needed", "inspect", "plan", "variants"]

EngineName = Literal["llamacpp", "transformers", "batch"]
Purpose = Literal["person", "batch"]
Device = Literal["cpu", "cuda"]
Base = tuple[str, str, str, str]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

BITS = {"fp32": 32.0, "bf16": 16.0, "fp16": 16.0, "int8": 8.0, "nf4": 4.127}
"""Bits a quantized parameter takes. NF4 with double quantization: 4 for the value, 8/64 for the scale of a block of
64, 32/(64·256) for the scale of 256 scales (QLoRA, arXiv 2305.14314, section 3)."""

WORKING_CONTEXT = 8192
"""Tokens of one row that memory is set aside for: the longest input `tasks` lets through, and its answer."""

BATCH_TOKENS = 4 * WORKING_CONTEXT
"""Tokens of all rows together that the batch engine has memory set aside for: 64 rows of 512. Where there is less, it
works on fewer rows at once."""

LLAMACPP_SLOTS = 4
"""Rows that llama.cpp works on at once; it sets their memory aside when it starts."""

OVERHEAD = {"cpu": 600_000_000, "cuda": 1_200_000_000}
"""Bytes beside weights and cache. CPU: the interpreter, libraries and work buffers. CUDA: the driver's context, the
matrix library's workspace, and the activations of a prompt of `WORKING_CONTEXT` tokens in a 7B model."""

RESERVE = {"cpu": 1_500_000_000, "cuda": 600_000_000}
"""Bytes left to others: the system and a browser in RAM, a desktop on the GPU."""

BF16_CAPABILITY = 8.0
"""CUDA compute capability from which bf16 is native (Ampere); older cards get fp16."""

INT8_CAPABILITY = 7.5
"""CUDA compute capability from which bitsandbytes has INT8 matrix products (Turing)."""

CARD_SIZES_GB = (4, 6, 8, 12, 16, 24, 32, 48, 80)
GB = 1024**3
"""Memory is sold in binary gigabytes: an 8 GB card has 8 · 2³⁰ bytes."""


@dataclass(frozen=True)
class Fit:
    """One way to run a model, and whether this machine can. `reason` is a sentence for a person."""

    quantization: str
    engine: EngineName
    device: Device
    bytes_needed: int
    fits: bool
    reason: str


@dataclass(frozen=True)
class Plan:
    """The way a model will be run here."""

    model: Model
    engine: EngineName
    quantization: str
    device: Device
    bytes_needed: int
    reason: str

    @property
    def base(self) -> Base:
        """What has to be loaded: plans with the same share it. A pulled adapter is loaded with a base of its own,
        because llama.cpp takes adapters only when it starts."""
        weights = self.model.artifact.name
        if self.model.family == "pulled" and self.model.adapter:
            weights += f" {self.model.adapter.folder}"
        return weights, self.engine, self.quantization, self.device


def plan(
    model: Model,
    machine: Machine,
    *,
    engine: str | None = None,
    quantization: str | None = None,
    purpose: Purpose = "person",
) -> Plan:
    """The best way to run a model on a machine, or the one asked for.

    `purpose` is a person who waits for one text, or a batch of many rows: on a CPU these have different best engines.
    Judged by what the machine has, not by what is free this moment: models that are loaded now can be unloaded.
    Raises `InputError` when the request contradicts itself or the model, `DoesNotFitError` naming what would fit, and
    `MissingExtraError` when the engine's packages are not installed.
    """
    ways = _asked_for(model, machine, engine, quantization, purpose)
    best = next((way for way in ways if way.fits), None)
    if best is None:
        raise _does_not_fit(model, machine, ways)
    _check_installed(model, best)
    return Plan(model, best.engine, best.quantization, best.device, best.bytes_needed, best.reason)


def variants(model: Model, machine: Machine, purpose: Purpose = "person") -> list[Fit]:
    """Every way to run a model, the best for the purpose first. None for a model that doesn't write text."""
    if model.chat is None:
        return []
    found: list[Fit] = []
    if model.artifact.format == "gguf":
        found.append(_fit(model, machine, "llamacpp", gguf_quantization(model), "cpu"))
    sixteen = "fp16" if machine.gpu and machine.gpu.compute_capability < BF16_CAPABILITY else "bf16"
    found += [_fit(model, machine, "transformers", name, "cuda") for name in (sixteen, "int8", "nf4")]
    # INT8 of bitsandbytes is left out on a CPU: there it is slower than bf16 (it converts at every call).
    whole = "bf16" if machine.has_bf16 else "fp32"
    found += [_fit(model, machine, "transformers", name, "cpu") for name in (whole, "nf4")]
    if machine.has_int8:
        place = next(place for place, way in enumerate(found) if way.device == "cpu") if purpose == "batch" else None
        found.insert(len(found) if place is None else place, _fit(model, machine, "batch", "int8", "cpu"))
    return found


def bytes_needed(model: Model, engine: EngineName, quantization: str, device: Device, *, width: int = 2) -> int:
    """Memory for the weights, the attention cache of a working context, and a fixed overhead.

    Adapters lie beside the one copy of their base's weights, and are small enough for the overhead. The batch engine
    merges them instead: its layers are counted as when every model on the base has been used, because the base grows
    with them and is counted when it is loaded.

    `width` is the bytes of a number that is not quantized with torch: 4 on a CPU that has to compute in fp32.
    """
    shape = model.shape
    numbers_of_row = WORKING_CONTEXT * shape.layers * shape.kv_heads * shape.head_size * 2  # keys and values
    if engine == "llamacpp":
        return (model.artifact.bytes or 0) + LLAMACPP_SLOTS * numbers_of_row * 2 + OVERHEAD[device]
    if engine == "batch":  # the output layer is quantized as well, the embedding is not
        numbers = BATCH_TOKENS * shape.layers * shape.kv_heads * shape.head_size * 2
        layer = (shape.parameters - shape.embedding_parameters) // shape.layers
        merged = (layers_in_batch(model) - shape.layers) * layer
        return shape.parameters + merged + 2 * (shape.embedding_parameters + numbers) + OVERHEAD[device]
    # A GGUF file keeps its output layer apart from the embedding, and so does the folder converted from it.
    copies = 2 if model.artifact.format == "gguf" else 1
    quantized = (shape.parameters - shape.embedding_parameters) * BITS[quantization] / 8
    return int(quantized) + width * (copies * shape.embedding_parameters + numbers_of_row) + OVERHEAD[device]


def layers_in_batch(model: Model) -> int:
    """Layers that the batch engine holds when every model on a base has been used: one for each adapter that changes
    it, and one for all that leave it as it is. A pulled adapter has the base to itself."""
    those = [model] if model.family == "pulled" else catalog.models().values()
    every = set(range(model.shape.layers))
    fellows = [each for each in those if each.artifact == model.artifact]
    changed = [_changed_layers(each.adapter, every) if each.adapter else set() for each in fellows]
    return sum(sum(layer in each for each in changed) + any(layer not in each for each in changed) for layer in every)


def _changed_layers(adapter: Adapter, every: set[int]) -> set[int]:
    """What its configuration names; all when it names none."""
    named = read_json(adapter.path / "adapter_config.json").get("layers_to_transform")
    return every.intersection(named) if isinstance(named, list) else every


def gguf_quantization(model: Model) -> str:
    """`Q4_K_M` from the name of a GGUF file."""
    match = re.search(r"(i?q\d\w*|b?f16|f32)\.gguf$", model.artifact.file or "", re.IGNORECASE)
    return match.group(1).upper() if match else "GGUF"


def _fit(model: Model, machine: Machine, engine: EngineName, quantization: str, device: Device) -> Fit:
    width = 4 if device == "cpu" and not machine.has_bf16 else 2
    needed = bytes_needed(model, engine, quantization, device, width=width)
    name = quantization.upper()
    if device == "cuda":
        gpu = machine.gpu
        place, total = "GPU", gpu.total_bytes if gpu else 0
        if gpu is None:
            return Fit(
                quantization, engine, device, needed, False, f"{name} needs {_card_for(needed)}; there is no GPU"
            )
        if quantization == "int8" and gpu.compute_capability < INT8_CAPABILITY:
            return Fit(quantization, engine, device, needed, False, f"{gpu.name} is too old for INT8")
    else:
        place, total = "RAM", machine.ram_total
    if needed > total - RESERVE[device]:
        have = f"{total / GB:.0f} GB {place}"
        return Fit(quantization, engine, device, needed, False, f"needs {needed / GB:.1f} GB in {name}, not in {have}")
    if device == "cuda":
        reason = f"fits {total / GB:.0f} GB GPU in {name}: {needed / GB:.1f} GB"
    elif engine == "llamacpp":
        reason = f"runs on the CPU with llama.cpp in {name}: {needed / GB:.1f} GB of {total / GB:.0f} GB RAM"
        reason += "; this build of llama.cpp leaves the GPU alone" if machine.gpu else ""
    elif engine == "batch":
        reason = f"runs many rows at once on the CPU in {name}: {needed / GB:.1f} GB of {total / GB:.0f} GB RAM"
    else:
        reason = f"runs on the CPU in {name}: {needed / GB:.1f} GB of {total / GB:.0f} GB RAM"
    return Fit(quantization, engine, device, needed, True, reason)


def _asked_for(
    model: Model, machine: Machine, engine: str | None, quantization: str | None, purpose: Purpose
) -> list[Fit]:
    """The variants that agree with the request; at least one, or an `InputError`."""
    ways = variants(model, machine, purpose)
    if not ways:
        raise InputError(f"{model.title} doesn't write text.", hint="`augmentlm models` lists the ones that do.")
    if engine is not None and engine not in ENGINES:
        raise InputError(f"There is no engine called {engine!r}.", hint=f"Choose {' or '.join(ENGINES)}.")
    if engine == "llamacpp" and model.artifact.format != "gguf":
        raise InputError(f"{model.title} is not a GGUF file, so llama.cpp can't run it.", hint="Use transformers.")
    if engine == "batch" and not machine.has_int8:
        raise InputError(
            "The batch engine needs a CPU that multiplies in INT8 (AVX2 or VNNI).", hint="Use another engine."
        )
    if engine is not None:
        ways = [way for way in ways if way.engine == engine]
    elif any(way.engine == "batch" for way in ways) and _missing(model, "batch", "int8"):
        ways = [way for way in ways if way.engine != "batch"]  # a wish is not needed to run without the extra
    if quantization is None:
        return ways
    chosen = [way for way in ways if way.quantization.lower() == quantization.lower()]
    if not chosen:
        names = list(dict.fromkeys(way.quantization for way in ways))
        through = f" with {engine}" if engine else ""
        raise InputError(
            f"{model.title} doesn't run in {quantization}{through} here.", hint=f"Choose {' or '.join(names)}."
        )
    return chosen


def _does_not_fit(model: Model, machine: Machine, ways: list[Fit]) -> DoesNotFitError:
    smallest = min(ways, key=lambda way: way.bytes_needed)
    kind = " of GPU memory" if all(way.device == "cuda" for way in ways) else ""
    has = f"{machine.ram_total / GB:.0f} GB of RAM and "
    has += _card(round(machine.gpu.total_bytes / GB)) if machine.gpu else "no GPU"
    instead = _instead(model, machine)
    return DoesNotFitError(
        f"{model.title} needs {smallest.bytes_needed / GB:.1f} GB{kind} in {smallest.quantization.upper()}; "
        f"this machine has {has}.",
        hint=f"{f'Choose {instead}, which fits. ' if instead else ''}This one needs {_machines(ways)}.",
    )


def _instead(model: Model, machine: Machine) -> str | None:
    """What fits: another form of the same model, else the largest model that does one of its tasks."""
    for way in variants(model, machine):
        if way.fits:
            return f"{way.quantization} with {way.engine}"
    able = [other for task in model.tasks for other in catalog.models_for(task)]
    fitting = [other for other in able if any(way.fits for way in variants(other, machine))]
    return max(fitting, key=lambda other: other.shape.parameters).name if fitting else None


def _machines(ways: list[Fit]) -> str:
    """The smallest machines that hold one of these: `an 8 GB GPU or 10 GB of RAM`."""
    found = []
    on_gpu = [way.bytes_needed for way in ways if way.device == "cuda"]
    on_cpu = [way.bytes_needed for way in ways if way.device == "cpu"]
    if on_gpu:
        found.append(_card_for(min(on_gpu)))
    if on_cpu:
        found.append(f"{-(-(min(on_cpu) + RESERVE['cpu']) // GB)} GB of RAM")
    return " or ".join(found)


def _card_for(needed: int) -> str:
    size = next((size for size in CARD_SIZES_GB if size * GB - RESERVE["cuda"] >= needed), None)
    return _card(size) if size else f"a GPU larger than {CARD_SIZES_GB[-1]} GB"


def _card(size: int) -> str:
    return f"{'an' if str(size).startswith('8') else 'a'} {size} GB GPU"


def _check_installed(model: Model, way: Fit) -> None:
    missing = _missing(model, way.engine, way.quantization)
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        command = 'pip install -e "."' if way.engine == "llamacpp" else 'pip install -e ".[gpu]"'
        raise MissingExtraError(
            f"{model.title} needs {', '.join(missing)}, which {verb} not installed.", hint=f"Run `{command}`."
        )


def _missing(model: Model, engine: EngineName, quantization: str) -> list[str]:
    packages = ["xllamacpp"] if engine == "llamacpp" else ["torch", "transformers", "accelerate", "safetensors"]
    if engine == "transformers" and quantization in ("nf4", "int8"):
        packages.append("bitsandbytes")
    if engine == "transformers" and model.adapter:
        packages.append("peft")
    return [name for name in packages if find_spec(name) is None]
