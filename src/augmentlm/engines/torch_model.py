"""A folder of safetensors as a torch model: its quantization, its device and the adapters on it.

Importing this module imports torch.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging

from augmentlm.errors import EngineError
from augmentlm.hardware import cores, has_bf16, memory

_AGAIN = "Remove the folder and download it again."
_DAMAGE = (OSError, ValueError, RuntimeError, MemoryError, KeyError, TypeError, AttributeError, SafetensorError)
"""What the libraries raise for files that are incomplete, torn or of another kind, or that find no room."""


def load_model(folder: Path, quantization: str, device: str) -> Any:
    """The model of a folder, ready to generate. Raises `EngineError` for files that are missing or damaged, and when
    memory runs out."""
    for name in ("config.json", "*.safetensors"):
        if not any(folder.glob(name)):
            raise EngineError(f"There is no {name} in {folder}.", hint=_AGAIN)
    if device == "cpu":
        torch.set_num_threads(min(torch.get_num_threads(), cores()))
    try:
        with _quiet():
            model, info = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=compute_type(quantization, device),
                quantization_config=quantization_config(quantization, device),
                device_map={"": device},
                attn_implementation="sdpa",
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except _DAMAGE as error:
        if is_out_of_memory(error):
            raise out_of_memory(device) from error
        raise EngineError(f"The model in {folder} can't be loaded: {one_line(error)}.", hint=_AGAIN) from error
    if info["missing_keys"]:  # filled with random numbers
        raise EngineError(f"The weights in {folder} lack {min(info['missing_keys'])}.", hint=_AGAIN)
    return model.eval()


def compute_type(quantization: str, device: str) -> torch.dtype:
    """The type of what is not quantized, and of all computing: that of the quantization when it names one, else bf16
    where the device has it, fp16 on an older GPU and fp32 on an older CPU."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if quantization in named:
        return named[quantization]
    if device == "cpu":
        return torch.bfloat16 if has_bf16() else torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def quantization_config(quantization: str, device: str) -> BitsAndBytesConfig | None:
    """What bitsandbytes is to do. Raises `EngineError` for a quantization that is none of torch's."""
    if quantization == "nf4":
        # The library's own defaults are FP4 and computing in fp32.
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute_type(quantization, device),
        )
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    if quantization not in ("fp32", "bf16", "fp16"):
        raise EngineError(f"torch can't run a model in {quantization}.", hint="Choose bf16, fp16, fp32, int8 or nf4.")
    return None


def add_adapters(model: Any, folders: Mapping[str, Path]) -> Any:
    """The model with the LoRA of every folder on it, and none applied."""
    from peft import PeftConfig, PeftModel

    wrapped: Any = None
    for name, folder in folders.items():
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            if not (folder / file).is_file():  # else looked for on the hub
                raise EngineError(f"There is no {file} in {folder}.", hint="Get the adapter again.")
        try:
            with _quiet():
                if wrapped is None:
                    config = PeftConfig.from_pretrained(folder)
                    wrapped = PeftModel(model, config, adapter_name=name, autocast_adapter_dtype=False)
                report = wrapped.load_adapter(folder, adapter_name=name, autocast_adapter_dtype=False)
        except _DAMAGE as error:
            raise EngineError(
                f"The adapter in {folder} can't be loaded: {one_line(error)}.", hint="Get the adapter again."
            ) from error
        missing = [key for key in report.missing_keys if f".{name}." in key]  # those of others are missing too
        if strange := [*missing, *report.unexpected_keys]:  # left as they were, or left out
            raise EngineError(f"The adapter in {folder} doesn't fit the model: {strange[0]}.", hint="Get it again.")
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:  # trained in fp32; in the model's own type it costs no conversion at every step
            parameter.data = parameter.data.to(model.dtype)
    wrapped.base_model.disable_adapter_layers()
    return wrapped.eval()


def choose_device(device: str) -> str:
    """The CPU, or of the GPUs the one with most free memory."""
    if device == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise EngineError(
            "torch can't use the GPU.",
            hint="Install a CUDA build of torch, or set CUDA_VISIBLE_DEVICES to nothing to run on the CPU.",
        )
    return f"cuda:{max(range(torch.cuda.device_count()), key=lambda index: torch.cuda.mem_get_info(index)[0])}"


def free_bytes(device: str) -> int:
    """Memory that tensors could take now, with what torch keeps for later."""
    if device == "cpu":
        return memory()[1]
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def release() -> None:
    """Give memory of dropped tensors back to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether torch found no room. On a CPU it has no class of its own for that; a file that can't be mapped has."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def out_of_memory(device: str) -> EngineError:
    place, others = ("memory", "") if device == "cpu" else ("GPU memory", " that use the GPU")
    return EngineError(
        f"The machine ran out of {place}.",
        hint=f"Close other programs{others}, or choose a smaller quantization.",
        retryable=True,
    )


def stopped_working(error: RuntimeError, device: str) -> EngineError:
    """What torch ran into in the middle of a text, as it is told to a person."""
    if is_out_of_memory(error):
        return out_of_memory(device)
    return EngineError(f"The model stopped working: {one_line(error)}.", retryable=True)


def one_line(error: BaseException) -> str:
    """The beginning of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and reports of transformers meanwhile: what matters of them is raised as an error here."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
