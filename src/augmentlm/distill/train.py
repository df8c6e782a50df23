"""Train one model of the family from a recipe: LoRA or full, on CUDA (NF4 base) or on a CPU (bf16 base, or fp32
where the CPU has no bf16 instructions).

The loop is the transformers Trainer, so `accelerate launch -m augmentlm.cli train …` works for several GPUs. Rows are
packed (see `packing`), the loss is over completions alone, and logits are computed only where there is a label.
With a preference in the recipe the loss is that of `dpo`, else the likelihood.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import prepare_model_for_kbit_training
from peft.helpers import disable_input_dtype_casting
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PrinterCallback,
    TrainingArguments,
    set_seed,
)

from augmentlm.distill.account import ACCOUNT, account_of
from augmentlm.distill.begun import same_begin, same_data, same_recipe
from augmentlm.distill.dpo import METRICS, PreferenceRows, PreferenceTrainer
from augmentlm.distill.lora import put_lora
from augmentlm.distill.packed import PackedRows, PackedTrainer
from augmentlm.distill.packing import Tokens, encode_example, plan_rows, split_shared
from augmentlm.distill.preferences import preferences, shortened
from augmentlm.distill.progress import Progress
from augmentlm.distill.recipe import Recipe
from augmentlm.distill.reference import fill_reference
from augmentlm.distill.sets import Example, examples, files_of
from augmentlm.drafts import write_text
from augmentlm.errors import DoesNotFitError, InputError
from augmentlm.hardware import has_bf16

STOP = "<|im_end|>"


def train(recipe: Recipe, base: Path, data: Path, out: Path, begin: Path | None = None) -> Path:
    """Train to `out/adapter` (or `out/model` for full fine-tuning), resuming from the newest checkpoint in `out`.

    `base` is a folder in Hugging Face form; `begin` holds a LoRA to go on from, without it a new one is made. Writes
    `loss.csv` and `loss.svg` as it goes and `training.json` (recipe, files of the data, tokens, seconds, peak memory)
    at the end; returns the folder of the trained weights. A recipe with a preference computes its reference before the
    first step, and keeps it in `out/reference`. A training that has ended is not repeated. Raises `InputError` for a
    base, adapter or data that can't be trained on, and for an `out` that was begun with another recipe, adapter or
    data; `DoesNotFitError` when memory runs out.
    """
    if begin and recipe.method != "lora":
        raise InputError(
            "The recipe trains the whole model, and an adapter can't be taught on that way.",
            hint='Leave --begin out, or write method = "lora".',
        )
    trained = out / ("adapter" if recipe.method == "lora" else "model")
    same_recipe(recipe, out)
    set_seed(recipe.seed)
    found = _examples(recipe, data)
    preference = recipe.preference
    tokens = _tokens(base, found)
    if preference:
        tokens = [shortened(item, recipe.tokens_per_row, preference.gap) for item in tokens]
    shared, tokens = split_shared(tokens)
    room = max(0, recipe.tokens_per_row - len(shared))
    rows = plan_rows([len(item) for item in tokens], room, recipe.epochs, recipe.seed)
    if not rows:
        raise InputError(
            f"No {recipe.task} example in {data} fits {recipe.tokens_per_row} tokens.",
            hint="Raise tokens_per_row in the recipe.",
        )
    files = files_of([found[index] for row in rows for index in row], data)
    same_data(files, out)
    if (out / ACCOUNT).exists() and trained.exists():
        same_begin(begin, out, ended=True)
        print(f"{out} holds this training already, and it has ended.", file=sys.stderr)
        return trained
    arguments = _arguments(recipe, out)
    started = time.monotonic()
    tokens_of_row = [len(shared) + sum(len(tokens[index]) for index in row) for row in rows]
    progress = Progress(out, tokens_of_row, METRICS if preference else ())
    model = _model(recipe, base, arguments.device, begin)
    same_begin(begin, out)  # not before it has been seen that they can be taught on
    of_trainer = {"model": model, "args": arguments, "data_collator": lambda batch: batch[0], "callbacks": [progress]}
    if preference:
        scored = PreferenceRows(shared, tokens, rows)
        trainer = PreferenceTrainer(train_dataset=scored, preference=preference, **of_trainer)
    else:
        trainer = PackedTrainer(train_dataset=PackedRows(shared, tokens, rows), **of_trainer)
    trainer.remove_callback(PrinterCallback)  # Progress says the same for a person
    checkpoint = _newest_checkpoint(out / "checkpoints")
    # In bf16 the Trainer's autocast casts the small matrices of a LoRA, which is a third less work than PEFT's way of
    # casting every activation to theirs.
    autocast = recipe.method == "lora" and arguments.bf16
    try:
        with disable_input_dtype_casting(model) if autocast else nullcontext():
            if isinstance(trainer, PreferenceTrainer):
                fill_reference(trainer, out)
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise DoesNotFitError(
            "The training ran out of GPU memory.", hint="Lower tokens_per_row in the recipe; checkpoints are kept."
        ) from error
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(trained)
        progress.draw()
        summary = {
            "recipe": asdict(recipe),
            "begun_from": account_of(begin) if begin else None,
            "data": files,
            "examples": len(tokens),
            "too_long": sum(len(item) > room for item in tokens),
            "tokens": sum(progress.tokens_of_row),
            "steps": trainer.state.global_step,
            "steps_this_session": trainer.state.global_step - progress.first_step,
            "seconds_this_session": round(time.monotonic() - started, 1),
            "tokens_per_second": round(progress.tokens_per_second, 1),
            "peak_memory_gb": round(_peak_bytes() / 1e9, 2),
            "device": str(arguments.device),
            "processes": arguments.world_size,
        }
        write_text(out / ACCOUNT, json.dumps(summary, indent=2) + "\n")
    return trained


def _examples(recipe: Recipe, data: Path) -> list[Example]:
    if recipe.preference:
        return preferences(recipe.task, data, "train", recipe.preference.gap)
    found = examples(recipe.task, data, "train", recipe.seed)
    if not found:
        raise InputError(f"There is no {recipe.task} example to train on in {data}.", hint="Give another --data.")
    return found


def _tokens(base: Path, found: list[Example]) -> list[Tokens]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise InputError(
            f"There is no tokenizer in {base}.", hint="Give a folder in Hugging Face form as the base."
        ) from error
    stop_id = tokenizer.convert_tokens_to_ids(STOP)
    if stop_id is None or stop_id == tokenizer.unk_token_id:
        raise InputError(f"The base {base} has no {STOP} token.", hint="Take a base that chats in ChatML, like Qwen.")
    return [
        encode_example(
            example,
            lambda text: tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
            ),
            lambda text: tokenizer.encode(text, add_special_tokens=False),
            stop_id,
        )
        for example in found
    ]


def _arguments(recipe: Recipe, out: Path) -> TrainingArguments:
    cuda = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=recipe.rows_per_step,
        num_train_epochs=1,  # the plan of rows already holds every epoch
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup_share,
        weight_decay=recipe.weight_decay,
        logging_steps=recipe.log_every,
        save_steps=recipe.save_every,
        save_total_limit=2,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        use_cpu=not cuda,
        # Weights that are trained stand in fp32 (see _model) and are computed with in bf16.
        bf16=cuda or recipe.method == "full" or has_bf16(),
        seed=recipe.seed,
    )
    if arguments.n_gpu > 1:
        # The Trainer would fall back to DataParallel, which cuts one row in pieces.
        raise InputError(
            f"There are {arguments.n_gpu} GPUs and one process.",
            hint="Start with `accelerate launch -m augmentlm.cli train …`, or set CUDA_VISIBLE_DEVICES=0.",
        )
    return arguments


def _newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint. `trainer_state.json` is written last: without it the writing was cut off."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        try:
            whole.append((json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))["global_step"], path))
        except (OSError, json.JSONDecodeError):
            continue
    return max(whole)[1] if whole else None


def _model(
    recipe: Recipe, base: Path, device: torch.device, begin: Path | None = None, quantize: bool | None = None
) -> Any:
    """The model to train. `quantize` puts a LoRA's base in NF4 (QLoRA, arXiv 2305.14314): the default on CUDA.

    A LoRA on the upper layers alone needs no gradients below them: for two thirds of them it is a sixth less work.
    """
    lora = recipe.method == "lora"
    if quantize is None:
        quantize = lora and device.type == "cuda"
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base,
            # bf16 is too coarse for small updates: what is trained is kept in fp32 (PEFT does so for a LoRA).
            # A CPU without bf16 instructions emulates them, six times slower than fp32.
            dtype=torch.bfloat16 if lora and (device.type == "cuda" or has_bf16()) else torch.float32,
            attn_implementation="sdpa",
            quantization_config=quantization if quantize else None,
            device_map={"": device} if quantize else None,
            use_safetensors=True,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"The base {base} can't be loaded: {error}", hint="Give a folder with config.json and safetensors weights."
        ) from error
    if not lora:
        return model
    if quantize:
        model = prepare_model_for_kbit_training(model)
    return put_lora(model, recipe, begin)


def _peak_bytes() -> int:
    """The most memory this process has held: on the GPU where there is one, else of the machine."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
