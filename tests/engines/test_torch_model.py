"""Folders of weights on torch: quantization, device, adapters, and what is wrong with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from augmentlm.engines import torch_model
from augmentlm.engines.torch_model import add_adapters, choose_device, compute_type, load_model, quantization_config
from augmentlm.errors import EngineError
from tiny_models import write_adapter

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def capability(monkeypatch):
    """Pretend to have a GPU of a compute capability."""
    return lambda *value: monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: value)


def test_nf4_has_double_quantization_and_computes_in_bf16_on_a_gpu(capability):
    capability(8, 6)
    config = quantization_config("nf4", "cuda:0")
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4" and config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype == compute_type("nf4", "cuda:0") == torch.bfloat16


def test_a_gpu_before_ampere_computes_in_fp16(capability):
    capability(7, 5)
    assert quantization_config("nf4", "cuda:0").bnb_4bit_compute_dtype == torch.float16
    assert compute_type("int8", "cuda:0") == torch.float16


def test_int8_is_int8_and_16_bits_are_not_quantized(capability):
    capability(9, 0)
    config = quantization_config("int8", "cuda:0")
    assert config.load_in_8bit and not config.load_in_4bit
    assert quantization_config("bf16", "cuda:0") is quantization_config("fp16", "cuda:0") is None
    assert (compute_type("bf16", "cuda:0"), compute_type("fp16", "cuda:0")) == (torch.bfloat16, torch.float16)


@pytest.mark.parametrize(("has", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_nf4_on_a_cpu_computes_in_bf16_only_where_the_cpu_can(monkeypatch, has, dtype):
    monkeypatch.setattr(torch_model, "has_bf16", lambda: has)
    assert quantization_config("nf4", "cpu").bnb_4bit_compute_dtype == compute_type("nf4", "cpu") == dtype
    assert (compute_type("fp32", "cpu"), compute_type("bf16", "cpu")) == (torch.float32, torch.bfloat16)


def test_the_gpu_with_most_free_memory_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ((4, 9, 6)[index], 12))
    assert choose_device("cuda") == "cuda:1"
    assert choose_device("cpu") == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_for_torch_the_plan_is_refused_with_a_hint():
    with pytest.raises(EngineError, match="torch can't use the GPU") as caught:
        choose_device("cuda")
    assert "CUDA_VISIBLE_DEVICES" in caught.value.hint


@pytest.mark.parametrize(
    ("quantization", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_a_model_is_loaded_in_the_type_asked_for_without_a_word(tiny_base, capfd, quantization, dtype):
    model = load_model(tiny_base, quantization, "cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert not model.training
    assert capfd.readouterr() == ("", "")


def test_nf4_quantizes_the_layers_and_leaves_the_embedding(tiny_base):
    model = load_model(tiny_base, "nf4", "cpu")
    layer = model.model.layers[0].mlp.up_proj
    assert isinstance(layer, Linear4bit) and layer.quant_state.nested
    assert model.get_input_embeddings().weight.dtype == model.lm_head.weight.dtype == compute_type("nf4", "cpu")


def copy(base: Path, folder: Path) -> Path:
    return Path(shutil.copytree(base, folder / "copy"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_missing_is_named(tiny_base, tmp_path, name):
    folder = copy(tiny_base, tmp_path)
    (folder / name).unlink()
    with pytest.raises(EngineError, match=r"There is no (config\.json|\*\.safetensors) in") as caught:
        load_model(folder, "fp32", "cpu")
    assert "download it again" in caught.value.hint


def test_weights_for_torch_pickles_are_never_opened(tiny_base, tmp_path):
    folder = copy(tiny_base, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EngineError, match="no \\*\\.safetensors"):
        load_model(folder, "fp32", "cpu")


def torn(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-5000])


def garbled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 20_000)


def unreadable(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def unknown(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "qwen99"}')


def shrunk(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))


@pytest.mark.parametrize("damage", [torn, garbled, unreadable, unknown, shrunk])
def test_a_damaged_folder_is_one_clear_error(tiny_base, tmp_path, damage, capfd):
    folder = copy(tiny_base, tmp_path)
    damage(folder)
    with pytest.raises(EngineError, match="can't be loaded: ") as caught:
        load_model(folder, "fp32", "cpu")
    assert "\n" not in str(caught.value) and len(caught.value.message) < 600
    assert "download it again" in caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_weights_that_lack_a_layer_are_refused_instead_of_filled_with_noise(tiny_base, tmp_path):
    folder = copy(tiny_base, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    layers = {"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3}
    (folder / "config.json").write_text(json.dumps({**config, **layers}))
    with pytest.raises(EngineError, match=r"lack model\.layers\.2\."):
        load_model(folder, "fp32", "cpu")


def test_a_quantization_that_torch_has_not_is_refused(tiny_base):
    with pytest.raises(EngineError, match="can't run a model in Q4_K_M"):
        load_model(tiny_base, "Q4_K_M", "cpu")


# ---- adapters --------------------------------------------------------------------------------------------------------


@pytest.fixture
def adapter(tiny_base, tmp_path) -> Path:
    return write_adapter(tiny_base, tmp_path / "adapter", seed=1)


def test_adapters_take_the_type_of_the_model_and_none_is_applied(tiny_base, adapter, tmp_path, capfd):
    other = write_adapter(tiny_base, tmp_path / "other", seed=2, modules=("o_proj",))
    ids = torch.arange(9)[None]
    model = load_model(tiny_base, "bf16", "cpu")
    with torch.inference_mode():
        bare = model(input_ids=ids).logits
    capfd.readouterr()
    wrapped = add_adapters(model, {"a": adapter, "b": other})
    assert capfd.readouterr() == ("", "")
    types = {parameter.dtype for name, parameter in wrapped.named_parameters() if "lora_" in name}
    assert types == {torch.bfloat16}
    assert not any(parameter.requires_grad for name, parameter in wrapped.named_parameters() if "lora_" in name)
    with torch.inference_mode():
        assert torch.equal(wrapped(input_ids=ids).logits, bare)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_that_is_not_whole_is_refused(tiny_base, adapter, name):
    (adapter / name).unlink()
    with pytest.raises(EngineError, match=f"There is no {name}"):
        add_adapters(load_model(tiny_base, "fp32", "cpu"), {"a": adapter})


def nonsense(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(b"nonsense" * 100)


def no_config(adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text("{")


def other_rank(adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "r": 8}))


def other_layers(adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["no_such_layer"]}))


def more_layers(adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["q_proj", "k_proj"]}))


@pytest.mark.parametrize("damage", [nonsense, no_config, other_rank, other_layers, more_layers])
def test_an_adapter_that_is_damaged_or_of_another_model_is_refused(tiny_base, adapter, damage):
    damage(adapter)
    with pytest.raises(EngineError, match=r"The adapter in .* (can't be loaded|doesn't fit)") as caught:
        add_adapters(load_model(tiny_base, "fp32", "cpu"), {"a": adapter})
    assert "\n" not in str(caught.value)
