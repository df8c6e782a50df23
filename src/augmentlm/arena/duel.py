"""A duel: two models answer the same input at the same time, unnamed, until both are done or someone votes."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal

from augmentlm import catalog
from augmentlm.arena.contenders import Contender, check_pair
from augmentlm.arena.level import Level
from augmentlm.arena.votes import PEOPLE, Entry, Vote, Winner
from augmentlm.augmenter import Augmenter
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError
from augmentlm.results import Result
from augmentlm.tasks import PROMPT_VERSION, Task, TaskInput, check_input
from augmentlm.weights import Told, Work

Place = Literal["a", "b"]
Choice = Literal["a", "b", "tie", "both_bad"]
PLACES: tuple[Place, Place] = ("a", "b")

SETTLE_SECONDS = 0.7
"""How long a vote waits for the models to hand over their numbers once they were stopped."""


@dataclass
class Writing:
    """One side while it writes. `pieces` grow; then there is a `result` or a `problem`. `progress` tells how far its
    weights are."""

    contender: Contender
    pieces: list[str] = field(default_factory=list)
    result: Result | None = None
    problem: BaseException | None = None
    progress: Told | None = None
    augmenter: Augmenter | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def hear(self, done: int, total: int, work: Work = "download") -> None:
        self.progress = Told(done, total, work)


class Duel:
    """Two contenders and one input. Who stands at A is drawn when it is made, and told by `sides` alone.

    Raises `InputError` for an input that can't be worked on and for contenders that can't stand against each other.
    """

    def __init__(
        self,
        task: Task,
        value: TaskInput,
        left: Contender,
        right: Contender,
        *,
        pool: EnginePool | None = None,
        blind: bool = True,
        max_tokens: int | None = None,
        random: Random | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.value = check_input(task, value)
        check_pair(left, right, task)
        self.task: Task = task
        self.blind = blind
        self.id = uuid.uuid4().hex
        self.stop = threading.Event()
        self.vote: Vote | None = None
        self.voting = threading.Lock()
        """Held while a vote is kept, so that two clicks are one vote."""
        self._max_tokens = max_tokens
        self._pool = pool
        self._now = now
        self._level = Level()
        self._seen: tuple[str, str] | None = None
        self._lock = threading.Lock()
        order = (left, right) if (random or secrets.SystemRandom()).random() < 0.5 else (right, left)
        self._left_first = order[0] is left
        self.sides: dict[Place, Writing] = {place: Writing(each) for place, each in zip(PLACES, order, strict=True)}

    @property
    def left(self) -> Writing:
        return self.sides["a" if self._left_first else "b"]

    @property
    def right(self) -> Writing:
        return self.sides["b" if self._left_first else "a"]

    @property
    def failed(self) -> bool:
        """One side has broken down: there is nothing to vote on."""
        return any(side.problem for side in self.sides.values())

    @property
    def over(self) -> bool:
        """Both are done, and everything is shown."""
        return all(side.over.is_set() for side in self.sides.values()) and (
            self.stop.is_set() or self.failed or not self.blind or self.shown() == self._whole()
        )

    def start(self, stop: threading.Event | None = None) -> None:
        """Let both write, each in a thread of its own; they begin when both are loaded. `stop` ends it."""
        self.stop = stop or self.stop
        for mine, other in (self.sides.values(), reversed(self.sides.values())):
            run = copy_context().run  # ZeroGPU looks there for whose request it is
            threading.Thread(target=run, args=(self._write, mine, other), name="augmentlm-duel", daemon=True).start()

    def shown(self) -> tuple[str, str]:
        """The texts at A and B as far as they are to be seen now. After `freeze` they don't change."""
        with self._lock:
            if self._seen is not None:
                return self._seen
            if not self.blind or self.failed:
                return self._whole()
            a, b = (list(self.sides[place].pieces) for place in PLACES)
            over = self.sides["a"].over.is_set(), self.sides["b"].over.is_set()
            to_a, to_b = self._level.shown((len(a), len(b)), over, self._now())
            return "".join(a[:to_a]), "".join(b[:to_b])

    def freeze(self) -> tuple[str, str]:
        """Stop both; what is seen now stays. The models get a moment to say how fast they were."""
        seen = self.shown()
        with self._lock:
            self._seen = self._seen or seen
        self.stop.set()
        until = time.monotonic() + SETTLE_SECONDS
        for side in self.sides.values():
            side.over.wait(max(0.0, until - time.monotonic()))
        return self._seen

    def decide(self, choice: Choice) -> Vote:
        """The vote for what is seen now; stops both sides. It is not kept anywhere yet.

        Raises `InputError` when a side has failed, or one has not begun to write yet: that would be a vote on nothing.
        """
        if choice not in ("a", "b", "tie", "both_bad"):
            raise InputError(f"{choice!r} is no vote.", hint="Vote a, b, tie or both_bad.")
        if self.failed:
            raise InputError("One of the models failed, so there is nothing to vote on.", hint="Start again.")
        seen = dict(zip(PLACES, self.shown(), strict=True))
        for place in PLACES:
            if not seen[place].strip() and not (self.sides[place].over.is_set() and self.sides[place].result):
                raise InputError("There are not two texts to vote on yet.", hint="Wait until both have begun.")
        seen = dict(zip(PLACES, self.freeze(), strict=True))
        if self.failed:
            raise InputError("One of the models failed, so there is nothing to vote on.", hint="Start again.")
        winner: Winner = choice if choice in ("tie", "both_bad") else self._winner(choice)  # type: ignore[assignment]
        places: tuple[Place, Place] = PLACES if self._left_first else ("b", "a")
        left, right = (self._entry(self.sides[place], seen[place]) for place in places)
        return Vote(
            id=self.id,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            task=self.task,
            prompt=self.value if isinstance(self.value, str) else [asdict(pair) for pair in self.value],
            left=left,
            right=right,
            order="left_first" if self._left_first else "right_first",
            winner=winner,
            judge=PEOPLE,
            blind=self.blind,
            sampling=self._sampling(),
            prompt_version=PROMPT_VERSION,
        )

    def _winner(self, place: Choice) -> Winner:
        return "left" if (place == "a") == self._left_first else "right"

    def _whole(self) -> tuple[str, str]:
        return self.sides["a"].text, self.sides["b"].text

    def _write(self, mine: Writing, other: Writing) -> None:
        try:
            augmenter = mine.augmenter = mine.contender.load(self.task, self._pool, mine.hear)
            augmenter.warm_up(self.stop)
            mine.ready.set()
            while not (other.ready.is_set() or other.over.is_set() or self.stop.is_set()):
                other.ready.wait(0.05)
            stream = augmenter.stream(self.value, stop=self.stop, max_tokens=self._max_tokens)
            for piece in stream:  # not to be closed: that would set the flag that both share
                mine.pieces.append(piece)
            mine.result = stream.result
        except BaseException as error:  # shown where the side is; a thread has nobody else to tell
            if not self.stop.is_set():
                mine.problem = error
        finally:
            mine.over.set()

    def _entry(self, side: Writing, seen: str) -> Entry:
        result, augmenter = side.result, side.augmenter
        assert augmenter is not None
        return Entry(
            model=augmenter.model,
            engine=augmenter.engine,
            quantization=augmenter.quantization,
            weights=side.contender.weights(),
            text=seen,
            finish=result.finish if result and seen == side.text else "cancelled",
            seed=result.seed if result else None,
            prompt_tokens=result.prompt_tokens if result else 0,
            completion_tokens=result.completion_tokens if result else len(side.pieces),
            ttft_s=round(result.ttft_s, 3) if result else 0.0,
            seconds=round(result.seconds, 3) if result else 0.0,
        )

    def _sampling(self) -> dict[str, Any]:
        values = {name: value for name, value in asdict(catalog.default_sampling(self.task)).items() if name != "seed"}
        return {**values, "max_tokens": self._max_tokens or values["max_tokens"]}
