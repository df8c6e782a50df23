"""Asynchronous work read from ordinary code: what lets a wait for a silent server be cut short."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any

Put = Callable[[Any], None]
Halted = Callable[[], bool]
Work = Callable[[Put, Halted], Coroutine[Any, Any, None]]


def in_background(work: Work, stop: threading.Event) -> Generator[Any, None, None]:
    """What `work` puts, as it comes; its error is raised here. It halts when `stop` is set or the reader leaves.

    The work has a thread and an event loop of its own, because the caller may be inside of another loop (as in a
    notebook).
    """
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    left = threading.Event()
    end = object()

    async def main() -> None:
        try:
            await work(events.put, lambda: stop.is_set() or left.is_set())
        except Exception as error:  # every fault belongs to the reader, in the other thread
            events.put(error)
        else:
            events.put(end)

    def run() -> None:
        try:
            asyncio.run(main())
        except Exception as error:  # no loop to be had, as when file descriptors run out
            events.put(error)

    threading.Thread(target=run, name="endpoint", daemon=True).start()
    try:
        while (event := events.get()) is not end:
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        left.set()
