"""A chat in ChatML, cut where markup ends and the user's words begin.

Local engines tokenise the two kinds apart: `<|im_start|>` in a user's text stays the characters it is and never
becomes the token that opens a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from augmentlm.catalog import Chat
from augmentlm.tasks import Message


@dataclass(frozen=True)
class Segment:
    """Text to tokenise. Special tokens are read in `markup` and taken literally elsewhere.

    `fixed` is what many chats hold: all markup, and a task's own words before a user's.
    """

    text: str
    markup: bool
    fixed: bool


def segments(messages: Sequence[Message], chat: Chat) -> list[Segment]:
    """The chat up to where the assistant writes, with the template's own system message when there is none.

    A last message of the assistant's is the beginning of what it writes, and stays open.
    """
    if messages[0].role != "system":
        messages = [Message("system", chat.system, len(chat.system)), *messages]
    pieces: list[Segment] = []
    markup = ""
    for message in messages:
        pieces.append(Segment(f"{markup}<|im_start|>{message.role}\n", markup=True, fixed=True))
        if message.fixed:
            pieces.append(Segment(message.content[: message.fixed], markup=False, fixed=True))
        if words := message.content[message.fixed :]:
            pieces.append(Segment(words, markup=False, fixed=False))
        markup = "<|im_end|>\n"
    if messages[-1].role != "assistant":
        pieces.append(Segment(f"{markup}<|im_start|>assistant\n", markup=True, fixed=True))
    return pieces
