"""The loss curve of a training as a picture, drawn from its CSV without a plotting library."""

from __future__ import annotations

import csv
from pathlib import Path

LOSS, CURVE = "loss.csv", "loss.svg"
"""What a training calls its loss as numbers and as a picture."""

_WIDTH, _HEIGHT, _MARGIN = 640, 320, 48
_SMOOTH = 9
"""Points in the running mean that is drawn bold over the raw losses."""


def write_curve(loss_csv: Path, svg: Path) -> None:
    """Draw `step` against `loss`: every logged value faint, their running mean bold. Does nothing below two points."""
    with loss_csv.open(encoding="utf-8", newline="") as file:
        points = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
    if len(points) < 2:
        return
    steps, losses = zip(*points, strict=True)
    low, high = min(losses), max(losses)
    span = (high - low) or 1.0

    def place(step: int, loss: float) -> str:
        x = _MARGIN + (step - steps[0]) / (steps[-1] - steps[0]) * (_WIDTH - 2 * _MARGIN)
        y = _MARGIN + (high - loss) / span * (_HEIGHT - 2 * _MARGIN)
        return f"{x:.1f},{y:.1f}"

    half = _SMOOTH // 2
    windows = [losses[max(0, index - half) : index + half + 1] for index in range(len(losses))]
    raw = " ".join(place(step, loss) for step, loss in points)
    mean = " ".join(place(step, sum(window) / len(window)) for step, window in zip(steps, windows, strict=True))
    bottom, right = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    svg.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="#555">\n'
        f"<title>Training loss: {losses[0]:.2f} at step {steps[0]}, {losses[-1]:.2f} at step {steps[-1]}</title>\n"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
        f'<path d="M{_MARGIN},{_MARGIN}V{bottom}H{right}" fill="none" stroke="#999"/>\n'
        f'<text x="{_MARGIN - 6}" y="{_MARGIN + 4}" text-anchor="end">{high:.2f}</text>\n'
        f'<text x="{_MARGIN - 6}" y="{bottom}" text-anchor="end">{low:.2f}</text>\n'
        f'<text x="{_MARGIN}" y="{bottom + 18}">{steps[0]}</text>\n'
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">{steps[-1]} steps</text>\n'
        f'<text x="{_MARGIN}" y="{_MARGIN - 14}">training loss</text>\n'
        f'<polyline points="{raw}" fill="none" stroke="#9ec5e8"/>\n'
        f'<polyline points="{mean}" fill="none" stroke="#1f6fb2" stroke-width="2.5"/>\n'
        "</svg>\n",
        encoding="utf-8",
    )
