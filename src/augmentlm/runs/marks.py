"""A model as judge of a row: what it is asked, and the mark in its reply."""

from __future__ import annotations

import re

from augmentlm.examples import Example
from augmentlm.tasks import clean

HIGHEST = 5
SAMPLING = {"temperature": 0.0, "max_tokens": 16}

_QUESTION = (
    "Below is a row of training data{parts}. Mark it from 1 to 5. 5: {best}. 3: usable with faults. 1: useless, wrong, "
    "or not a request at all. Be strict. Reply with the number alone.\n\n{row}"
)
_BEST = {
    True: "the instruction is clear and complete, and the response does what it asks, correctly and in full",
    False: "the instruction is clear and complete and can be carried out",
}
_MARK = re.compile(r"\W*(?:mark|score|rating)?\W*([1-5])(?:\s*(?:/|of|out of)\s*5)?\b", re.IGNORECASE)


def question(example: Example) -> str:
    """The question about a row. Its own headings can't pass for the question's: they stand behind bars."""
    turns = [(f"{turn.role.capitalize()} before", turn.content) for turn in example.context]
    parts = [
        *turns,
        ("Instruction", example.instruction),
        *([("Response", example.response)] if example.response else []),
    ]
    row = "\n\n".join(f"{name}:\n{_barred(text)}" for name, text in parts)
    both = ": an instruction and its response" if example.response else ": an instruction"
    return _QUESTION.format(parts=both, best=_BEST[bool(example.response)], row=row)


def mark(reply: str) -> int | None:
    """The mark in a reply, None when there is none."""
    found = _MARK.match(clean(reply))
    return int(found.group(1)) if found else None


def _barred(text: str) -> str:
    return "\n".join(f"| {line}" for line in text.split("\n"))
