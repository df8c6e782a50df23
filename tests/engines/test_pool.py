"""Sharing, waiting, making room and forgetting, with engines that are made at once."""

import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from augmentlm import catalog
from augmentlm.engines.pool import EnginePool, default_pool
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import EngineError, StoppedError, WeightsError
from augmentlm.machine import OVERHEAD, Plan
from augmentlm.weights import Told

GIB = 1024**3
PATIENCE = 10


def plan(model: str = "augmentlm-0.5b-refine", *, gigabytes: float = 1, **changes) -> Plan:
    entry = catalog.model(model)
    return replace(Plan(entry, "llamacpp", "Q4_K_M", "cpu", int(gigabytes * GIB), "fits"), **changes)


REFINE, EXPAND = plan(), plan("augmentlm-0.5b-expand")
REFERENCE = plan("qwen2.5-coder-1.5b-instruct", gigabytes=2)


class Computer:
    """Makes engines that take up memory and give it back, and notes what happened."""

    def __init__(self, gigabytes: float = 100) -> None:
        self.free = int(gigabytes * GIB)
        self.made: list[str] = []
        self.closed: list[str] = []
        self.fetched: list[str] = []
        self.loading = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.failures: list[BaseException] = []

    def fetch(self, plan, progress, stop) -> Path:
        self.fetched.append(plan.model.artifact.name)
        self.loading.set()
        while not self.go_on.wait(0.01):
            progress(5, 10)
            if stop.is_set():
                raise StoppedError()
        if self.failures:
            raise self.failures.pop(0)
        progress(10, 10)
        return Path("weights.gguf")

    def make(self, plan, path, progress, stop) -> ScriptedEngine:
        computer = self
        progress(1, 100, "convert")

        class Engine(ScriptedEngine):
            def close(self) -> None:
                computer.free += plan.bytes_needed
                computer.closed.append(plan.model.artifact.name)

        self.free -= plan.bytes_needed
        self.made.append(plan.model.artifact.name)
        return Engine()

    def pool(self, **options) -> EnginePool:
        return EnginePool(fetch=self.fetch, make=self.make, free_bytes=lambda device: self.free, **options)


class Lease(threading.Thread):
    """A lease in a thread of its own: started, it has heard of the bytes, so it is loading or waiting."""

    def __init__(self, pool: EnginePool, plan: Plan, stop: threading.Event | None = None) -> None:
        super().__init__(daemon=True)
        self.pool, self.plan, self.stop = pool, plan, stop
        self.heard: list[Told] = []
        self.is_under_way = threading.Event()
        self.start()
        assert self.is_under_way.wait(PATIENCE)

    def hear(self, *told) -> None:
        self.heard.append(Told(*told))
        self.is_under_way.set()

    def run(self) -> None:
        try:
            with self.pool.lease(self.plan, progress=self.hear, stop=self.stop) as engine:
                self.outcome = engine
        except BaseException as error:
            self.outcome = error

    def result(self):
        self.join(PATIENCE)
        return self.outcome


def test_task_models_on_one_base_share_one_engine():
    pool = (computer := Computer()).pool()
    with pool.lease(REFINE) as first, pool.lease(EXPAND) as second:
        assert first is second
    with pool.lease(REFINE) as again:
        assert again is first
    assert len(computer.made) == 1 and computer.closed == []


@pytest.mark.parametrize(
    "other",
    [REFERENCE, plan(engine="transformers"), plan(quantization="nf4"), plan(device="cuda")],
    ids=["artifact", "engine", "quantization", "device"],
)
def test_another_base_or_way_of_running_it_gets_an_engine_of_its_own(other):
    pool = Computer().pool()
    with pool.lease(REFINE) as first, pool.lease(other) as second:
        assert first is not second
    assert pool.loaded() == [other, REFINE], "the last to be given back is the most recently used"


@pytest.fixture
def slow() -> Computer:
    """A computer on which loading takes until `go_on` is set."""
    computer = Computer()
    computer.go_on.clear()
    return computer


def test_three_who_ask_at_once_load_it_once(slow):
    pool = slow.pool()
    leases = [Lease(pool, each) for each in (REFINE, EXPAND, REFINE)]
    slow.go_on.set()
    engines = [lease.result() for lease in leases]
    assert len(slow.made) == 1 and engines[0] is engines[1] is engines[2]


def test_who_waits_for_another_hears_how_far_it_is_too(slow):
    pool = slow.pool()
    first, second = Lease(pool, REFINE), Lease(pool, EXPAND)
    slow.go_on.set()
    first.result(), second.result()
    assert second.heard[0] == Told(5, 10)
    assert second.heard[-2:] == [Told(10, 10), Told(1, 100, "convert")]


def test_who_waits_for_another_can_be_stopped_and_the_loading_goes_on(slow):
    pool = slow.pool()
    stop = threading.Event()
    loader, waiter = Lease(pool, REFINE), Lease(pool, EXPAND, stop)
    stop.set()
    assert isinstance(waiter.result(), StoppedError)
    slow.go_on.set()
    assert isinstance(loader.result(), ScriptedEngine)


def test_when_the_one_who_loads_is_stopped_the_next_takes_over(slow):
    pool = slow.pool()
    stop = threading.Event()
    loader, waiter = Lease(pool, REFINE, stop), Lease(pool, EXPAND)
    stop.set()
    assert isinstance(loader.result(), StoppedError)
    slow.go_on.set()
    assert isinstance(waiter.result(), ScriptedEngine) and len(slow.fetched) == 2


