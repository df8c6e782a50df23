"""What a training says while it runs: a line, a row of CSV, a curve."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from augmentlm.distill.curve import CURVE, LOSS, write_curve
from augmentlm.drafts import write_text


class Progress(TrainerCallback):
    """One line a logging interval: step, loss, tokens a second, minutes left; the same as CSV and as a picture.

    `metrics` names what else the Trainer logs beside the loss: a column of the CSV each.
    Only the first of several processes writes; its tokens a second are those of all processes together.
    """

    def __init__(self, out: Path, tokens_of_row: list[int], metrics: Sequence[str] = ()) -> None:
        self.out = out
        self.metrics = metrics
        self.csv = out / LOSS
        self.tokens_of_row = tokens_of_row
        self.started = 0.0
        self.first_step = 0
        self.tokens_per_second = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.started, self.first_step = time.monotonic(), state.global_step
        if not state.is_world_process_zero:
            return
        lines = self.csv.read_text(encoding="utf-8").splitlines()[1:] if self.csv.exists() else []
        # What was logged after the checkpoint that training resumes from will be logged again.
        kept = [line for line in lines if int(line.split(",", 1)[0]) <= state.global_step]
        header = ",".join(["step", "loss", "learning_rate", "tokens_per_second", *self.metrics])
        write_text(self.csv, "\n".join([header, *kept, ""]))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        seconds = time.monotonic() - self.started
        done = state.global_step - self.first_step
        step_rows = args.gradient_accumulation_steps * args.world_size
        rows = slice(self.first_step * step_rows, state.global_step * step_rows)
        self.tokens_per_second = sum(self.tokens_of_row[rows]) / seconds
        left = seconds / done * (state.max_steps - state.global_step)
        cells = [f"{state.global_step}", f"{logs['loss']:.4f}", f"{logs['learning_rate']:.3e}"]
        cells += [f"{self.tokens_per_second:.1f}", *(f"{logs[name]:.4f}" for name in self.metrics)]
        with self.csv.open("a", encoding="utf-8") as file:
            file.write(",".join(cells) + "\n")
        more = "".join(f"{name} {logs[name]:.2f}  " for name in self.metrics)
        print(
            f"step {state.global_step}/{state.max_steps}  loss {logs['loss']:.3f}  {more}"
            f"{self.tokens_per_second:.0f} tokens/s  {left / 60:.0f} min left",
            flush=True,
        )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self.draw()

    def draw(self) -> None:
        write_curve(self.csv, self.out / CURVE)
