"""Direct Preference Optimization (Rafailov et al. 2023, arXiv 2305.18290) over packed rows.

Both texts of a preference are branches behind one copy of their prompt. A margin is how much more the preferred text
has gained on the rejected one, in log-likelihood, than under the reference: the model that the training began from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from augmentlm.distill.packed import PackedRows, PackedTrainer
from augmentlm.distill.packing import Tokens
from augmentlm.distill.recipe import Preference

METRICS = ("margin", "positive", "gain")
"""What is logged beside the loss, means over the examples since the last time: the margin in nats, whether it is above
zero, and what the preferred text alone has gained on the reference, in nats."""


class PreferenceRows(PackedRows):
    """Packed rows of examples with two completions each, the preferred one first.

    `reference` holds the log-likelihoods of both by the number of the example; a row can be had when all of its
    examples are there.
    """

    def __init__(self, shared: list[int], tokens: list[Tokens], rows: list[list[int]]) -> None:
        super().__init__(shared, tokens, rows)
        self.reference: dict[int, tuple[float, float]] = {}

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        inputs = self.without_reference(index)
        inputs["reference"] = torch.tensor([self.reference[place] for place in self.rows[index]])
        return inputs

    def without_reference(self, index: int) -> dict[str, torch.Tensor]:
        """A row of E examples: the inputs of the model, `labels`, and `sizes` (E, 2), the tokens of each text."""
        inputs = super().__getitem__(index)
        inputs["sizes"] = torch.tensor([[len(text) for text in self.tokens[at].completions] for at in self.rows[index]])
        return inputs


class Loss(NamedTuple):
    """The loss of a row, a scalar, and (E,) of each of its examples: the margin and the preferred text's gain."""

    loss: torch.Tensor
    margins: torch.Tensor
    gains: torch.Tensor


def log_likelihoods(logits: torch.Tensor, labels: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """(E, 2), in nats, summed over the tokens of each text, from `logits` (N, V), `labels` (N,) and `sizes` (E, 2)."""
    each = -torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none")
    return torch.stack([text.sum() for text in each.split(sizes.flatten().tolist())]).view(-1, 2)


def preference_loss(found: torch.Tensor, reference: torch.Tensor, sizes: torch.Tensor, preference: Preference) -> Loss:
    """The mean over the examples of a row, from the log-likelihoods (E, 2) of the model and of the reference.

    Equation 7 of the paper. What is added to it is the likelihood term of arXiv 2404.19733, equation 1, where it is
    likewise divided by the text's length.
    """
    gained = found - reference
    margins = gained[:, 0] - gained[:, 1]
    preferring = -torch.nn.functional.logsigmoid(preference.beta * margins).mean()
    likelihood = (-found[:, 0] / sizes[:, 0]).mean()
    loss = preferring + preference.likelihood_weight * likelihood
    return Loss(loss, margins.detach(), gained[:, 0].detach())


class PreferenceTrainer(PackedTrainer):
    """The preference loss of a packed row; logs `METRICS` of all processes together beside the loss."""

    def __init__(self, *args: Any, preference: Preference, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preference = preference
        self._seen = torch.zeros(1 + len(METRICS), device=self.args.device)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels, sizes, reference = (inputs.pop(name) for name in ("labels", "sizes", "reference"))
        outputs = model(**inputs, use_cache=False)
        found = log_likelihoods(outputs.logits[0], labels, sizes)
        loss, margins, gains = preference_loss(found, reference, sizes, self.preference)
        each = torch.stack([torch.ones_like(margins), margins, (margins > 0).float(), gains])
        self._seen += each.sum(dim=1)
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            count, *sums = self.accelerator.reduce(self._seen).tolist()
            logs |= {name: total / count for name, total in zip(METRICS, sums, strict=True)}
            self._seen.zero_()
        super().log(logs, start_time)
