"""Who is worked on now: places in a server that takes a few rows at once, given in the order of asking."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager

POLL_SECONDS = 0.05
"""How often someone who waits looks whether they still need to."""


class Slots:
    """`count` places for rows of one adapter at a time.

    llama.cpp computes rows of different adapters one after the other and favours the first of them for as long as it
    goes on. Here a row waits for those before it and for no others, so a long batch can't keep a person out.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._adapter: str | None = None
        self._free = list(range(count))  # the one that was left last comes last
        self._kinds: dict[int, Hashable] = {}
        self._entered = 0

    @contextmanager
    def place(
        self, adapter: str | None, kind: Hashable, given_up: Callable[[], bool]
    ) -> Generator[int | None, None, None]:
        """The number of a place, held until the block ends; None when `given_up` comes true before there is one.

        It is a place that had a row of the same `kind` before, if one is free: there much is read already.
        """
        place = self._enter(adapter, kind, given_up)
        try:
            yield place
        finally:
            if place is not None:
                with self._changed:
                    self._free.append(place)
                    self._changed.notify_all()

    def alone(self) -> int | None:
        """For someone inside: None while others are too, else a number that changes when others come."""
        with self._changed:
            return self._entered if len(self._free) == self.count - 1 else None

    def _enter(self, adapter: str | None, kind: Hashable, given_up: Callable[[], bool]) -> int | None:
        me = object()
        with self._changed:
            self._queue.append(me)
            try:
                while not given_up():
                    if self._queue[0] is me and self._has_room(adapter):
                        self._adapter = adapter
                        self._entered += 1
                        place = next((place for place in reversed(self._free) if self._kinds.get(place) == kind), None)
                        place = self._free[0] if place is None else place
                        self._free.remove(place)
                        self._kinds[place] = kind
                        return place
                    self._changed.wait(POLL_SECONDS)
                return None
            finally:
                self._queue.remove(me)
                self._changed.notify_all()

    def _has_room(self, adapter: str | None) -> bool:
        return len(self._free) == self.count or (bool(self._free) and self._adapter == adapter)
