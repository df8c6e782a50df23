"""Matrix products in int8 on a CPU: weights with a scale for each output, activations with one for each token.

A token's numbers depend on no other token: whole numbers are added exactly, whatever stands beside it. Importing this
module imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from augmentlm.hardware import has_vnni

_MIDDLE = 128
"""What the processor's instruction multiplies is unsigned by signed, so activations are moved up by this."""

_LINES = 8192
"""Outputs that are quantized at once: a whole output layer in fp32 would take half a gigabyte."""


def weight_steps() -> int:
    """Steps that a weight may lie from zero. AVX2 without VNNI adds two products in 16 bits, and cuts off what doesn't
    fit: 2 · 255 · 127."""
    return 127 if has_vnni() else 63


@dataclass(frozen=True)
class Activations:
    """Tokens (N, inputs) as unsigned bytes; `scale` (N, 1) is what one step of them is worth."""

    values: torch.Tensor
    scale: torch.Tensor

    def __getitem__(self, lines: torch.Tensor) -> Activations:
        return Activations(self.values[lines], self.scale[lines])


def quantize(values: torch.Tensor, worth: torch.Tensor | None = None) -> Activations:
    """Numbers (N, inputs) in fp32 to bytes. `worth` (N, 1) is a factor of each token that was left out of them."""
    peak = values.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-20)
    steps = (values * (127 / peak)).add_(_MIDDLE + 0.5).to(torch.uint8)  # cut down, so the half rounds to nearest
    return Activations(steps, peak * (1 / 127) if worth is None else peak * worth * (1 / 127))


class Int8Linear:
    """A weight (outputs, inputs), quantized and packed for the processor when it is made."""

    def __init__(self, weight: torch.Tensor) -> None:
        self._scales = (weight.abs().amax(dim=1).float() / weight_steps()).clamp(min=1e-20)
        steps = torch.empty(weight.shape, dtype=torch.int8)
        for lines, scales, goal in zip(*(each.split(_LINES) for each in (weight, self._scales, steps)), strict=True):
            goal.copy_((lines.float() / scales[:, None]).round_())
        self._packed = torch.ops.onednn.qlinear_prepack(steps, None)
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """The products (N, outputs) in fp32, each still to be multiplied by its token's scale."""
        return torch.ops.onednn.qlinear_pointwise(
            tokens, 1.0, _MIDDLE, self._packed, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
