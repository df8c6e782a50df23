"""What the beginning of a preference training gives each text: computed once, before the first step, and kept."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import torch

from augmentlm.distill import rows
from augmentlm.distill.dpo import PreferenceRows, PreferenceTrainer, log_likelihoods

SAID_EVERY = 30.0
"""Seconds between two lines on how far it is."""


def fill_reference(trainer: PreferenceTrainer, out: Path) -> None:
    """Fill the reference of the trainer's rows, with the model as it stands: to be called before a checkpoint is read.

    What is done is kept in `out/reference`, a file a process, under a digest of each example's tokens, so a pass that
    was killed goes on where it was and a training that resumes computes nothing. Every process takes its share.
    """
    data = trainer.train_dataset
    keys = [_digest([[*data.shared, *item.prompt], *item.completions]) for item in data.tokens]
    folder = out / "reference"
    known = _kept(folder)
    # None may write before all have read, or they would part the work differently.
    trainer.accelerator.wait_for_everyone()
    share = slice(trainer.args.process_index, None, trainer.args.world_size)
    seen = set(known)
    missing = []
    for index, row in enumerate(data.rows):  # in later epochs the examples of a row come again
        if not seen.issuperset(keys[place] for place in row):
            missing.append(index)
            seen.update(keys[place] for place in row)
    _compute(trainer, data, keys, missing[share], folder / f"{trainer.args.process_index}.jsonl")
    trainer.accelerator.wait_for_everyone()
    known = _kept(folder)
    data.reference = {place: known[keys[place]] for row in data.rows for place in row}


def _compute(trainer: PreferenceTrainer, data: PreferenceRows, keys: list[str], indices: list[int], file: Path) -> None:
    model = trainer.model
    model.eval()
    started = said = time.monotonic()
    for done, index in enumerate(indices, 1):
        inputs = trainer._prepare_inputs(data.without_reference(index))
        labels, sizes, _, texts = (inputs.pop(name) for name in ("labels", "sizes", "scores", "texts"))
        # The autocast of the training: what differs later is what was learnt, and no rounding.
        with torch.no_grad(), trainer.accelerator.autocast():
            logits = model(**inputs, use_cache=False).logits[0]
        found = log_likelihoods(logits, labels, sizes).split(texts.tolist())
        rows.append(file, {keys[place]: each.tolist() for place, each in zip(data.rows[index], found, strict=True)})
        now = time.monotonic()
        if trainer.is_world_process_zero() and (done == len(indices) or now - said >= SAID_EVERY):
            said = now
            left = (now - started) / done * (len(indices) - done)
            print(f"reference {done}/{len(indices)} rows  {left / 60:.0f} min left", flush=True)


def _kept(folder: Path) -> dict[str, list[float]]:
    """The log-likelihoods that stand in a folder, of an example's texts by its digest."""
    return {
        key: each for file in sorted(folder.glob("*.jsonl")) for row in rows.read(file) for key, each in row.items()
    }


def _digest(ids: list[list[int]]) -> str:
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:32]
