"""Packed rows as a data set, and the likelihood objective over them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer

from augmentlm.distill.packing import Tokens, collate


class PackedRows(torch.utils.data.Dataset):
    """Rows of model inputs in the order of the plan."""

    def __init__(self, shared: list[int], tokens: list[Tokens], rows: list[list[int]]) -> None:
        self.shared = shared
        self.tokens = tokens
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        inputs = collate(self.shared, [self.tokens[place] for place in self.rows[index]])
        inputs["logits_to_keep"] = inputs.pop("positions")
        return inputs


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
