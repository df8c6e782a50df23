"""PEFT folders as GGUF files: names, shapes, numbers, the cache, and what is refused."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from safetensors.numpy import save_file

from augmentlm.engines.adapters import as_gguf
from augmentlm.errors import EngineError, WeightsError

Q_PROJ = "base_model.model.model.layers.22.self_attn.q_proj"
CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 32, "use_dora": False, "modules_to_save": None}


def tensors(dtype=np.float16) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        f"{Q_PROJ}.lora_A.weight": random.normal(size=(4, 896)).astype(dtype),
        f"{Q_PROJ}.lora_B.weight": random.normal(size=(896, 4)).astype(dtype),
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An adapter on one of the upper layers, and a cache of the test's own."""
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
    made = tmp_path / "adapter"
    made.mkdir()
    write(made)
    return made


def write(folder, values=None, **config) -> None:
    save_file(values or tensors(), folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | config), encoding="utf-8")


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_tensors_keep_their_numbers_under_the_names_of_llamacpp(folder, dtype):
    from gguf import GGUFReader

    write(folder, tensors(dtype))
    found = {tensor.name: tensor.data for tensor in GGUFReader(as_gguf(folder)).tensors}
    assert set(found) == {"blk.22.attn_q.weight.lora_a", "blk.22.attn_q.weight.lora_b"}
    for name, half in (("blk.22.attn_q.weight.lora_a", "A"), ("blk.22.attn_q.weight.lora_b", "B")):
        expected = tensors(dtype)[f"{Q_PROJ}.lora_{half}.weight"]
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], expected)


def test_the_file_says_what_it_is_and_how_strong(folder):
    from gguf import GGUFReader

    fields = GGUFReader(as_gguf(folder)).fields
    said = {
        name: fields[name].contents()
        for name in ("general.type", "general.architecture", "adapter.type", "adapter.lora.alpha")
    }
    assert said == {
        "general.type": "adapter",
        "general.architecture": "qwen2",
        "adapter.type": "lora",
        "adapter.lora.alpha": 32.0,
    }


def test_it_is_converted_once_and_again_when_the_weights_or_their_strength_change(folder):
    first = as_gguf(folder)
    stamp = first.stat().st_mtime_ns
    assert as_gguf(folder) == first and first.stat().st_mtime_ns == stamp
    write(folder, lora_alpha=64)
    stronger = as_gguf(folder)
    write(folder, tensors(np.float32))
    assert len({first, stronger, as_gguf(folder)}) == 3


def test_many_at_once_get_one_whole_file_and_leave_nothing_else(folder):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(as_gguf(folder))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 8 and len(set(paths)) == 1
    assert list(paths[0].parent.iterdir()) == [paths[0]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"use_rslora": True}, "use_rslora"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"peft_type": "IA3"}, "no plain LoRA"),
    ],
)
def test_what_llamacpp_can_not_apply_is_named(folder, change, words):
    write(folder, **change)
    with pytest.raises(EngineError, match=words):
        as_gguf(folder)


def test_a_tensor_that_would_be_left_out_is_refused(folder):
    odd = "base_model.model.model.layers.22.self_attn.q_proj.lora_magnitude_vector"
    write(folder, tensors() | {odd: np.ones(4, np.float16)})
    with pytest.raises(EngineError, match="magnitude"):
        as_gguf(folder)


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_incomplete_folder_says_which_file_is_missing(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(EngineError, match=f"There is no {missing} in"):
        as_gguf(folder)


def test_a_damaged_configuration_is_refused_in_a_sentence(folder):
    (folder / "adapter_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(EngineError, match=r"adapter_config\.json"):
        as_gguf(folder)


def test_damaged_and_bf16_files_are_refused_in_a_sentence(folder):
    file = folder / "adapter_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(EngineError, match="whole file in fp16 or fp32"):
        as_gguf(folder)
    header = json.dumps({f"{Q_PROJ}.lora_A.weight": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}})
    file.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(8))
    with pytest.raises(EngineError, match="whole file in fp16 or fp32"):
        as_gguf(folder)


def test_a_cache_that_can_not_be_written_is_named(folder, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(WeightsError, match="home"):
        as_gguf(folder)


def test_torch_is_not_needed(folder):
    script = (
        "import sys; from pathlib import Path; from augmentlm.engines.adapters import as_gguf; "
        "as_gguf(Path(sys.argv[1])); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
