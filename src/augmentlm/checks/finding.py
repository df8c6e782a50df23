"""What a check says when a candidate does not pass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A reason code for machines and the evidence for people: `near_copy`, "0.81 ROUGE-L with the seed"."""

    code: str
    evidence: str
