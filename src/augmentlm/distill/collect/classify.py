"""The second stage: which type of task each seed is. The teacher says, or embeddings do where that is too dear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from augmentlm.checks import Finding
from augmentlm.distill.collect import lessons
from augmentlm.distill.collect.labels import labels, read_label
from augmentlm.distill.collect.seeds import Reject, Seed
from augmentlm.distill.collect.teacher import Teacher
from augmentlm.distill.sets import read_rows

if TYPE_CHECKING:
    from augmentlm.distill.kinds import Embed

STAGE = "classify"
_SETTINGS = {"temperature": 0.0, "max_tokens": 12}


def by_teacher(seeds: Sequence[Seed], teacher: Teacher) -> tuple[list[Seed], list[Reject]]:
    """The seeds with their categories, in their order. One whose label can't be read is left out with the reply."""
    lesson = lessons.classify()
    chats = {seed.id: lesson.chat(seed.instruction) for seed in seeds if not seed.category}
    answers = teacher.ask(STAGE, chats, **_SETTINGS)
    sorted_, rejects = [], []
    for seed in seeds:
        if seed.category:
            sorted_.append(seed)
        elif label := read_label(answers[seed.id].text):
            sorted_.append(replace(seed, category=label, how="teacher"))
        else:
            finding = Finding("unclassified", f"the reply was {answers[seed.id].text.strip()!r}")
            rejects.append(Reject(STAGE, seed.id, seed.instruction, (finding,)))
    return sorted_, rejects


def by_embedding(seeds: Sequence[Seed], embed: Embed, data: Path) -> tuple[list[Seed], list[Reject]]:
    """The category whose known instructions are nearest on the whole: those taught in `data/expand`, and each
    label's own example and description."""
    import numpy as np

    known = {name: [label.example, label.what] for name, label in labels().items()}
    if (data / "expand").is_dir():
        for row in read_rows(data / "expand", "train"):
            known.get(row["category"], []).append(row["instruction"])
    vectors = embed([text for texts in known.values() for text in texts])
    parts = np.split(vectors, np.cumsum([len(texts) for texts in known.values()])[:-1])
    centres = np.stack([part.mean(axis=0) for part in parts])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    open_ = [seed for seed in seeds if not seed.category]
    names = list(known)
    nearest = (embed([seed.instruction for seed in open_]) @ centres.T).argmax(axis=1) if open_ else []
    found = {seed.id: names[int(place)] for seed, place in zip(open_, nearest, strict=True)}
    return [seed if seed.category else replace(seed, category=found[seed.id], how="embedding") for seed in seeds], []
