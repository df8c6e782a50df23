"""What refinement is for: one model answers a raw prompt and each refined one, side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass, field

from augmentlm.arena.contenders import Contender, resolve
from augmentlm.engines.pool import EnginePool
from augmentlm.tasks import check_input
from augmentlm.weights import Told, Work
from augmentlm.weights.pulled import find

ANSWER_TOKENS = 256
"""The longest answer: enough to see where it goes, soon enough on two cores."""


@dataclass
class Answer:
    """The answer to one prompt while it is written."""

    prompt: str
    pieces: list[str] = field(default_factory=list)
    problem: BaseException | None = None
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Answers:
    """A model's answers to several prompts, all written at once. Raises `InputError` for an empty prompt."""

    def __init__(self, prompts: Sequence[str], by: Contender, pool: EnginePool | None) -> None:
        self.by = by
        self.answers = [Answer(str(check_input("respond", prompt))) for prompt in prompts]
        self.progress: Told | None = None
        self._pool = pool

    @property
    def over(self) -> bool:
        return all(answer.over.is_set() for answer in self.answers)

    def start(self, stop: threading.Event) -> None:
        for answer in self.answers:
            run = copy_context().run  # ZeroGPU looks there for whose request it is
            threading.Thread(target=run, args=(self._write, answer, stop), name="augmentlm-answer", daemon=True).start()

    def _write(self, answer: Answer, stop: threading.Event) -> None:
        try:
            augmenter = self.by.load("respond", self._pool, self._hear)
            # Not to be closed: that would set the flag that all share.
            for piece in augmenter.stream(answer.prompt, stop=stop, max_tokens=ANSWER_TOKENS):
                answer.pieces.append(piece)
        except BaseException as error:  # shown where the answer is; a thread has nobody else to tell
            if not stop.is_set():
                answer.problem = error
        finally:
            answer.over.set()

    def _hear(self, done: int, total: int, work: Work = "download") -> None:
        self.progress = Told(done, total, work)


def who_answers(right: Contender) -> Contender:
    """The larger model of a duel, where it answers at all; otherwise the reference."""
    if right.endpoint or "respond" in find(right.model).tasks:
        return right
    return Contender(resolve("reference", "respond"))
