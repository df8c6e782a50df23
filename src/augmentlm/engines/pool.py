"""The engines that are loaded: shared by everyone who needs the same base, unloaded when they are in the way."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from augmentlm.engines.base import Engine
from augmentlm.engines.loading import load
from augmentlm.errors import EngineError, StoppedError
from augmentlm.hardware import inspect, memory
from augmentlm.machine import GB, OVERHEAD, Base, Device, Plan
from augmentlm.weights import Progress, Work, fetch_model

IDLE_SECONDS = 15 * 60.0
"""After this long without work a base is unloaded. Loading it again takes about a second."""

POLL_SECONDS = 0.05

Make = Callable[[Plan, Path, Progress, threading.Event], Engine]
Fetch = Callable[[Plan, Progress, threading.Event], Path]


def free_bytes(device: Device) -> int:
    """Memory that a model could take now: RAM, or that of the GPU with most of it free."""
    return memory()[1] if device == "cpu" else max((gpu.free_bytes for gpu in inspect().gpus), default=0)


def fetch(plan: Plan, progress: Progress, stop: threading.Event) -> Path:
    return fetch_model(plan.model, progress=progress, stop=stop)


class EnginePool:
    """Loaded bases by artifact, engine, quantization and device. Safe to use from several threads.

    A base is loaded at the first lease and stays for the next. It is unloaded `idle_seconds` after the last lease
    ended, or before, the least recently used first, when another model needs its memory; never while it is leased.
    """

    def __init__(
        self,
        *,
        fetch: Fetch = fetch,
        make: Make = load,
        free_bytes: Callable[[Device], int] = free_bytes,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._fetch = fetch
        self._make = make
        self._free_bytes = free_bytes
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._bases: dict[Base, _Base] = {}  # least recently used first
        self._closed = False
        # Held while memory is counted, taken or given back: two models at once would count the same bytes.
        self._memory = threading.RLock()

    @contextmanager
    def lease(
        self, plan: Plan, *, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> Generator[Engine, None, None]:
        """The engine of a plan, for the length of the block; fetched and loaded when it isn't there yet.

        Whoever asks for a base that another is loading waits for it and hears of its `progress` too. Raises
        `StoppedError` when `stop` is set while waiting, `WeightsError` when the weights can't be had, and
        `EngineError` when they can't be loaded or memory is short; the next lease tries again.
        """
        base = self._enter(plan, progress or _unheard, stop or threading.Event())
        assert base.engine is not None
        try:
            yield base.engine
        finally:
            self._leave(base)

    def loaded(self) -> list[Plan]:
        """The plans whose bases are loaded now, the most recently used last."""
        with self._changed:
            return [base.plan for base in self._bases.values() if base.engine]

    def close(self) -> None:
        """Unload everything, also what is leased: work under way ends with an `EngineError`. There is no way back."""
        with self._changed:
            self._closed = True
            bases = [base for base in self._bases.values() if base.engine]
            self._bases.clear()
            self._changed.notify_all()
        for base in bases:
            base.unload()

    def _enter(self, plan: Plan, progress: Progress, stop: threading.Event) -> _Base:
        key = plan.base
        while True:
            with self._changed:
                if self._closed:
                    raise _closing()
                if key not in self._bases:
                    mine = self._bases[key] = _Base(plan, [progress])
                    break
                base = self._bases[key]
                if self._has_come(base, progress, stop):
                    base.leases += 1
                    base.wake()
                    return base
        return self._load(mine, stop)

    def _has_come(self, base: _Base, progress: Progress, stop: threading.Event) -> bool:
        """Wait for a base that another thread loads. False when that thread was stopped, so that this one may try."""
        base.listeners.append(progress)
        try:
            while base.engine is None and base.error is None:
                if stop.is_set():
                    raise StoppedError()
                self._changed.wait(POLL_SECONDS)
        finally:
            base.listeners.remove(progress)
        if base.engine:
            return True
        if isinstance(base.error, Exception) and not isinstance(base.error, StoppedError):
            raise base.error
        return False

    def _load(self, base: _Base, stop: threading.Event) -> _Base:
        try:
            weights = self._fetch(base.plan, base.tell, stop)
            while not self._memory.acquire(timeout=POLL_SECONDS):
                if stop.is_set():
                    raise StoppedError()
            try:
                self._make_room(base.plan)
                engine = self._make(base.plan, weights, base.tell, stop)
            finally:
                self._memory.release()
        except BaseException as error:
            with self._changed:
                base.error = error
                self._bases.pop(base.plan.base, None)
                self._changed.notify_all()
            raise
        with self._changed:
            base.engine = engine
            base.leases += 1
            self._changed.notify_all()
            if not self._closed:
                return base
        engine.close()
        raise _closing()

    def _leave(self, base: _Base) -> None:
        with self._changed:
            base.leases -= 1
            key = base.plan.base
            if base.leases or self._bases.get(key) is not base:
                return
            self._bases[key] = self._bases.pop(key)
            base.timer = threading.Timer(self._idle_seconds, partial(self._unload_idle, base))
            base.timer.daemon = True
            base.timer.start()

    def _make_room(self, plan: Plan) -> None:
        """Unload idle bases until the plan fits what is free, or refuse when its weights and cache don't."""
        while self._free_bytes(plan.device) < plan.bytes_needed:
            with self._changed:
                idle = [base for base in self._bases.values() if base.engine and not base.leases]
                victim = next((base for base in idle if base.plan.device == plan.device), None)
            if victim is None:
                break
            self._unload_idle(victim)
        # The overhead is mostly that of the interpreter and its libraries, which are loaded already.
        needed, free = plan.bytes_needed - OVERHEAD[plan.device], self._free_bytes(plan.device)
        if free < needed:
            kind = "memory" if plan.device == "cpu" else "GPU memory"
            raise EngineError(
                f"{plan.model.title} needs {needed / GB:.1f} GB of {kind}, and {free / GB:.1f} GB are free now.",
                hint="Close other programs, or choose a smaller model.",
                retryable=True,
            )

    def _unload_idle(self, base: _Base) -> None:
        with self._memory:
            with self._changed:
                if base.leases or self._bases.get(base.plan.base) is not base:
                    return
                del self._bases[base.plan.base]
            base.unload()


@dataclass(eq=False)
class _Base:
    """A base, loaded or on its way. `error` is what kept it from coming, `listeners` hear how far it is."""

    plan: Plan
    listeners: list[Progress]
    engine: Engine | None = None
    error: BaseException | None = None
    leases: int = 0
    timer: threading.Timer | None = field(default=None)

    def tell(self, done: int, total: int, work: Work = "download") -> None:
        for listener in tuple(self.listeners):
            listener(done, total, work)

    def wake(self) -> None:
        if self.timer:
            self.timer.cancel()

    def unload(self) -> None:
        self.wake()
        if self.engine:
            self.engine.close()


def _unheard(done: int, total: int, work: Work = "download") -> None:
    """Nobody listens."""


def _closing() -> EngineError:
    return EngineError("The models are being unloaded.", hint="Start again.")


_making = threading.Lock()
_pools: list[EnginePool] = []


def default_pool() -> EnginePool:
    """The pool of this process. What it holds is unloaded when the process ends."""
    with _making:
        if not _pools:
            _pools.append(EnginePool())
            atexit.register(_pools[0].close)
        return _pools[0]
