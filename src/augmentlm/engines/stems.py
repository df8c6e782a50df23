"""What the slots of llama.cpp hold of a task's own words, so that they are read once and not for every input."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from augmentlm.engines.llama_server import LlamaServer
from augmentlm.engines.slots import Slots


@dataclass(frozen=True)
class _Held:
    """A stem in a slot, the token that follows it there, and whether it was read with no other row at work."""

    kind: Hashable
    following: int
    alone: bool


class Stems:
    """The beginnings of prompts that were read already, by slot.

    llama.cpp doesn't read again what a slot holds of a prompt's beginning, as far as the two agree. How it was cut into
    steps, and what was worked on beside it, decides how its numbers are rounded. So that a text alone doesn't depend
    on the ones before, its slot is left with the stem and nothing after it, and the stem was read in one way: from
    empty, alone.

    `end` is a token that no user's words begin with. A slot's entries are touched by the row in it and nobody else.
    """

    def __init__(self, server: LlamaServer, slots: Slots, end: int) -> None:
        self._server = server
        self._slots = slots
        self._end = end
        self._held: dict[int, _Held] = {}

    def forget(self, slot: int) -> None:
        """Rows of a batch read as they come."""
        self._held.pop(slot, None)

    def read(
        self,
        slot: int,
        kind: Hashable,
        stem: Sequence[int],
        following: int,
        lora: list[dict[str, Any]],
        given_up: Callable[[], bool],
    ) -> None:
        """Make a slot ready for a prompt that goes on with the token `following` after its stem.

        It takes no time when the slot's last prompt of the same `kind` (adapter and stem) went on differently, and a
        single token's time when it went on the same.
        """
        held = self._held.pop(slot, None)
        is_here = held is not None and held.kind == kind and (held.alone or self._slots.alone() is None)
        if held is None or not is_here or held.following == following:
            before = self._slots.alone()
            body = {"prompt": [*stem, self._end], "max_tokens": 0, "lora": lora, "id_slot": slot}
            # A stream that tells how far it is can be left between two steps.
            body |= {"cache_prompt": is_here, "stream": True, "return_progress": True}
            self._server.complete(body, lambda chunk: given_up())
            if given_up():
                return
            if held is None or not is_here:
                held = _Held(kind, following, before is not None and self._slots.alone() == before)
        self._held[slot] = _Held(kind, following, held.alone)
