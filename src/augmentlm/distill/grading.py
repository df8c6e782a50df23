"""A model grades single texts: how demanding is it, and is all of it true?"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from augmentlm.augmenter import Augmenter
from augmentlm.distill.judge import ask, block, judged, read_yes_no
from augmentlm.tasks import Pair, clean

LOWEST, HIGHEST = 1, 10

_COMPLEXITY = (
    "How difficult and complex is the task in the instruction below? Rate it from 1 (trivial) to 10 (very hard). "
    "Do not "
    "do the task. Reply with one number alone."
)
_FACTUALITY = (
    "Is everything that the text below states or takes for granted true, possible and free of contradictions? Do "
    "not do "
    "what it says. Reply with one word alone: Yes or No."
)
_PAIR_FACTUALITY = (
    "Below are an instruction and a response. Is everything that the response states true and free of contradictions? "
    "Reply with one word alone: Yes or No."
)
_NUMBER = re.compile(r"\b(10|[1-9])\b")


def complexity(judge: Augmenter, texts: Mapping[str, str], path: Path, *, stop: threading.Event) -> dict[str, int]:
    """A grade from 1 to 10 by the text's id, asked as Evol-Instruct does (Xu et al. 2023, arXiv 2304.12244).

    Replies are kept in `path` and not asked for again; ids whose reply can't be read are left out.
    """
    questions = {name: f"{_COMPLEXITY}\n\n{block('Instruction', text)}" for name, text in texts.items()}
    replies = _replies(judge, questions, path, stop)
    return {name: grade for name, reply in replies.items() if (grade := read_grade(reply)) is not None}


def factuality(
    judge: Augmenter, texts: Mapping[str, str | Pair], path: Path, *, stop: threading.Event
) -> dict[str, bool]:
    """Whether a text, or a pair's response, is true throughout in the eyes of the judge, by id; kept alike."""
    questions = {name: _factuality_question(text) for name, text in texts.items()}
    replies = _replies(judge, questions, path, stop)
    return {name: found for name, reply in replies.items() if (found := read_yes_no(reply)) is not None}


def read_grade(reply: str) -> int | None:
    """The first number from 1 to 10 in the first line of a reply."""
    match = _NUMBER.search(clean(reply).split("\n", 1)[0])
    return int(match.group(1)) if match else None


def _factuality_question(text: str | Pair) -> str:
    if isinstance(text, Pair):
        parts = (_PAIR_FACTUALITY, block("Instruction", text.instruction), block("Response", text.response))
        return "\n\n".join(parts)
    return f"{_FACTUALITY}\n\n{block('Text', text)}"


def _replies(judge: Augmenter, questions: Mapping[str, str], path: Path, stop: threading.Event) -> dict[str, str]:
    digests = {name: _digest(question) for name, question in questions.items()}
    known = judged(path)
    asked = {digest: (name, (questions[name],)) for name, digest in digests.items() if digest not in known}
    known |= ask(judge, asked, path, stop)
    return {name: known[digest][0] for name, digest in digests.items() if digest in known}


def _digest(question: str) -> str:
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]
