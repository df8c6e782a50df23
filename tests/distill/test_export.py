import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from augmentlm import catalog
from augmentlm.distill.export import base_repository, export_adapter, merge
from augmentlm.errors import InputError

BASE = catalog.model("qwen2.5-coder-0.5b-instruct")


@pytest.fixture
def trained(tiny_base, tmp_path):
    """An adapter as PEFT saves it, with matrices that change what the model says."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], layers_to_transform=[1], init_lora_weights=False)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), config)
    model.save_pretrained(tmp_path / "trained")
    return tmp_path / "trained"


def test_an_exported_adapter_is_fp16_and_names_the_base_by_its_hub_id(trained, tiny_base, tmp_path):
    folder = export_adapter(trained, BASE, tmp_path / "card")
    before, after = load_file(trained / "adapter_model.safetensors"), load_file(folder / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    assert all(tensor.dtype == np.float16 for tensor in after.values())
    assert all(np.allclose(before[name], after[name], atol=1e-3) for name in before)
    text = (folder / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == "Qwen/Qwen2.5-Coder-0.5B-Instruct"
    assert str(tiny_base) in (trained / "adapter_config.json").read_text() and str(tmp_path) not in text
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_exporting_again_writes_the_same_bytes(trained, tmp_path):
    one, two = export_adapter(trained, BASE, tmp_path / "one"), export_adapter(trained, BASE, tmp_path / "two")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_at_half_strength_half_of_the_change_to_the_base_is_kept(trained, tiny_base, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    def weight(adapter):
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), adapter)
        return model.merge_and_unload().model.layers[1].self_attn.q_proj.weight.detach()

    base = AutoModelForCausalLM.from_pretrained(tiny_base).model.layers[1].self_attn.q_proj.weight.detach()
    whole = weight(export_adapter(trained, BASE, tmp_path / "whole")) - base
    half = weight(export_adapter(trained, BASE, tmp_path / "half", strength=0.5)) - base
    assert whole.abs().max() > 0.01 and torch.allclose(2 * half, whole, atol=1e-4)


def test_of_an_adapter_that_was_taught_on_a_part_of_the_way_can_be_kept_or_more_than_all(trained, tmp_path):
    def numbers(folder):
        return load_file(folder / "adapter_model.safetensors")

    begun = export_adapter(trained, BASE, tmp_path / "begun")
    taught = {name: tensor + 1 for name, tensor in numbers(trained).items()}
    save_file(taught, trained / "adapter_model.safetensors")
    between = numbers(export_adapter(trained, BASE, tmp_path / "between", 0.25, begun))
    beyond = numbers(export_adapter(trained, BASE, tmp_path / "beyond", 2.5, begun))
    for name, tensor in numbers(begun).items():
        np.testing.assert_allclose(between[name], tensor + 0.25, atol=2e-3)
        np.testing.assert_allclose(beyond[name], tensor + 2.5, atol=4e-3)


def test_an_adapter_that_was_not_begun_from_another_is_refused(trained, tmp_path):
    other = export_adapter(trained, BASE, tmp_path / "other")
    config = (other / "adapter_config.json").read_text()
    (other / "adapter_config.json").write_text(config.replace('"lora_alpha": 8', '"lora_alpha": 16'))
    with pytest.raises(InputError, match=r"not begun from .*alpha"):
        export_adapter(trained, BASE, tmp_path / "card", 0.5, other)
    (other / "adapter_config.json").write_text(config)
    save_file({"a": np.ones((2, 2), dtype=np.float16)}, other / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"not begun from .*matrices"):
        export_adapter(trained, BASE, tmp_path / "card", 0.5, other)
    assert not (tmp_path / "card").exists()


@pytest.mark.parametrize("strength", [0, -1, float("inf"), float("nan")])
def test_a_strength_that_is_none_is_refused(trained, tmp_path, strength):
    with pytest.raises(InputError, match="strength"):
        export_adapter(trained, BASE, tmp_path / "card", strength)


def test_a_merged_model_says_what_the_adapter_on_its_base_says(trained, tiny_base, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    ids = torch.tensor([[5, 6, 7, 8]])
    alone = base(input_ids=ids).logits.detach().clone()
    apart = PeftModel.from_pretrained(base, trained)(input_ids=ids).logits
    folder = merge(tiny_base, trained, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(input_ids=ids).logits
    assert torch.allclose(merged, apart, atol=0.02) and not torch.allclose(merged, alone, atol=0.02)
    assert (folder / "tokenizer.json").exists()


@pytest.mark.parametrize("kept", [0, 4, 100])
def test_a_torn_adapter_is_said(tmp_path, kept):
    save_file({"a": np.ones((8, 8), dtype=np.float32)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    whole = (tmp_path / "adapter_model.safetensors").read_bytes()
    (tmp_path / "adapter_model.safetensors").write_bytes(whole[:kept])
    with pytest.raises(InputError, match="can't be read"):
        export_adapter(tmp_path, BASE, tmp_path / "card")


def test_an_adapter_in_numbers_that_numpy_has_not_is_said(tmp_path):
    header = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="bfloat16"):
        export_adapter(tmp_path, BASE, tmp_path / "card")


def test_numbers_beyond_fp16_are_refused(trained, tmp_path):
    tensors = load_file(trained / "adapter_model.safetensors")
    name = min(tensors)
    tensors[name] = tensors[name] + 1e6
    save_file(tensors, trained / "adapter_model.safetensors")
    with pytest.raises(InputError, match="beyond fp16"):
        export_adapter(trained, BASE, tmp_path / "card")


@pytest.mark.parametrize(
    "work", [lambda folder: export_adapter(folder, BASE, folder / "out"), lambda folder: merge(folder, folder, folder)]
)
def test_a_folder_without_an_adapter_is_said(tmp_path, work):
    with pytest.raises(InputError, match="no adapter"):
        work(tmp_path)


def test_the_base_has_its_repository_of_safetensors():
    assert base_repository(BASE) == "Qwen/Qwen2.5-Coder-0.5B-Instruct"
