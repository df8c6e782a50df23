import json
import shutil

import numpy as np
import pytest

from augmentlm.cli import main
from tiny_models import write_adapter

OURS = "augmentlm-0.5b-refine"


@pytest.fixture
def trained(tiny_base, tmp_path):
    """What `train` leaves: the recipe and the adapter."""
    folder = tmp_path / "trained"
    write_adapter(tiny_base, folder / "adapter", 1)
    (folder / "recipe.json").write_text(json.dumps({"task": "refine", "base": "qwen2.5-coder-0.5b-instruct"}))
    (folder / "training.json").write_text(json.dumps({"steps": 7}))
    (folder / "loss.csv").write_text("step,loss\n7,1.5\n")
    return folder


@pytest.fixture
def export(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))

    def export(*arguments):
        code = main(["export", *map(str, arguments)])
        return code, *capsys.readouterr()

    return export


def test_a_trained_adapter_is_written_for_every_program(export, trained, tiny_base, tmp_path):
    out = tmp_path / "out"
    code, printed, err = export(trained, "--out", out, "--gguf", "--merged", "--base", tiny_base)
    assert code == 0, err
    assert printed.split() == [str(out / name) for name in ("adapter_config.json", "adapter.gguf", "merged")]
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "Qwen/Qwen2.5-Coder-0.5B-Instruct"
    assert (out / "merged" / "model.safetensors").is_file()
    assert not list(out.rglob("*.part"))


def test_an_adapter_is_written_at_the_strength_asked_for(export, trained, tmp_path):
    from safetensors.numpy import load_file

    assert export(trained, "--out", tmp_path / "whole")[0] == 0
    assert export(trained, "--out", tmp_path / "half", "--strength", 0.5)[0] == 0
    whole, half = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "half"))
    for name, tensor in whole.items():
        np.testing.assert_array_equal(half[name], tensor / 2 if ".lora_B." in name else tensor)
    code, _, err = export(trained, "--out", tmp_path / "more", "--strength", 0)
    assert code == 2 and "no strength of 0" in err


def test_a_part_of_what_came_since_another_adapter_is_written(export, trained, tiny_base, tmp_path):
    from safetensors.numpy import load_file

    begun = tmp_path / "begun"
    write_adapter(tiny_base, begun / "adapter", 2)
    shutil.copy(trained / "recipe.json", begun)
    folders = {"begun": (begun,), "whole": (trained,), "between": (trained, "--begin", begun, "--strength", 0.5)}
    for name, arguments in folders.items():
        assert export(*arguments, "--out", tmp_path / "out" / name)[0] == 0
    first, last, between = (load_file(tmp_path / "out" / name / "adapter_model.safetensors") for name in folders)
    for name, tensor in between.items():
        np.testing.assert_allclose(tensor, (first[name].astype(np.float32) + last[name]) / 2, atol=2e-3)
    account = json.loads((tmp_path / "out" / "between" / "training.json").read_text(encoding="utf-8"))
    assert account == {"steps": 7, "exported": [{"strength": 0.5, "of": "begin"}]}
    assert (tmp_path / "out" / "between" / "loss.csv").read_text() == "step,loss\n7,1.5\n"
    code, _, err = export(trained, "--begin", begun, "--out", begun / "adapter")
    assert code == 2 and "--begin would be written over" in err
    code, _, err = export(trained, "--begin", "augmentlm-1.5b-pair", "--out", tmp_path / "more")
    assert code == 2 and "is on qwen2.5-coder-1.5b-instruct" in err


def test_the_gguf_holds_the_numbers_of_the_adapter(export, trained, tmp_path):
    from gguf import GGUFReader
    from safetensors.numpy import load_file

    assert export(trained / "adapter", "--out", tmp_path / "out", "--gguf")[0] == 0
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    found = {tensor.name: tensor.data for tensor in GGUFReader(tmp_path / "out" / "adapter.gguf").tensors}
    assert len(found) == len(tensors)
    name = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"
    np.testing.assert_array_equal(found["blk.1.attn_q.weight.lora_a"], tensors[name])


def test_a_shipped_adapter_is_exported_by_its_name(export, tmp_path):
    code, _, err = export(OURS, "--out", tmp_path / "out")
    assert code == 0 and "the base is qwen2.5-coder-0.5b-instruct" in err
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()


def test_an_exported_adapter_says_itself_what_its_base_is(export, trained, tmp_path):
    assert export(trained, "--out", tmp_path / "one")[0] == 0
    shutil.move(tmp_path / "one", tmp_path / "elsewhere")
    code, _, err = export(tmp_path / "elsewhere", "--out", tmp_path / "two")
    assert code == 0 and "qwen2.5-coder-0.5b-instruct" in err
    one, two = (tmp_path / name / "adapter_model.safetensors" for name in ("elsewhere", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_what_is_no_adapter_is_said_in_a_line(export, trained, tiny_base, tmp_path):
    for arguments, words in (
        ((tiny_base, "--out", tmp_path / "out"), "There is no adapter in"),
        (("qwen2.5-coder-0.5b-instruct", "--out", tmp_path / "out"), "has no adapter"),
        (("nothing", "--out", tmp_path / "out"), "no model called 'nothing'"),
        ((trained / "adapter", "--out", trained / "adapter"), "written over itself"),
        ((trained, "--out", trained), "is the folder of a training"),
    ):
        code, out, err = export(*arguments)
        assert code == 2 and out == "" and words in err.splitlines()[-1]
    (trained / "recipe.json").unlink()
    code, _, err = export(trained, "--out", tmp_path / "out")
    assert code == 2 and "which is no base here" in err


def test_merging_without_torch_says_what_to_install(export, trained, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = export(trained, "--out", tmp_path / "out", "--merged")
    assert code == 2 and "Merging needs torch, transformers, peft" in err and not (tmp_path / "out").exists()
