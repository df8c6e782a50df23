"""Work behind a page: each run in a thread of its own, with its own stop flag.

Gradio's `cancels=` can end the runs of other visitors, and closing a generator does not end a thread that waits for
weights. So a run has an event that Stop sets, and the page looks at what the thread has made a few times a second.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from augmentlm.errors import StoppedError
from augmentlm.weights import Progress, Told, Work

T = TypeVar("T")

_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 0.6
"""How long a stopped run may take to hand over what it has before the page goes on without it."""


class Stops:
    """The stop flags of all visitors' runs, by session and place on the page.

    A run begins when its button is pressed and may then wait for its turn, so the two steps are told apart here. What
    was asked for may never come to its turn, so each press has a ticket, and its run shows it.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], threading.Event] = {}
        self._waiting: dict[tuple[str, str], tuple[str, threading.Event]] = {}
        self._tickets = count(1)
        self._lock = threading.Lock()

    def begin(self, session: str, place: str) -> str:
        """A run was asked for; gives its ticket. An earlier one of the same session in the same place is stopped."""
        flag = threading.Event()
        with self._lock:
            ticket = str(next(self._tickets))
            earlier = self._newest.get((session, place))
            self._newest[session, place] = flag
            self._waiting[session, place] = ticket, flag
        if earlier:
            earlier.set()
        return ticket

    def take(self, session: str, place: str, ticket: str | None = None) -> threading.Event:
        """It is a run's turn: the flag that was made for it. Without a ticket it is the run that was asked for last.

        The flag of a run that nobody waits for any more is set, and never another's.
        """
        with self._lock:
            waiting = self._waiting.get((session, place))
            if waiting and ticket in (None, waiting[0]):
                del self._waiting[session, place]
                return waiting[1]
        replaced = threading.Event()
        replaced.set()
        return replaced

    def is_waiting(self, session: str, place: str) -> bool:
        """Whether the run that was asked for last has not come to its turn."""
        with self._lock:
            return (session, place) in self._waiting

    def is_running(self, session: str, place: str) -> bool:
        """Whether a run goes on there, or waits for its turn, that nobody has stopped."""
        with self._lock:
            flag = self._newest.get((session, place))
        return flag is not None and not flag.is_set()

    def is_newest(self, session: str, place: str, flag: threading.Event) -> bool:
        """False when another run has taken its place."""
        with self._lock:
            return self._newest.get((session, place)) is flag

    def end(self, session: str, place: str, flag: threading.Event) -> None:
        """The run is over: whatever still works for it stops."""
        flag.set()
        with self._lock:
            if self._newest.get((session, place)) is flag:
                del self._newest[session, place]

    def drop(self, session: str, place: str) -> None:
        """Stop what a session runs, or waits for, in a place, and let it show nothing any more."""
        with self._lock:
            flag = self._newest.pop((session, place), None)
            self._waiting.pop((session, place), None)
        if flag:
            flag.set()

    def stop(self, session: str, place: str) -> None:
        """Stop what a session runs, or waits for, in a place."""
        with self._lock:
            flag = self._newest.get((session, place))
        if flag:
            flag.set()

    def leave(self, session: str) -> None:
        """The session is over: stop all of its runs."""
        with self._lock:
            flags = [flag for (owner, _), flag in self._newest.items() if owner == session]
            for key in [key for key in self._waiting if key[0] == session]:
                del self._waiting[key]
        for flag in flags:
            flag.set()


@dataclass
class News(Generic[T]):
    """What came since the last look: new items, and how far the weights are while they come."""

    items: list[T] = field(default_factory=list)
    progress: Told | None = None


def follow(work: Callable[[Progress], Iterator[T]], stop: threading.Event) -> Iterator[News[T]]:
    """Run `work` in a thread and tell what it makes, several times a second when there is something to tell.

    Ends when the work ends, raising what it raised. When `stop` is set the work has a moment to hand over what it
    has; then `StoppedError` is raised. Leaving the iteration sets `stop`.
    """
    made: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
    told: list[Told] = []

    def hear(done: int, total: int, work: Work = "download") -> None:
        told.append(Told(done, total, work))

    def run() -> None:
        try:
            for item in work(hear):
                made.put(item)
            made.put(_End(None))
        except BaseException as error:  # handed over to the reader, who raises it
            made.put(_End(error))

    # With the caller's context, in which ZeroGPU looks for whose request it is.
    threading.Thread(target=copy_context().run, args=(run,), name="augmentlm-run", daemon=True).start()
    stopped_at: float | None = None
    try:
        while True:
            news, end = _look(made)
            if told:
                news.progress = told[-1]
                told.clear()
            if news.items or news.progress:
                yield news
            if end:
                if end.error:
                    raise end.error
                return
            if stop.is_set():
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at > _PATIENCE_SECONDS:
                    raise StoppedError
    finally:
        stop.set()


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def _look(made: queue.SimpleQueue[T | _End]) -> tuple[News[T], _End | None]:
    """Wait for a first item for at most one look, then take all there are."""
    news: News[T] = News()
    wait = _LOOK_SECONDS
    while True:
        try:
            item = made.get(timeout=wait) if wait else made.get_nowait()
        except queue.Empty:
            return news, None
        if isinstance(item, _End):
            return news, item
        news.items.append(item)
        wait = 0.0
