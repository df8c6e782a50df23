"""One example of a data set, whatever its columns were called: what is asked, what is answered, what went before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

from augmentlm.tasks import Message


@dataclass(frozen=True)
class Example:
    """An instruction, its response ("" when there is none yet) and the turns of the conversation before it.

    In a conversation of several turns the instruction is what the user said last. `kind` is the task type that the
    row names for itself, if it does.
    """

    instruction: str
    response: str = ""
    context: tuple[Message, ...] = ()
    kind: str | None = None

    @property
    def opening(self) -> str:
        """The first thing that the user said."""
        return next((turn.content for turn in self.context if turn.role == "user"), self.instruction)

    @property
    def first_answer(self) -> str:
        """What the opening was answered with; "" when it was not."""
        return next((turn.content for turn in self.messages if turn.role == "assistant"), "")

    @property
    def system(self) -> tuple[Message, ...]:
        """What stands before the opening and holds for the whole conversation."""
        return tuple(takewhile(lambda turn: turn.role == "system", self.context))

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation, with the response at its end if there is one."""
        answer = (Message("assistant", self.response),) if self.response else ()
        return (*self.context, Message("user", self.instruction), *answer)

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Example:
        return cls(**{**values, "context": tuple(Message(**turn) for turn in values["context"])})
