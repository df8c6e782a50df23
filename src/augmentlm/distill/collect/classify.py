"""The second stage: which type of task each seed is. The teacher says, or embeddings do where that is too dear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from augmentlm.checks import Finding
from augmentlm.checks.language import language
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
            reply, why = answers[seed.id].text.strip(), answers[seed.id].refused
            finding = Finding("refused", why) if why else Finding("unclassified", f"the reply was {reply!r}")
            rejects.append(Reject(STAGE, seed.id, seed.instruction, (finding,)))
    return sorted_, rejects


def by_embedding(seeds: Sequence[Seed], embed: Embed, data: Path) -> tuple[list[Seed], list[Reject]]:
    """The category whose known instructions are nearest on the whole: those taught in `data/expand`, and each
    label's own example and description.

    Only instructions in the seed's own language count, because what tells Chinese texts from English ones is far more
    than what tells task types apart. A category that has none in that language is never found.
    """
    import numpy as np

    known: dict[tuple[str, str], list[str]] = {
        ("en", name): [label.example, label.what] for name, label in labels().items()
    }
    if (data / "expand").is_dir():
        for row in read_rows(data / "expand", "train"):
            if row["category"] in labels():
                known.setdefault((language(row["instruction"]), row["category"]), []).append(row["instruction"])
    vectors = embed([text for texts in known.values() for text in texts])
    parts = np.split(vectors, np.cumsum([len(texts) for texts in known.values()])[:-1])
    centres = np.stack([part.mean(axis=0) for part in parts])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    spoken = {name: [place for place, key in enumerate(known) if key[0] == name] for name, _ in known}
    keys = list(known)
    open_ = [seed for seed in seeds if not seed.category]
    found = {}
    for seed, row in zip(open_, embed([seed.instruction for seed in open_]) if open_ else [], strict=True):
        places = spoken.get(seed.language) or list(range(len(keys)))
        found[seed.id] = keys[places[int((centres[places] @ row).argmax())]][1]
    return [seed if seed.category else replace(seed, category=found[seed.id], how="embedding") for seed in seeds], []
