"""Is a text in the form asked for: whole, without chatter, without pieces of the prompt?"""

from __future__ import annotations

import re
from collections import Counter

from augmentlm.checks.finding import Finding
from augmentlm.checks.novelty import is_character, tokens
from augmentlm.engines.base import Finish

_PREAMBLE = re.compile(
    r"^\W{0,4}(?:"
    r"(?:sure|certainly|of course|absolutely|okay|ok|great)\b\W"
    r"|here(?:'s| is| are)\b[^\n:]{0,60}\b(?:prompt|instruction|version|rewrite|pair)s?\b[^\n:]{0,40}:"
    r"|(?:the )?(?:refined|rewritten|revised|improved|new|updated|clear(?:er)?)\b[\w ,]{0,30}"
    r"(?:prompt|instruction|version)\b\W{0,3}(?::|$|\n)"
    r"|(?:prompt|instruction|rewritten prompt|new instruction)\W{0,3}:"
    r"|as an ai\b|i(?:'m| am) sorry,|i (?:can't|cannot) (?:help|assist|answer|provide|fulfil|comply|do that)\b"
    r"|当然|好的[，,。！!]|以下是|这是.{0,12}(?:提示|指令)|(?:改写|优化|新)后?的?(?:提示词?|指令|版本)[：:]|抱歉"
    r")",
    re.IGNORECASE,
)
_LEAKS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "Reply with the rewritten prompt",
    "Reply with the new instruction",
    "a new instruction of the same type as the given one",
    "### End",
)
_LOOP_WORDS, _LOOP_CHARACTERS, _LOOP_TIMES = 6, 12, 4
"""A term of seven Chinese characters may well stand there four times: two are about a word."""
_RULES = frozenset({"|", "---", ":---", "---:", ":---:", "|---|"})
"""What the line below a table's head is made of."""

_RUN, _RUNS, _REPEATED = 4, 20, 0.3
"""A text of at least `_RUNS` runs of words says things twice when this share of them has stood there before. Of 2,820
responses of the teaching data one does, a table."""


def preamble(text: str, source: str = "") -> Finding | None:
    """Talk in front of the text itself: "Sure, here is the refined prompt:", apologies, labels.

    A `source` that begins so itself may be followed by such a text.
    """
    match = _PREAMBLE.match(text)
    if not match or _PREAMBLE.match(source):
        return None
    return Finding("preamble", f"begins with {match.group().strip()!r}")


def cut_off(finish: Finish) -> Finding | None:
    """The text ran into the token limit, or was stopped."""
    if finish == "length":
        return Finding("cut_off", "the token limit came before the end")
    return Finding("cut_off", "stopped before the end") if finish == "cancelled" else None


def leak(text: str, source: str) -> Finding | None:
    """Words of the task's prompt or of the chat markup that the user did not write."""
    for mark in _LEAKS:
        if mark in text and mark not in source:
            return Finding("prompt_leak", f"contains {mark!r}")
    return None


def repeats(response: str) -> Finding | None:
    """A response that says one thing in several places, such as a list whose items are alike."""
    words = tokens(response)
    runs = [tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1)]
    share = 1 - len(set(runs)) / len(runs) if len(runs) >= _RUNS else 0.0
    return Finding("loop", f"{share:.0%} of it has been said before") if share > _REPEATED else None


def loop(text: str) -> Finding | None:
    """The same few words again and again."""
    found = tokens(text)
    if 2 * sum(map(is_character, found)) > len(found):
        words, size, between = found, _LOOP_CHARACTERS, ""
    elif " " in text:
        words, size, between = text.split(), _LOOP_WORDS, " "
    else:
        words, size, between = list(text), _LOOP_CHARACTERS, ""
    runs = Counter(tuple(words[start : start + size]) for start in range(len(words) - size + 1))
    for run, times in runs.most_common():
        if times < _LOOP_TIMES:
            break
        if len(set(run)) > 1 and not _RULES.issuperset(run):
            return Finding("loop", f"{between.join(run)!r} stands there {times} times")
    return None
