"""The last stage: the three training sets, in the form that `augmentlm train --data` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augmentlm import formats
from augmentlm.distill.collect.seeds import Seed
from augmentlm.distill.collect.teach import Candidate

FILE = "collected.jsonl"
SIBLINGS = 4
"""Pairs of a family: the pair set takes some as context and the others as targets."""


def passed(candidates: Sequence[Candidate], work: str | None = None) -> list[Candidate]:
    """Those that nothing speaks against."""
    return [each for each in candidates if not each.findings and work in (None, each.work)]


def expansions_of(seeds: Sequence[Seed], candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """The expansions that passed, by the id of their seed."""
    found: dict[str, list[Candidate]] = {seed.id: [] for seed in seeds}
    for candidate in passed(candidates, "expand"):
        found[candidate.seed.id].append(candidate)
    return found


def families(seeds: Sequence[Seed], candidates: Sequence[Candidate]) -> dict[str, list[Seed]]:
    """The instructions that make a family each: a seed and its first three expansions, where there are so many.

    By the seed's id. An expansion has no response yet, and is asked for one as a seed is.
    """
    found = {}
    expansions = expansions_of(seeds, candidates)
    for seed in seeds:
        siblings = [
            Seed(each.id, each.text, seed.language, "teacher", category=seed.category, how="grown")
            for each in expansions[seed.id][: SIBLINGS - 1]
        ]
        if len(siblings) == SIBLINGS - 1:
            found[seed.id] = [seed, *siblings]
    return found


def write(
    out: Path, seeds: Sequence[Seed], candidates: Sequence[Candidate], responses: Sequence[Candidate]
) -> dict[str, int]:
    """Write `refine/`, `expand/` and `families/` below `out`; returns how many rows each has."""
    by_id = {seed.id: seed for seed in seeds}
    refine = [
        {**_about(by_id[each.seed.id]), "raw": each.seed.instruction, "refined": each.text}
        for each in passed(candidates, "refine")
    ]
    expansions = expansions_of(seeds, candidates)
    expand = [
        {**_about(seed), "instruction": seed.instruction, "expansions": [each.text for each in expansions[seed.id]]}
        for seed in seeds
        if expansions[seed.id]
    ]
    answers = {each.seed.id: each.text for each in passed(responses)}
    pairs = [
        {
            **_about(by_id[name]),
            "family": by_id[name].category,
            "items": [{"instruction": each.instruction, "response": answers[each.id]} for each in siblings],
        }
        for name, siblings in families(seeds, candidates).items()
        if all(each.id in answers for each in siblings)
    ]
    return {
        name: _write(out / name, rows) for name, rows in (("refine", refine), ("expand", expand), ("families", pairs))
    }


def _about(seed: Seed) -> dict[str, Any]:
    return {"id": seed.id, "category": seed.category, "lang": seed.language}


def _write(folder: Path, rows: Sequence[Mapping[str, Any]]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return formats.write_jsonl(folder / FILE, rows)
