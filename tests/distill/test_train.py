import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from augmentlm.distill.packed import PackedRows
from augmentlm.distill.packing import Tokens, plan_rows, split_shared
from augmentlm.distill.recipe import Preference
from augmentlm.distill.train import _examples, _model, _tokens, train
from augmentlm.errors import InputError
from tiny_training import CHILD, RECIPE, child_arguments, column, train_in_two_processes


def test_a_lora_learns_and_leaves_its_curve_and_its_account(tiny_base, tiny_data, tmp_path, capsys):
    recipe = dataclasses.replace(RECIPE, epochs=6)
    trained = train(recipe, tiny_base, tiny_data, tmp_path / "out")
    curve = column(tmp_path / "out")
    assert min(curve.values()) < 0.9 * curve[2]
    account = json.loads((tmp_path / "out" / "training.json").read_text())
    assert account["recipe"] == dataclasses.asdict(recipe)
    assert account["steps"] == account["steps_this_session"] == max(curve)
    assert account["peak_memory_gb"] > 0 and account["tokens_per_second"] > 0 and account["too_long"] == 0
    (file,) = account["data"]
    content = (tiny_data / "refine" / "all.jsonl").read_bytes()
    assert file == {
        "file": "refine/all.jsonl",
        "rows": account["examples"],
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert (tmp_path / "out" / "loss.svg").exists()
    assert trained == tmp_path / "out" / "adapter" and (trained / "adapter_model.safetensors").exists()
    said = capsys.readouterr().out.splitlines()
    assert all(line.startswith("step ") and "min left" in line for line in said) and len(said) == len(curve)


def test_a_finished_training_is_not_repeated_and_another_recipe_is_refused(tiny_base, tiny_data, tmp_path, capsys):
    recipe = dataclasses.replace(RECIPE, epochs=1)
    trained = train(recipe, tiny_base, tiny_data, tmp_path)
    before = (trained / "adapter_model.safetensors").stat().st_mtime_ns
    assert train(dataclasses.replace(recipe, log_every=3), tiny_base, tiny_data, tmp_path) == trained
    assert (trained / "adapter_model.safetensors").stat().st_mtime_ns == before
    assert "it has ended" in capsys.readouterr().err
    with pytest.raises(InputError, match="another rank, learning_rate"):
        train(dataclasses.replace(recipe, rank=8, learning_rate=1e-4), tiny_base, tiny_data, tmp_path)
    with pytest.raises(InputError, match="another preference"):
        train(dataclasses.replace(recipe, preference=Preference(0.1, 0.0, 2, 7)), tiny_base, tiny_data, tmp_path)


def test_a_training_noted_before_there_were_preferences_goes_on(tiny_base, tiny_data, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=0.5)
    noted = {key: value for key, value in dataclasses.asdict(recipe).items() if key != "preference"}
    (tmp_path / "recipe.json").write_text(json.dumps(noted), encoding="utf-8")
    assert train(recipe, tiny_base, tiny_data, tmp_path).exists()


def test_a_killed_training_goes_on_from_its_checkpoint_and_ends_the_same(tiny_base, tiny_data, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(RECIPE, tiny_base, tiny_data, whole)

    def start(pause: float) -> subprocess.Popen:
        arguments = child_arguments(RECIPE, tiny_base, tiny_data, killed, pause)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen([sys.executable, "-c", CHILD, arguments], env=environment)

    child = start(pause=0.1)
    try:
        deadline = time.monotonic() + 120
        while not ((killed / "loss.csv").exists() and max(column(killed), default=0) >= 14):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    reached = max(column(killed))
    # What a kill in the middle of saving leaves: the newest folder, without its state.
    (killed / "checkpoints" / "checkpoint-9999").mkdir()
    assert start(pause=0.0).wait(120) == 0

    account = json.loads((killed / "training.json").read_text())
    assert account["steps"] == json.loads((whole / "training.json").read_text())["steps"]
    redone = account["steps_this_session"] - (account["steps"] - reached)
    assert 0 <= redone <= RECIPE.save_every + RECIPE.log_every
    assert column(killed) == pytest.approx(column(whole), rel=1e-3)
    one, other = (load_file(out / "adapter" / "adapter_model.safetensors") for out in (whole, killed))
    assert all(torch.allclose(one[name], other[name], atol=1e-4) for name in one)


def test_full_fine_tuning_trains_fp32_weights(tiny_base, tiny_data, tmp_path):
    recipe = dataclasses.replace(RECIPE, method="full", epochs=1, learning_rate=1e-3)
    trained = train(recipe, tiny_base, tiny_data, tmp_path)
    weights = load_file(trained / "model.safetensors")
    start = load_file(tiny_base / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    assert weights[name].dtype == torch.float32 and not torch.equal(weights[name], start[name].float())


def test_the_pair_and_expand_objectives_train(tiny_base, tiny_data, tmp_path):
    for task in ("expand", "pair"):
        recipe = dataclasses.replace(RECIPE, task=task, epochs=1, tokens_per_row=1024)
        assert (train(recipe, tiny_base, tiny_data, tmp_path / task) / "adapter_config.json").exists()


def test_a_qlora_base_is_nf4_and_its_adapter_gets_gradients(tiny_base):
    model = _model(RECIPE, tiny_base, torch.device("cpu"), quantize=True)
    linear = model.base_model.model.model.layers[0].mlp.up_proj
    assert linear.base_layer.weight.quant_state.quant_type == "nf4"
    inputs = PackedRows([7], [Tokens([1, 2, 3], [[4, 5], [6]])], [[0]])[0]
    labels = inputs.pop("labels")
    torch.nn.functional.cross_entropy(model(**inputs, use_cache=False).logits[0].float(), labels).backward()
    assert linear.lora_B.default.weight.grad.abs().sum() > 0


def test_a_lora_on_the_upper_layers_leaves_the_lower_ones_alone(tiny_base, tiny_data, tmp_path):
    trained = train(dataclasses.replace(RECIPE, layers=1, epochs=0.5), tiny_base, tiny_data, tmp_path)
    names = load_file(trained / "adapter_model.safetensors")
    assert {name.split(".layers.")[1][0] for name in names} == {"1"}
    # Every linear module of the layer, each with its two matrices.
    assert len(names) == 7 * 2


def test_the_loss_is_over_the_whole_vocabulary(tiny_base, tiny_data, tmp_path):
    """Over a short list it held nothing else down: `<|endoftext|>` rose until answers ended before their first word."""
    recipe = dataclasses.replace(RECIPE, epochs=0.5, log_every=1)
    train(recipe, tiny_base, tiny_data, tmp_path)
    shared, tokens = split_shared(_tokens(tiny_base, _examples(recipe, tiny_data)))
    rows = plan_rows([len(item) for item in tokens], recipe.tokens_per_row - len(shared), 0.5, recipe.seed)
    inputs = PackedRows(shared, tokens, rows)[0]
    labels = inputs.pop("labels")
    logits = AutoModelForCausalLM.from_pretrained(tiny_base)(**inputs).logits[0]
    assert column(tmp_path)[1] == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), abs=0.02)


def test_an_adapter_is_taught_on_from_where_it_was_and_the_account_says_so(tiny_base, tiny_data, tmp_path):
    first = train(dataclasses.replace(RECIPE, epochs=6), tiny_base, tiny_data, tmp_path / "first")
    slow = dataclasses.replace(RECIPE, epochs=1, learning_rate=1e-4, seed=2)
    train(slow, tiny_base, tiny_data, tmp_path / "second", begin=first)
    train(slow, tiny_base, tiny_data, tmp_path / "anew")
    assert column(tmp_path / "second")[2] < 0.95 * column(tmp_path / "anew")[2]
    account = json.loads((tmp_path / "second" / "training.json").read_text())
    assert account["begun_from"]["recipe"]["epochs"] == 6
    assert json.loads((tmp_path / "anew" / "training.json").read_text())["begun_from"] is None
    for ended in (True, False):
        if not ended:
            (tmp_path / "second" / "training.json").unlink()
        with pytest.raises(InputError, match="began from another adapter"):
            train(slow, tiny_base, tiny_data, tmp_path / "second", begin=tmp_path / "anew" / "adapter")


def test_a_training_does_not_go_on_with_other_data(tiny_base, tiny_data, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1)
    train(recipe, tiny_base, tiny_data, tmp_path / "out")
    [first, *_] = sorted((tiny_data / "refine").glob("*.jsonl"))
    lines = first.read_text(encoding="utf-8").splitlines(keepends=True)
    first.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(InputError, match="not what the training in"):
        train(recipe, tiny_base, tiny_data, tmp_path / "out")
    (tmp_path / "out" / "training.json").unlink()  # as if it had been killed before its end
    with pytest.raises(InputError, match="not what the training in"):
        train(recipe, tiny_base, tiny_data, tmp_path / "out")


def test_an_adapter_of_another_shape_and_a_folder_without_one_are_said(tiny_base, tiny_data, tmp_path):
    first = train(dataclasses.replace(RECIPE, epochs=0.5), tiny_base, tiny_data, tmp_path / "first")
    with pytest.raises(InputError, match="differ in r, layers_to_transform"):
        train(dataclasses.replace(RECIPE, rank=2, layers=1), tiny_base, tiny_data, tmp_path / "other", begin=first)
    with pytest.raises(InputError, match="trains the whole model"):
        train(dataclasses.replace(RECIPE, method="full"), tiny_base, tiny_data, tmp_path / "full", begin=first)
    with pytest.raises(InputError, match="no adapter to go on from"):
        train(RECIPE, tiny_base, tiny_data, tmp_path / "none", begin=tmp_path)


def test_a_base_that_is_none_is_said(tiny_data, tmp_path):
    with pytest.raises(InputError, match="no tokenizer"):
        train(RECIPE, tmp_path / "nothing", tiny_data, tmp_path / "out")


def test_rows_too_short_for_any_example_are_said(tiny_base, tiny_data, tmp_path):
    with pytest.raises(InputError, match="fits 8 tokens"):
        train(dataclasses.replace(RECIPE, tokens_per_row=8), tiny_base, tiny_data, tmp_path)


def test_two_processes_train_one_model_and_the_first_alone_writes(tiny_base, tiny_data, tmp_path):
    said = train_in_two_processes(RECIPE, tiny_base, tiny_data, tmp_path)
    account = json.loads((tmp_path / "out" / "training.json").read_text())
    assert account["processes"] == 2
    curve = column(tmp_path / "out")  # each step once
    assert max(curve) == account["steps"] // 2 * 2 and min(curve.values()) < 0.95 * curve[2]
    assert said.count(f"step 2/{account['steps']}") == 1


def test_data_without_an_example_is_named(tiny_base, tiny_data, tmp_path):
    (tiny_data / "refine" / "all.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="no refine example"):
        train(RECIPE, tiny_base, tiny_data, tmp_path / "out")
