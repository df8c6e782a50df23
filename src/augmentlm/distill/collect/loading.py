"""The first stage: read the sources, clean the texts, and leave out what is broken, foreign, long, or there already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from augmentlm.checks import Finding, form
from augmentlm.checks.language import language
from augmentlm.checks.near_copies import NearCopies
from augmentlm.checks.novelty import NEAR_COPY, tokens
from augmentlm.distill.collect.labels import labels
from augmentlm.distill.collect.seeds import Reject, Seed, seed_id
from augmentlm.distill.collect.sources import Raw, read
from augmentlm.distill.sets import pairs_of, read_rows, text_of
from augmentlm.tasks import clean

STAGE = "load"
LEAST_WORDS = 3
MOST_CHARS = 2_000
"""Of an instruction: a longer one is mostly a document with a question, which a small student can't learn from."""


def load(sources: Sequence[str], held_out: Iterable[str] = ()) -> tuple[list[Seed], list[Reject]]:
    """The seeds of all sources in their order, and what was left out.

    `held_out` are the texts an evaluation uses: near-copies of them are left out, so that nobody trains on them.
    """
    evaluated = NearCopies(NEAR_COPY)
    for number, text in enumerate(held_out, 1):
        evaluated.add(text, f"held-out text {number}")
    earlier = NearCopies(NEAR_COPY)
    seeds: list[Seed] = []
    rejects: list[Reject] = []
    for source in sources:
        for raw in read(source):
            seed, finding = _seed(raw)
            if finding is None and (near := evaluated.find(seed.instruction)):
                finding = Finding("held_out", f"{near.score:.2f} ROUGE-L with {near.name}")
            if finding is None and (near := earlier.find(seed.instruction)):
                finding = Finding("duplicate", f"{near.score:.2f} ROUGE-L with {near.name}")
            if finding:
                rejects.append(Reject(STAGE, raw.where, seed.instruction, (finding,), seed.category))
                continue
            earlier.add(seed.instruction, raw.where)
            seeds.append(seed)
    return seeds, rejects


def held_out_texts(data: Path) -> list[str]:
    """Every instruction and prompt of the held-out families in the folder `data`; none without such a folder."""
    texts = []
    for name, columns in (("refine", ("raw", "refined")), ("expand", ("instruction",))):
        if (data / name).is_dir():
            texts += [text_of(row, column) for row in read_rows(data / name, "dev") for column in columns]
    if (data / "families").is_dir():
        texts += [pair.instruction for row in read_rows(data / "families", "dev") for pair in pairs_of(row, "items")]
    return texts


def _seed(raw: Raw) -> tuple[Seed, Finding | None]:
    text = clean(raw.instruction)
    seed = Seed(raw.id or seed_id(text), text, language(text), raw.where)
    if raw.response:
        seed = replace(seed, response=clean(raw.response))
    if raw.category in labels():
        seed = replace(seed, category=raw.category, how="given")
    return seed, raw.fault or _fault(text)


def _fault(text: str) -> Finding | None:
    if language(text) == "other":
        return Finding("language", "neither Latin script nor Chinese")
    count = len(tokens(text))
    if count < LEAST_WORDS:
        return Finding("too_short", f"{count} words")
    if len(text) > MOST_CHARS:
        return Finding("too_long", f"{len(text):,} characters, at most {MOST_CHARS:,}")
    if "\ufffd" in text:
        return Finding("broken_text", "holds a character that was lost in a conversion")
    return form.loop(text) or form.leak(text, "")
