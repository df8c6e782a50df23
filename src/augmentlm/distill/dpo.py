"""Direct Preference Optimization (Rafailov et al. 2023, arXiv 2305.18290) over packed rows.

The texts of a prompt are branches behind one copy of it, and every two whose scores differ enough are a preference. A
margin is how much more the better text has gained on the worse one, in log-likelihood, than under the reference: the
model that the training began from.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from augmentlm.distill.packed import PackedRows, PackedTrainer
from augmentlm.distill.packing import Tokens
from augmentlm.distill.recipe import Preference

METRICS = ("margin", "positive", "gain")
"""What is logged beside the loss, means over the examples since the last time: the margin in nats and the share of
margins above zero, both over the pairs of an example, and what its best text alone has gained on the reference."""


class PreferenceRows(PackedRows):
    """Packed rows of examples with scored completions.

    `reference` holds the log-likelihoods of the completions by the number of the example; a row can be had when all of
    its examples are there.
    """

    def __init__(self, shared: list[int], tokens: list[Tokens], rows: list[list[int]]) -> None:
        super().__init__(shared, tokens, rows)
        self.reference: dict[int, list[float]] = {}

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        inputs = self.without_reference(index)
        inputs["reference"] = torch.tensor([each for place in self.rows[index] for each in self.reference[place]])
        return inputs

    def without_reference(self, index: int) -> dict[str, torch.Tensor]:
        """A row of E examples and T texts: the inputs of the model, `labels`, the `sizes` (T,) of the texts in tokens,
        their `scores` (T,), and `texts` (E,), how many each example has."""
        inputs = super().__getitem__(index)
        row = [self.tokens[place] for place in self.rows[index]]
        inputs["sizes"] = torch.tensor([len(text) for example in row for text in example.completions])
        inputs["scores"] = torch.tensor(
            [score for example in row for score in example.scores],
            dtype=torch.float64,  # as `prefers` compares them
        )
        inputs["texts"] = torch.tensor([len(example.completions) for example in row])
        return inputs


class Loss(NamedTuple):
    """The loss of an example and its `METRICS`, or of each of several."""

    loss: torch.Tensor
    margin: torch.Tensor
    positive: torch.Tensor
    gain: torch.Tensor


def log_likelihoods(logits: torch.Tensor, labels: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """(T,), in nats, summed over the tokens of each text, from `logits` (N, V), `labels` (N,) and `sizes` (T,)."""
    each = -torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none")
    return torch.stack([text.sum() for text in each.split(sizes.tolist())])


def preference_loss(
    found: torch.Tensor, reference: torch.Tensor, sizes: torch.Tensor, scores: torch.Tensor, preference: Preference
) -> Loss:
    """Of one example, from what the model and the reference give each of its texts; of those, two differ by the gap.

    Equation 7 of the paper, the mean over all pairs. What is added to it is the likelihood term of arXiv 2404.19733,
    equation 1, where it is likewise divided by the text's length: of the good texts, or of the best where none is.
    """
    mended = scores.isnan()
    best = scores.masked_fill(mended, -math.inf).argmax()
    better, worse = (scores[:, None] - scores >= preference.gap).nonzero(as_tuple=True)  # never true of a mended text
    gained = found - reference
    margins = gained[better] - gained[worse]
    preferring = -torch.nn.functional.logsigmoid(preference.beta * margins).mean()

    good = (scores >= preference.good) | mended
    taught = good if good.any() else best
    likelihood = (-found / sizes)[taught].mean()
    loss = preferring + preference.likelihood_weight * likelihood
    margins, gained = margins.detach(), gained.detach()
    return Loss(loss, margins.mean(), (margins > 0).float().mean(), gained[best])


def losses_of_row(
    found: torch.Tensor,
    reference: torch.Tensor,
    sizes: torch.Tensor,
    scores: torch.Tensor,
    texts: torch.Tensor,
    preference: Preference,
) -> Loss:
    """(E,) of the examples of a row, from what stands together for all of their texts."""
    examples = zip(*(each.split(texts.tolist()) for each in (found, reference, sizes, scores)), strict=True)
    losses = [preference_loss(*example, preference) for example in examples]
    return Loss(*(torch.stack(each) for each in zip(*losses, strict=True)))


class PreferenceTrainer(PackedTrainer):
    """The preference loss of a packed row; logs `METRICS` of all processes together beside the loss."""

    def __init__(self, *args: Any, preference: Preference, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preference = preference
        self._seen = torch.zeros(1 + len(METRICS), device=self.args.device)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels, reference, sizes, scores, texts = (
            inputs.pop(name) for name in ("labels", "reference", "sizes", "scores", "texts")
        )
        outputs = model(**inputs, use_cache=False)
        found = log_likelihoods(outputs.logits[0], labels, sizes)
        losses, *metrics = losses_of_row(found, reference, sizes, scores, texts, self.preference)
        self._seen += torch.stack([torch.ones_like(metrics[0]), *metrics]).sum(dim=1)
        loss = losses.mean()
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            count, *sums = self.accelerator.reduce(self._seen).tolist()
            logs |= {name: total / count for name, total in zip(METRICS, sums, strict=True)}
            self._seen.zero_()
        super().log(logs, start_time)
