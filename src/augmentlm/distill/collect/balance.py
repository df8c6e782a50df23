"""The third stage: as many seeds of each task type as it should have, and enough of them in Chinese.

Full classes are thinned out, with a mark where the rest has gone; for thin ones the plan says how many the teacher
should add, and which seeds should be translated. The paper balances the distribution of tasks likewise
(arXiv 2412.04871, section 3.1).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from augmentlm.checks import Finding
from augmentlm.checks.language import Language
from augmentlm.distill.collect.labels import labels
from augmentlm.distill.collect.seeds import Reject, Seed, seed_id

STAGE = "balance"
MOST_FROM_ONE = 3
"""New seeds that are grown from one: more would be variations on a theme."""


@dataclass(frozen=True)
class Growth:
    """A seed for the teacher to add: `translate` into `language`, or `expand` another one."""

    id: str
    work: str
    origin: Seed
    language: Language


@dataclass(frozen=True)
class Balanced:
    """`targets` is the wanted number of each category, `growth` what the teacher should add."""

    kept: list[Seed]
    growth: list[Growth]
    rejects: list[Reject]
    targets: Mapping[str, int]


def balance(seeds: Sequence[Seed], shares: Mapping[str, float], size: int, chinese: float) -> Balanced:
    """The plan for `size` seeds with these shares, of them at least the share `chinese` in Chinese and at most so many
    more as there are. Which of a full class stay is fixed by a hash of their names, so every run chooses alike."""
    targets = apportion(shares, size)
    of: dict[str, list[Seed]] = {name: [] for name in targets}
    for seed in sorted(seeds, key=lambda seed: hashlib.sha256(seed.id.encode()).digest()):
        of[seed.category or ""].append(seed)
    kept = {seed.id for name, found in of.items() for seed in _spread(found)[: targets[name]]}
    spare = {name: [seed for seed in found if seed.id not in kept] for name, found in of.items()}
    short = round(size * chinese) - sum(seed.language == "zh" for seed in seeds if seed.id in kept)
    growth: list[Growth] = []
    given: Counter[str] = Counter()

    def grow(origin: Seed, language: Language) -> None:
        """Add to the plan, with a number that no sibling of the origin has got either."""
        work = "expand" if language == origin.language else "translate"
        name = f"{origin.family}/{work}"
        given[name] += 1
        growth.append(Growth(f"{name}-{given[name]}", work, origin, language))

    for name, target in targets.items():
        room = target - len(of[name])
        if room <= 0:
            continue
        origins = _spread(of[name]) or [_example(name)]
        for number in range(min(room, MOST_FROM_ONE * len(origins))):
            origin = origins[number % len(origins)]
            # A class that lacks seeds, in a set that lacks Chinese: the first round of it is translated.
            into_chinese = short > 0 and origin.language == "en" and number < len(origins)
            short -= into_chinese
            grow(origin, "zh" if into_chinese else origin.language)
    # What Chinese is still lacking takes the place of English seeds of the same category: Chinese ones that would be
    # left out, then translations of English ones that would be.
    for language in ("zh", "en"):
        for seed in [seed for found in of.values() for seed in found if seed.id in kept and seed.language == "en"]:
            rest = spare[seed.category or ""]
            instead = next((each for each in rest if each.language == language), None)
            if short <= 0 or instead is None:
                continue
            rest.remove(instead)
            kept.remove(seed.id)
            short -= 1
            if language == "zh":
                kept.add(instead.id)
            else:
                grow(instead, "zh")
    rejects = [
        Reject(
            STAGE,
            seed.id,
            seed.instruction,
            (
                Finding(
                    "class_full",
                    f"{len(of[seed.category or ''])} of {seed.category}, {targets[seed.category or '']} wanted",
                ),
            ),
            seed.category,
        )
        for seed in seeds
        if seed.id not in kept
    ]
    return Balanced([seed for seed in seeds if seed.id in kept], growth, rejects, targets)


def apportion(shares: Mapping[str, float], size: int) -> dict[str, int]:
    """Whole numbers that add up to `size`, each as near its share as can be (largest remainders)."""
    exact = {name: share * size for name, share in shares.items()}
    found = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: (found[name] - exact[name], name))
    for name in rest[: size - sum(found.values())]:
        found[name] += 1
    return found


def _spread(seeds: Sequence[Seed]) -> list[Seed]:
    """The languages in turn, so that a cut anywhere keeps the rarer one."""
    by: dict[str, list[Seed]] = {}
    for seed in seeds:
        by.setdefault(seed.language, []).append(seed)
    places = [(place, name, seed) for name, found in by.items() for place, seed in enumerate(found)]
    return [seed for _, _, seed in sorted(places, key=lambda each: each[:2])]


def _example(name: str) -> Seed:
    text = labels()[name].example
    return Seed(seed_id(text), text, "en", "the category's example", category=name, how="given")
