"""Who computes next: a lock that is given in the order of asking."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A lock that serves in the order of asking. A plain one would let a batch keep a person waiting to its end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    def __enter__(self) -> None:
        me = object()
        with self._changed:
            self._queue.append(me)
            try:
                self._changed.wait_for(lambda: self._queue[0] is me)
            except BaseException:  # Ctrl-C while waiting must not leave a place that nobody gives up
                self._leave(me)
                raise

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._leave(self._queue[0])

    def _leave(self, who: object) -> None:
        self._queue.remove(who)
        self._changed.notify_all()