def test_a_failure_reaches_all_who_wait_and_the_next_lease_tries_again(slow):
    slow.failures.append(WeightsError("No network."))
    pool = slow.pool()
    leases = [Lease(pool, REFINE), Lease(pool, EXPAND)]
    slow.go_on.set()
    assert [str(lease.result()) for lease in leases] == ["No network."] * 2
    assert len(slow.fetched) == 1 and pool.loaded() == []
    with pool.lease(REFINE) as engine:
        assert engine


def test_two_models_download_at_once_and_load_one_after_the_other(slow):
    loading = threading.Lock()

    def make(plan, path, progress, stop):
        assert loading.acquire(blocking=False), "both would count the same free memory as theirs"
        time.sleep(0.05)
        loading.release()
        return ScriptedEngine()

    pool = EnginePool(fetch=slow.fetch, make=make, free_bytes=lambda device: slow.free)
    leases = [Lease(pool, REFINE), Lease(pool, REFERENCE)]
    slow.go_on.set()
    assert all(isinstance(lease.result(), ScriptedEngine) for lease in leases)


def test_idle_engines_make_room_the_least_recently_used_first():
    pool = (computer := Computer(gigabytes=4)).pool()
    with pool.lease(REFERENCE), pool.lease(REFINE):
        pass
    with pool.lease(REFERENCE):  # used again: now the small one is the older
        pass
    with pool.lease(plan("qwen2.5-coder-1.5b-instruct", quantization="other", gigabytes=2)):
        assert computer.closed == [REFINE.model.artifact.name]
        assert REFERENCE in pool.loaded()


def test_nothing_is_unloaded_while_there_is_room():
    pool = (computer := Computer(gigabytes=4)).pool()
    with pool.lease(REFINE), pool.lease(REFERENCE):
        pass
    assert computer.closed == [] and len(pool.loaded()) == 2


def test_what_is_leased_is_not_unloaded_and_the_refusal_says_how_much_is_missing():
    pool = (computer := Computer(gigabytes=2.5)).pool()
    with pool.lease(REFINE):
        with pytest.raises(EngineError, match=r"needs 1\.8 GB.*1\.5 GB are free now.*Close other programs") as caught:
            pool.lease(plan("qwen2.5-coder-1.5b-instruct", gigabytes=2.4)).__enter__()
        assert caught.value.retryable and computer.closed == []
        assert pool.loaded() == [REFINE]
    with pool.lease(plan("qwen2.5-coder-1.5b-instruct", gigabytes=2.4)):
        assert computer.closed == [REFINE.model.artifact.name]


def test_a_model_whose_weights_and_cache_just_fit_is_loaded():
    needed = plan(gigabytes=3)
    pool = Computer(gigabytes=3 - OVERHEAD["cpu"] / GIB + 0.01).pool()
    with pool.lease(needed) as engine:
        assert engine


def test_engines_on_the_cpu_are_not_in_the_way_of_one_on_the_gpu():
    pool = (computer := Computer(gigabytes=2)).pool()
    with pool.lease(REFINE):
        pass
    with pytest.raises(EngineError, match="GPU memory"):
        pool.lease(plan(device="cuda", gigabytes=4)).__enter__()
    assert computer.closed == []


def test_an_engine_is_unloaded_after_idling_and_loaded_again_when_asked_for():
    pool = (computer := Computer()).pool(idle_seconds=0.05)
    with pool.lease(REFINE):
        time.sleep(0.2)
        assert computer.closed == [], "it is leased"
    deadline = time.monotonic() + PATIENCE
    while not computer.closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(computer.closed) == 1 and pool.loaded() == []
    with pool.lease(REFINE):
        assert len(computer.made) == 2


def test_using_an_engine_again_puts_off_its_unloading():
    pool = (computer := Computer()).pool(idle_seconds=1)
    with pool.lease(REFINE):
        pass
    time.sleep(0.7)
    with pool.lease(REFINE):
        pass
    time.sleep(0.6)
    assert computer.closed == [] and len(computer.made) == 1


def test_an_error_in_the_work_gives_the_engine_back():
    pool = (computer := Computer(gigabytes=2.5)).pool()
    with pytest.raises(ZeroDivisionError), pool.lease(REFINE):
        raise ZeroDivisionError
    with pool.lease(REFERENCE):
        assert computer.closed == [REFINE.model.artifact.name]


def test_closing_unloads_everything_and_refuses_what_comes_after():
    pool = (computer := Computer()).pool()
    with ExitStack() as leases:
        leases.enter_context(pool.lease(REFINE))
        leases.enter_context(pool.lease(REFERENCE))
        pool.close()
        assert len(computer.closed) == 2
    with pytest.raises(EngineError, match="unloaded"):
        pool.lease(REFINE).__enter__()


def test_an_engine_that_comes_after_closing_is_closed_as_well(slow):
    pool = slow.pool()
    lease = Lease(pool, REFINE)
    pool.close()
    slow.go_on.set()
    assert isinstance(lease.result(), EngineError) and slow.closed == slow.made


def test_there_is_one_default_pool():
    assert default_pool() is default_pool()
