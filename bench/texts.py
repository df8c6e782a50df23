"""Any number of made-up instructions for benchmarks, out of the teaching data: always the same for the same seed."""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
_PIECE = re.compile(r"\s*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)")


def teaching_texts() -> list[str]:
    """Every prompt and instruction of the teaching data, once."""
    texts: dict[str, None] = {}
    for folder, fields in (("expand", ("instruction", "expansions")), ("refine", ("raw", "refined"))):
        for file in sorted((DATA / folder).glob("*.jsonl")):
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                for field in fields:
                    texts.update(dict.fromkeys([row[field]] if isinstance(row[field], str) else row[field]))
    return list(texts)


def made_up(seed: int = 1, copies: float = 0.1) -> Iterator[str]:
    """Texts in English and Chinese without end. Each word follows the two before it as it does somewhere in the
    teaching data; a share of `copies` repeats an earlier text with up to a third of its words exchanged.

    The vocabulary doesn't grow with the number of texts, as that of people would: the harder case for an index.
    """
    rng = random.Random(seed)
    source = teaching_texts()
    after: dict[tuple[str | None, str | None], list[str | None]] = defaultdict(list)
    for text in source:
        words = [None, None, *_PIECE.findall(text), None]
        for first, second, third in zip(words, words[1:], words[2:], strict=False):
            after[first, second].append(third)
    made: list[str] = []
    while True:
        if made and rng.random() < copies:
            pieces = _PIECE.findall(rng.choice(made))
            for _ in range(rng.randint(0, max(1, len(pieces) // 3))):
                pieces[rng.randrange(len(pieces))] = rng.choice(_PIECE.findall(rng.choice(source)))
        else:
            pieces, state = [], (None, None)
            while (word := rng.choice(after[state])) is not None:
                pieces.append(word)
                state = (state[1], word)
        made.append("".join(pieces))
        yield made[-1]
