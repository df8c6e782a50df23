"""Plans for the machines people have: what runs where, in which form, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from augmentlm import catalog, machine
from augmentlm.catalog import Adapter
from augmentlm.errors import DoesNotFitError, InputError, MissingExtraError
from augmentlm.machine import GB, OVERHEAD, Gpu, Machine, bytes_needed, layers_in_batch, plan, variants

SEVEN = catalog.model("qwen2-7b-instruct-refine")
SMALL = catalog.model("qwen2-1.5b-instruct-refine")
EMBEDDED = catalog.model("augmentlm-0.5b-refine")
WRITERS = [entry for entry in catalog.models().values() if entry.chat]


@pytest.fixture(autouse=True)
def everything_installed(monkeypatch):
    monkeypatch.setattr(machine, "find_spec", lambda name: object())


BF16 = frozenset({"avx2", "avx512f", "avx512_bf16"})
VNNI = BF16 | {"avx512_vnni"}


def computer(ram: float, gpu: float | None = None, capability: float = 8.6, features: frozenset[str] = BF16) -> Machine:
    """A machine with so many GB, as its driver reports them: a few MiB less than on the box."""
    total = int((gpu or 0) * GB) - 4 * 1024**2
    cards = () if gpu is None else (Gpu("A card", total, total, capability),)
    return Machine(int(ram * GB), int(ram * GB), 100 * GB, 8, features, cards)


@pytest.mark.parametrize(
    ("model", "gpu", "quantization"),
    [
        (SEVEN, 8, "nf4"),
        (SEVEN, 16, "int8"),
        (SEVEN, 24, "bf16"),
        (SEVEN, 80, "bf16"),
        (SMALL, 4, "int8"),
        (SMALL, 8, "bf16"),
        (SMALL, 16, "bf16"),
        (SMALL, 24, "bf16"),
        (SMALL, 80, "bf16"),
    ],
)
def test_a_published_model_takes_the_best_form_its_gpu_holds(model, gpu, quantization):
    chosen = plan(model, computer(32, gpu))
    assert (chosen.engine, chosen.device, chosen.quantization) == ("transformers", "cuda", quantization)
    assert chosen.bytes_needed < gpu * GB
    assert f"{gpu} GB GPU" in chosen.reason and quantization.upper() in chosen.reason


@pytest.mark.parametrize(
    ("model", "ram", "quantization"), [(SEVEN, 32, "bf16"), (SEVEN, 16, "nf4"), (SMALL, 16, "bf16"), (SMALL, 8, "bf16")]
)
def test_without_a_gpu_a_published_model_runs_on_the_cpu(model, ram, quantization):
    chosen = plan(model, computer(ram))
    assert (chosen.engine, chosen.device, chosen.quantization) == ("transformers", "cpu", quantization)
    assert "CPU" in chosen.reason


@pytest.mark.parametrize(
    ("features", "whole"),
    [
        ({"avx2", "avx512f", "avx512_vnni"}, "fp32"),
        (set(), "fp32"),
        ({"asimd"}, "fp32"),
        ({"avx512_bf16"}, "bf16"),
        ({"amx_bf16"}, "bf16"),
        ({"asimd", "bf16"}, "bf16"),
    ],
)
def test_a_cpu_computes_in_bf16_only_where_it_has_the_instructions(features, whole):
    here = computer(16, features=frozenset(features))
    assert plan(SMALL, here).quantization == whole
    assert whole.upper() in plan(SMALL, here).reason
    other = "fp32" if whole == "bf16" else "bf16"
    with pytest.raises((InputError, DoesNotFitError), match=f"Choose {whole}"):
        plan(SMALL, here, quantization=other)


@pytest.mark.parametrize(
    ("model", "ram", "quantization"), [(SEVEN, 48, "fp32"), (SEVEN, 24, "nf4"), (SMALL, 16, "fp32"), (SMALL, 8, "nf4")]
)
def test_fp32_needs_twice_the_memory(model, ram, quantization):
    chosen = plan(model, computer(ram, features=frozenset({"avx2"})))
    assert (chosen.device, chosen.quantization) == ("cpu", quantization)


def test_a_gpu_does_not_care_what_the_cpu_can():
    old, new = (plan(SMALL, computer(32, 8, features=features)) for features in (frozenset(), BF16))
    assert old == new


def test_a_gpu_too_small_leaves_the_work_to_the_cpu():
    assert plan(SEVEN, computer(32, gpu=4)).device == "cpu"


def test_cards_before_ampere_compute_in_fp16():
    assert plan(SMALL, computer(32, 16, capability=7.5)).quantization == "fp16"
    with pytest.raises(InputError, match="fp16"):
        plan(SMALL, computer(4, 16, capability=7.5), quantization="int4")


def test_cards_before_turing_have_no_int8():
    assert plan(SEVEN, computer(32, 16, capability=7.0)).quantization == "nf4"


@pytest.mark.parametrize("gpu", [None, 8, 80])
def test_the_embedded_family_runs_on_the_cpu_with_llamacpp_and_says_why(gpu):
    chosen = plan(EMBEDDED, computer(8, gpu))
    assert (chosen.engine, chosen.device, chosen.quantization) == ("llamacpp", "cpu", "Q4_K_M")
    assert chosen.bytes_needed < 2_000_000_000
    assert ("leaves the GPU alone" in chosen.reason) == (gpu is not None)


def test_a_gguf_model_can_be_asked_to_run_with_transformers():
    chosen = plan(EMBEDDED, computer(16, 8), engine="transformers")
    assert (chosen.device, chosen.quantization) == ("cuda", "bf16")
    assert plan(EMBEDDED, computer(16), quantization="NF4").engine == "transformers"


def test_a_machine_too_small_is_refused_with_a_model_and_machines_that_would_do():
    with pytest.raises(DoesNotFitError) as caught:
        plan(SEVEN, computer(3))
    assert "needs" in caught.value.message and "3 GB of RAM and no GPU" in caught.value.message
    assert "Choose augmentlm-0.5b-refine, which fits." in caught.value.hint
    assert "an 8 GB GPU or" in caught.value.hint and "GB of RAM" in caught.value.hint


def test_the_model_named_instead_is_the_largest_that_fits():
    with pytest.raises(DoesNotFitError, match=r"qwen2-1\.5b-instruct-refine, which fits"):
        plan(SEVEN, computer(7))


def test_a_form_that_does_not_fit_is_refused_with_one_that_does():
    with pytest.raises(DoesNotFitError) as caught:
        plan(SEVEN, computer(8, 8), quantization="int8")
    assert "Choose nf4 with transformers, which fits" in caught.value.hint
    assert "12 GB GPU" in caught.value.hint


def test_int8_without_a_gpu_is_refused_with_what_runs():
    with pytest.raises(DoesNotFitError) as caught:
        plan(SMALL, computer(16, features=frozenset({"asimd", "bf16"})), quantization="int8")
    assert "bf16" in caught.value.hint


@pytest.mark.parametrize(
    ("model", "wish", "says"),
    [
        (SEVEN, {"engine": "llamacpp"}, "not a GGUF"),
        (SEVEN, {"engine": "vllm"}, "no engine"),
        (SEVEN, {"quantization": "Q4_K_M"}, "Q4_K_M"),
        (SEVEN, {"quantization": "fp8"}, "fp8"),
        (EMBEDDED, {"engine": "llamacpp", "quantization": "nf4"}, "nf4 with llamacpp"),
        (EMBEDDED, {"engine": "transformers", "quantization": "Q4_K_M"}, "Q4_K_M with transformers"),
    ],
)
def test_a_wish_that_contradicts_the_model_is_refused(model, wish, says):
    with pytest.raises(InputError, match=says):
        plan(model, computer(64, 80), **wish)


@pytest.mark.parametrize("features", [VNNI, frozenset({"avx2"}), frozenset({"avx2", "avx_vnni"})])
@pytest.mark.parametrize("model", [EMBEDDED, SMALL, SEVEN], ids=lambda model: model.name)
def test_many_rows_on_a_cpu_get_the_batch_engine_and_a_person_does_not(model, features):
    chosen = plan(model, computer(32, features=features), purpose="batch")
    assert (chosen.engine, chosen.device, chosen.quantization) == ("batch", "cpu", "int8")
    assert "many rows at once" in chosen.reason
    assert plan(model, computer(32, features=features)).engine != "batch"


def test_the_batch_engine_is_not_chosen_where_it_can_not_run(monkeypatch):
    arm = computer(16, features=frozenset({"asimd"}))
    assert plan(EMBEDDED, arm, purpose="batch").engine == "llamacpp"  # no int8 products
    with pytest.raises(InputError, match="INT8"):
        plan(EMBEDDED, arm, engine="batch")
    assert plan(SEVEN, computer(32, 24, features=VNNI), purpose="batch").device == "cuda"
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "torch" else object())
    assert plan(EMBEDDED, computer(16, features=VNNI), purpose="batch").engine == "llamacpp"
    with pytest.raises(MissingExtraError, match="torch"):
        plan(EMBEDDED, computer(16, features=VNNI), engine="batch")


def test_the_batch_engine_needs_a_byte_a_parameter_two_for_the_embedding_and_room_for_rows():
    # 64 rows of 512 places, each of 28 layers · 2 heads · 128 · 2 numbers in two bytes.
    assert bytes_needed(SMALL, "batch", "int8", "cpu") == 1_543_714_304 + 2 * 233_373_696 + 939_524_096 + 600_000_000


def test_the_batch_engine_is_counted_with_the_adapters_of_all_models_on_the_base():
    # Three adapters on the upper 16 of 24 layers, and the bare base: the lower 8 once, the others four times.
    family = [entry for entry in catalog.models().values() if entry.artifact == EMBEDDED.artifact]
    assert len(family) == 4 and {layers_in_batch(entry) for entry in family} == {8 + 4 * 16}
    layer = (494_032_768 - 136_134_656) // 24
    once = 494_032_768 + 2 * 136_134_656 + 402_653_184 + 600_000_000
    assert {bytes_needed(entry, "batch", "int8", "cpu") for entry in family} == {once + 3 * 16 * layer}
    # On the larger base two adapters on the upper 14 of 28, and the bare base.
    assert layers_in_batch(catalog.model("augmentlm-1.5b-pair")) == 14 + 3 * 14


def test_an_adapter_that_names_no_layers_is_counted_with_all_and_one_that_was_pulled_has_the_base_to_itself(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"layers_to_transform": null}')
    pulled = replace(EMBEDDED, family="pulled", adapter=Adapter(str(tmp_path)))
    assert layers_in_batch(pulled) == 24
    (tmp_path / "adapter_config.json").write_text('{"layers_to_transform": [22, 23]}')
    assert layers_in_batch(pulled) == 24


@pytest.mark.parametrize(("engine", "quantization"), [("llamacpp", "Q4_K_M"), ("transformers", "bf16")])
@pytest.mark.parametrize("base", ["qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"])
def test_elsewhere_the_adapters_of_a_base_share_its_weights_and_are_small_beside_the_overhead(
    engine, quantization, base
):
    """Measured on the small base: with all three 44 MB more in llama.cpp, which has one context for all of them."""
    family = [entry for entry in catalog.models().values() if entry.artifact == catalog.model(base).artifact]
    assert len({bytes_needed(entry, engine, quantization, "cpu") for entry in family}) == 1
    files = [entry.adapter.path / "adapter_model.safetensors" for entry in family if entry.adapter]
    assert files and 2 * sum(file.stat().st_size for file in files) < OVERHEAD["cpu"] / 5  # twice: where it is fp32


def test_the_embedder_is_not_planned():
    embedder = catalog.model("all-minilm-l6-v2")
    assert variants(embedder, computer(64)) == []
    with pytest.raises(InputError, match="doesn't write text"):
        plan(embedder, computer(64))


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name in ("torch", "bitsandbytes") else object())
    with pytest.raises(MissingExtraError) as caught:
        plan(SEVEN, computer(16, 8))
    assert "torch, bitsandbytes" in caught.value.message
    assert caught.value.hint == 'Run `pip install -e ".[gpu]"`.'
    assert plan(EMBEDDED, computer(16, 8)).engine == "llamacpp"


@pytest.mark.parametrize("model", WRITERS, ids=lambda model: model.name)
@pytest.mark.parametrize("gpu", [None, 4, 8, 24])
def test_the_plan_is_the_first_variant_that_fits(model, gpu):
    here = computer(64, gpu)
    first = next(way for way in variants(model, here) if way.fits)
    chosen = plan(model, here)
    assert (chosen.engine, chosen.quantization, chosen.device) == (first.engine, first.quantization, first.device)


@pytest.mark.parametrize("model", WRITERS, ids=lambda model: model.name)
def test_every_variant_says_why(model):
    for here in (computer(2), computer(64, 80)):
        assert all(way.reason and way.bytes_needed > 0 for way in variants(model, here))
    assert not any(way.fits for way in variants(model, computer(1)))


def test_memory_follows_the_shape():
    # 7,615,616,512 parameters at two bytes, 8,192 places of 57,344 bytes, and the overhead on a GPU.
    assert bytes_needed(SEVEN, "transformers", "bf16", "cuda") == 15_231_233_024 + 469_762_048 + 1_200_000_000
    nf4 = bytes_needed(SEVEN, "transformers", "nf4", "cuda") - 469_762_048 - 1_200_000_000
    assert nf4 == pytest.approx(5.546e9, rel=1e-3)
    # In fp32 all of it doubles but the overhead; with NF4 the embedding and the cache do.
    fp32 = bytes_needed(SEVEN, "transformers", "fp32", "cpu", width=4)
    assert fp32 == 2 * (15_231_233_024 + 469_762_048) + 600_000_000
    wide = bytes_needed(SEVEN, "transformers", "nf4", "cuda", width=4) - bytes_needed(
        SEVEN, "transformers", "nf4", "cuda"
    )
    assert wide == 2 * SEVEN.shape.embedding_parameters + 469_762_048


def test_planning_never_imports_torch():
    code = (
        "import sys; from augmentlm import catalog, machine; "
        "[machine.variants(m, machine.inspect()) for m in catalog.models().values()]; "
        "machine.plan(catalog.model('augmentlm-0.5b-refine'), machine.inspect()); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
