"""What is collected on: a seed, and what becomes of a text that does not pass."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from augmentlm.checks import Finding
from augmentlm.checks.language import Language
from augmentlm.distill.sets import family_of


@dataclass(frozen=True)
class Seed:
    """An instruction to work on. `how` says where its category is from: given, teacher, embedding or grown."""

    id: str
    instruction: str
    language: Language
    source: str
    response: str | None = None
    category: str | None = None
    how: str | None = None

    @property
    def family(self) -> str:
        """Everything made from one seed is of its family, so that train and held-out data never share one."""
        return family_of(self.id)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Reject:
    """A text that stops here: at which stage, why, and with what evidence."""

    stage: str
    id: str
    text: str
    findings: tuple[Finding, ...]
    category: str | None = None

    def as_json(self) -> dict[str, Any]:
        reasons = [asdict(finding) for finding in self.findings]
        return {"stage": self.stage, "id": self.id, "category": self.category, "reasons": reasons, "text": self.text}


def seed_id(instruction: str) -> str:
    """The same text has the same name in every run, whatever stands before it in its file."""
    return f"c-{hashlib.sha256(instruction.encode()).hexdigest()[:12]}/0"
