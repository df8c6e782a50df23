"""Is an instruction of a length that instructions have? As in Self-Instruct (arXiv 2212.10560, its code's filter)."""

from __future__ import annotations

from augmentlm.checks.finding import Finding
from augmentlm.checks.novelty import tokens


def length(text: str, least: int, most: int) -> Finding | None:
    """Outside `least` to `most` words; Chinese, Japanese and Korean characters count one by one."""
    count = len(tokens(text))
    if count < least:
        return Finding("too_short", f"{count} {'word' if count == 1 else 'words'}, at least {least} are wanted")
    return Finding("too_long", f"{count} words, at most {most} are wanted") if count > most else None
