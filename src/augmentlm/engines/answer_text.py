"""What is shown and kept of a server's answer while it comes: its text, without what the model thought before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from augmentlm.tasks import whole_characters

_OPENS, _CLOSES = "<think>", "</think>"


@dataclass
class AnswerText:
    """An answer, piece by piece. Some servers leave a reasoning model's thoughts at its head, between `<think>` and
    `</think>`; some end an event between the two halves of a character."""

    pieces: list[str] = field(default_factory=list)
    _waiting: str = ""
    _stage: Literal["begins", "thinks", "has thought", "writes"] = "begins"

    def __str__(self) -> str:
        return "".join(self.pieces)

    def add(self, piece: str) -> str:
        """What can be shown now that this has come: nothing while the model thinks."""
        piece, self._waiting = self._waiting + piece, ""
        if self._stage == "begins":
            begun = piece.lstrip()
            if begun.startswith(_OPENS):
                self._stage = "thinks"
            elif _OPENS.startswith(begun):
                self._waiting = piece
                return ""
            else:
                self._stage = "writes"
        if self._stage == "thinks":
            thoughts, closes, rest = piece.partition(_CLOSES)
            if not closes:
                self._waiting = thoughts[-len(_CLOSES) :]
                return ""
            piece, self._stage = rest, "has thought"
        if self._stage == "has thought":
            piece = piece.lstrip()
            self._stage = "writes" if piece else "has thought"
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._waiting = piece[:-1], piece[-1]
        return self._shown(whole_characters(piece))

    def end(self) -> str:
        """What had waited for more, when nothing more comes. Thoughts that have not ended are no answer."""
        waiting, self._waiting = self._waiting, ""
        return self._shown(whole_characters(waiting)) if self._stage in ("begins", "writes") else ""

    def _shown(self, piece: str) -> str:
        if piece:
            self.pieces.append(piece)
        return piece
