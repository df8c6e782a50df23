"""Train one model of the family from a recipe: LoRA or full, on CUDA (NF4 base) or on a CPU (bf16 base).

The loop is the transformers Trainer, so `accelerate launch -m augmentlm train …` works for several GPUs. Rows are
packed (see `packing`), the loss is over completions alone, and logits are computed only where there is a label.
"""

from __future__ import annotations

import json
import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from augmentlm.distill.packing import Tokens, collate, encode_example, plan_rows
from augmentlm.distill.recipe import Recipe
from augmentlm.distill.sets import examples


class PackedRows(torch.utils.data.Dataset):
    """Rows of tokenised examples in the order of the plan."""

    def __init__(self, tokens: list[Tokens], rows: list[list[int]]) -> None:
        self.tokens = tokens
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> list[Tokens]:
        return [self.tokens[place] for place in self.rows[index]]


class PackedTrainer(Trainer):
    """Cross-entropy over the labelled places of a packed row, and over nothing else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The loss below is a mean per row: the Trainer has to divide it by the rows of a step.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels = inputs.pop("labels")
        outputs = model(**inputs, use_cache=False)
        loss = torch.nn.functional.cross_entropy(outputs.logits[0].float(), labels)
        return (loss, outputs) if return_outputs else loss


class Progress(TrainerCallback):
    """One line a logging interval: step, loss, tokens a second, minutes left; and the same as CSV."""

    def __init__(self, out: Path, tokens_of_row: list[int], rows_per_step: int) -> None:
        self.csv = out / "loss.csv"
        self.rows_per_step = rows_per_step
        self.tokens_of_row = tokens_of_row
        self.started = 0.0
        self.first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.started, self.first_step = time.monotonic(), state.global_step
        if not self.csv.exists():
            self.csv.write_text("step,loss,learning_rate,tokens_per_second\n", encoding="utf-8")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        seconds = time.monotonic() - self.started
        done = state.global_step - self.first_step
        rows = slice(self.first_step * self.rows_per_step, state.global_step * self.rows_per_step)
        speed = sum(self.tokens_of_row[rows]) / seconds
        left = seconds / done * (state.max_steps - state.global_step)
        with self.csv.open("a", encoding="utf-8") as file:
            file.write(f"{state.global_step},{logs['loss']:.4f},{logs['learning_rate']:.3e},{speed:.1f}\n")
        print(
            f"step {state.global_step}/{state.max_steps}  loss {logs['loss']:.3f}  {speed:.0f} tokens/s  "
            f"{left / 60:.0f} min left",
            flush=True,
        )


def train(recipe: Recipe, base: Path, data: Path, out: Path) -> None:
    """Train to `out/adapter` (or `out/model` for full fine-tuning), resuming from the newest checkpoint in `out`.

    `base` is a folder in Hugging Face form. Writes `loss.csv` as it goes and `training.json` (recipe, tokens,
    seconds, peak memory) at the end.
    """
    out.mkdir(parents=True, exist_ok=True)
    set_seed(recipe.seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    stop_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    tokens = [
        encode_example(
            example,
            lambda text: tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
            ),
            lambda text: tokenizer.encode(text, add_special_tokens=False),
            stop_id,
        )
        for example in examples(recipe.task, data, "train", recipe.seed)
    ]
    rows = plan_rows([len(item) for item in tokens], recipe.tokens_per_row, recipe.epochs, recipe.seed)
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
        seed=recipe.seed,
    )
    started = time.monotonic()
    trainer = PackedTrainer(
        model=_model(recipe, base, cuda),
        args=arguments,
        train_dataset=PackedRows(tokens, rows),
        data_collator=lambda batch: _as_inputs(batch[0]),
        callbacks=[Progress(out, [sum(len(tokens[index]) for index in row) for row in rows], recipe.rows_per_step)],
    )
    checkpoints = list((out / "checkpoints").glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=bool(checkpoints))
    trainer.model.save_pretrained(out / ("adapter" if recipe.method == "lora" else "model"))
    summary = {
        "recipe": asdict(recipe),
        "examples": len(tokens),
        "tokens": sum(len(tokens[index]) for row in rows for index in row),
        "steps": trainer.state.global_step,
        "seconds_this_session": round(time.monotonic() - started, 1),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }
    (out / "training.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _as_inputs(row: list[Tokens]) -> dict[str, torch.Tensor]:
    inputs = collate(row)
    return {**{k: v for k, v in inputs.items() if k != "positions"}, "logits_to_keep": inputs["positions"]}


def _model(recipe: Recipe, base: Path, cuda: bool) -> Any:
    quantization = None
    if cuda and recipe.method == "lora":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=torch.bfloat16,
        attn_implementation="sdpa",
        quantization_config=quantization,
        use_safetensors=True,
    )
    if recipe.method == "full":
        return model
    if quantization:
        model = prepare_model_for_kbit_training(model)
    return get_peft_model(
        model,
        LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
