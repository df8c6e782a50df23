"""The forward pass for many rows: with exact products it computes what transformers does; in int8 it stays near."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from augmentlm import catalog
from augmentlm.catalog import Adapter
from augmentlm.engines import int8, int8_qwen2
from augmentlm.engines.batched import BatchEngine
from augmentlm.engines.int8 import Activations, Int8Linear, quantize
from augmentlm.engines.int8_qwen2 import Cache, Int8Qwen2, Piece
from augmentlm.errors import EngineError
from augmentlm.hardware import has_vnni
from augmentlm.machine import layers_in_batch
from tiny_models import write_adapter

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = [[5, 9, 200, 31, 7, 7, 8], [1, 2], [40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51]]


class Exact:
    def __init__(self, weight: torch.Tensor) -> None:
        self._weight = weight.float()

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens @ self._weight.T


@pytest.fixture
def exact(monkeypatch) -> None:
    """Products in fp32 in place of int8."""

    def as_it_is(values: torch.Tensor, worth: torch.Tensor | None = None) -> Activations:
        return Activations(values, torch.ones(len(values), 1) if worth is None else worth)

    monkeypatch.setattr(int8_qwen2, "Int8Linear", Exact)
    monkeypatch.setattr(int8_qwen2, "quantize", as_it_is)
    monkeypatch.setattr(int8_qwen2, "CACHE_TYPE", torch.float32)


def logits(model: Int8Qwen2, steps: list[list[Piece]]) -> torch.Tensor:
    """Those after the last token of each piece of the last step."""
    cache = Cache(model.config, len(ROWS) + 1, 300)
    with torch.inference_mode():
        for pieces in steps:
            cache.reserve(max(piece.end for piece in pieces))
            found, factors = model.forward(pieces, cache, range(len(pieces)))
    return found * factors


@pytest.fixture(scope="module")
def theirs(tiny_base):
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).eval()

    def theirs(ids: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            return model(input_ids=torch.tensor([ids])).logits[0, -1]

    return theirs


def test_rows_read_at_once_or_in_pieces_give_the_logits_of_transformers(tiny_base, theirs, exact):
    model = Int8Qwen2(tiny_base)
    expected = torch.stack([theirs(row) for row in ROWS])
    whole = [[Piece(place, 0, row) for place, row in enumerate(ROWS)]]
    torch.testing.assert_close(logits(model, whole), expected, atol=1e-4, rtol=1e-4)
    # The second row begins when the others are half read, in another order, and each ends with a single token.
    steps = [
        [Piece(3, 0, ROWS[0][:4]), Piece(1, 0, ROWS[2][:5])],
        [Piece(1, 5, ROWS[2][5:11]), Piece(0, 0, ROWS[1][:1]), Piece(3, 4, ROWS[0][4:6])],
        [Piece(3, 6, ROWS[0][6:]), Piece(0, 1, ROWS[1][1:]), Piece(1, 11, ROWS[2][11:])],
    ]
    torch.testing.assert_close(logits(model, steps), expected, atol=1e-4, rtol=1e-4)


def test_a_row_far_longer_than_the_others_and_a_cache_that_grows_change_nothing(tiny_base, theirs, exact):
    model = Int8Qwen2(tiny_base)
    long = [number % 250 for number in range(290)]
    steps = [
        [Piece(0, 0, long[:-1]), Piece(2, 0, ROWS[0][:-1]), Piece(3, 0, ROWS[1][:-1])],
        [Piece(0, 289, long[-1:]), Piece(2, 6, ROWS[0][-1:]), Piece(3, 1, ROWS[1][-1:])],
    ]
    expected = torch.stack([theirs(row) for row in (long, ROWS[0], ROWS[1])])
    torch.testing.assert_close(logits(model, steps), expected, atol=1e-4, rtol=1e-4)


def test_a_copied_beginning_is_as_good_as_one_read_anew(tiny_base, theirs, exact):
    model = Int8Qwen2(tiny_base)
    cache = Cache(model.config, 2, 50)
    with torch.inference_mode():
        model.forward([Piece(0, 0, ROWS[2])], cache, [])
        cache.copy(0, 1, 5)
        found, factors = model.forward([Piece(1, 5, [3, 4])], cache, [0])
    torch.testing.assert_close((found * factors)[0], theirs([*ROWS[2][:5], 3, 4]), atol=1e-4, rtol=1e-4)


def test_an_adapter_is_merged_as_peft_applies_it(tiny_base, tmp_path, exact):
    folder = write_adapter(tiny_base, tmp_path / "lora", 1)
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    with torch.inference_mode():
        expected = PeftModel.from_pretrained(model, folder).eval()(input_ids=torch.tensor([ROWS[0]])).logits[0, -1]
    bare = Int8Qwen2(tiny_base)
    found = logits(Int8Qwen2(tiny_base, folder, bare), [[Piece(0, 0, ROWS[0])]])[0]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_in_int8_the_logits_stay_near_and_are_the_same_in_any_company(tiny_base, theirs):
    model = Int8Qwen2(tiny_base)
    together = logits(model, [[Piece(place, 0, row) for place, row in enumerate(ROWS)]])
    for place, row in enumerate(ROWS):
        assert torch.cosine_similarity(together[place], theirs(row), dim=0) > 0.995
        alone = logits(model, [[Piece(place, 0, row)]])[0]
        assert torch.equal(alone, together[place])


def test_products_in_int8_are_within_a_hundredth_of_exact_ones():
    torch.manual_seed(0)
    weight, values = torch.randn(192, 128), torch.randn(37, 128) * torch.logspace(-3, 3, 37)[:, None]
    tokens = quantize(values)
    found, expected = Int8Linear(weight)(tokens.values) * tokens.scale, values @ weight.T
    assert ((found - expected).norm(dim=1) / expected.norm(dim=1)).max() < (0.015 if has_vnni() else 0.025)


@pytest.mark.parametrize("vnni", [True, False])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_products_are_not_cut_off(monkeypatch, vnni, sign):
    if vnni and not has_vnni():
        pytest.skip("this CPU adds up in 16 bits")
    monkeypatch.setattr(int8, "has_vnni", lambda: vnni)
    tokens = quantize(torch.ones(4, 256))
    found = Int8Linear(torch.full((64, 256), float(sign)))(tokens.values) * tokens.scale
    torch.testing.assert_close(found, torch.full((4, 64), 256.0 * sign))


def test_numbers_that_are_all_zero_stay_zero():
    tokens = quantize(torch.zeros(2, 64))
    assert torch.equal(Int8Linear(torch.ones(64, 64))(tokens.values) * tokens.scale, torch.zeros(2, 64))


@pytest.mark.parametrize(
    "change", [{"model_type": "llama"}, {"use_sliding_window": True}, {"rope_parameters": {"rope_type": "yarn"}}]
)
def test_another_kind_of_model_is_refused(tiny_base, tmp_path, change):
    shutil.copytree(tiny_base, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(EngineError, match="no plain Qwen2"):
        Int8Qwen2(tmp_path)


def test_weights_that_are_torn_or_lack_a_tensor_are_named(tiny_base, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_base, tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(EngineError, match=r"lack model\.layers\.1\.mlp\.up_proj\.weight"):
        Int8Qwen2(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(EngineError, match="can't be loaded"):
        Int8Qwen2(tmp_path)


def test_an_adapter_of_another_model_is_refused(tiny_base, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_adapter(tiny_base, tmp_path / "lora", 1)
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({name.replace("layers.1", "layers.7"): tensor for name, tensor in tensors.items()}, folder / "a")
    (folder / "a").replace(folder / "adapter_model.safetensors")
    with pytest.raises(EngineError, match=r"doesn't fit the model: .*layers\.7"):
        Int8Qwen2(tiny_base, folder)


def upper(tiny_base, folder, seed: int, layer: int = 1):
    """An adapter on one of the two layers alone."""
    from safetensors.torch import load_file, save_file

    write_adapter(tiny_base, folder, seed)
    tensors = load_file(folder / "adapter_model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if f".layers.{layer}." in name}
    save_file(kept, folder / "adapter_model.safetensors")
    return folder


def test_layers_that_no_adapter_changes_are_held_once(tiny_base, tmp_path, exact):
    bare = Int8Qwen2(tiny_base)
    first = Int8Qwen2(tiny_base, upper(tiny_base, tmp_path / "first", 1), bare)
    second = Int8Qwen2(tiny_base, upper(tiny_base, tmp_path / "second", 2), first)
    assert bare._layers[0] is first._layers[0] is second._layers[0]
    assert len({id(model._layers[1]) for model in (bare, first, second)}) == 3
    for model, folder in ((first, tmp_path / "first"), (second, tmp_path / "second")):
        alone = logits(Int8Qwen2(tiny_base, folder), [[Piece(0, 0, ROWS[0])]])
        torch.testing.assert_close(logits(model, [[Piece(0, 0, ROWS[0])]]), alone, atol=0, rtol=0)


def test_a_layer_that_the_other_adapter_changes_is_not_taken_over(tiny_base, tmp_path, exact):
    first = Int8Qwen2(tiny_base, upper(tiny_base, tmp_path / "first", 1))
    bare = Int8Qwen2(tiny_base, shared=first)
    lower = Int8Qwen2(tiny_base, upper(tiny_base, tmp_path / "lower", 2, layer=0), first)
    assert bare._layers[0] is first._layers[0] and bare._layers[1] is not first._layers[1]
    assert lower._layers[0] is not first._layers[0] and lower._layers[1] is not first._layers[1]
    whole = [[Piece(place, 0, row) for place, row in enumerate(ROWS)]]
    torch.testing.assert_close(logits(bare, whole), logits(Int8Qwen2(tiny_base), whole), atol=0, rtol=0)


def test_as_many_layers_are_held_as_memory_is_counted_for_in_whatever_order_models_are_used(
    tiny_base, tmp_path, monkeypatch
):
    shape = replace(catalog.model("augmentlm-0.5b-refine").shape, layers=2)
    bare = replace(catalog.model("qwen2.5-coder-0.5b-instruct"), shape=shape)
    models, folders = {"bare": bare}, {}
    for layer, name in enumerate(("lower", "upper")):
        folders[name] = upper(tiny_base, tmp_path / name, 1, layer=layer)
        config = json.loads((folders[name] / "adapter_config.json").read_text()) | {"layers_to_transform": [layer]}
        (folders[name] / "adapter_config.json").write_text(json.dumps(config))
        models[name] = replace(bare, name=name, adapter=Adapter(str(folders[name])))
    monkeypatch.setattr(catalog, "models", lambda: models)
    for order in permutations((None, "lower", "upper")):
        engine = BatchEngine(tiny_base, bare.chat, adapters=folders)
        held = {id(layer) for name in order for layer in engine._model(name)._layers}
        assert len(held) == layers_in_batch(bare) == 4, order


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] can't allocate memory: you tried to allocate"),
        MemoryError("Cannot allocate memory (os error 12)"),  # of a file that can't be mapped
    ],
)
def test_memory_that_runs_out_while_loading_is_told_as_such(tiny_base, monkeypatch, error):
    def scarce(weight):
        raise error

    monkeypatch.setattr(int8_qwen2, "Int8Linear", scarce)
    with pytest.raises(EngineError, match="ran out of memory") as raised:
        Int8Qwen2(tiny_base)
    assert raised.value.retryable and "download" not in raised.value.hint
