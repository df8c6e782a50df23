"""Who is worked on now: places in a server that takes a few rows at once, given in the order of asking."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
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
        self._taken = 0

    @contextmanager
    def place(self, adapter: str | None, given_up: Callable[[], bool]) -> Generator[bool, None, None]:
        """A place, held until the block ends. False, and no place, when `given_up` comes true before."""
        got = self._enter(adapter, given_up)
        try:
            yield got
        finally:
            if got:
                with self._changed:
                    self._taken -= 1
                    self._changed.notify_all()

    def _enter(self, adapter: str | None, given_up: Callable[[], bool]) -> bool:
        me = object()
        with self._changed:
            self._queue.append(me)
            try:
                while not given_up():
                    if self._queue[0] is me and self._has_room(adapter):
                        self._adapter = adapter
                        self._taken += 1
                        return True
                    self._changed.wait(POLL_SECONDS)
                return False
            finally:
                self._queue.remove(me)
                self._changed.notify_all()

    def _has_room(self, adapter: str | None) -> bool:
        return self._taken == 0 or (self._taken < self.count and self._adapter == adapter)
