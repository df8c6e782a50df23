"""Places of rows: who waits for whom."""

import threading
from contextlib import ExitStack

import pytest

from augmentlm.engines.slots import Slots


def never() -> bool:
    return False


class Asker(threading.Thread):
    """Takes a place in a thread of its own and holds it until `leave`. Made, it is inside or stands in the queue."""

    def __init__(self, slots: Slots, adapter: str | None = None) -> None:
        super().__init__(daemon=True)
        self.slots, self.adapter = slots, adapter
        self.asked = threading.Event()
        self.gives_up = threading.Event()
        self.inside = threading.Event()
        self.out = threading.Event()
        self.start()
        assert self.asked.wait(10)

    def has_given_up(self) -> bool:
        """Asked while standing in the queue, each time before waiting."""
        self.asked.set()
        return self.gives_up.is_set()

    def run(self) -> None:
        with self.slots.place(self.adapter, self.adapter, self.has_given_up) as got:
            if got is not None:
                self.inside.set()
                self.out.wait(10)

    def leave(self) -> None:
        self.out.set()
        self.join(10)


def test_as_many_as_there_are_slots_are_inside_and_the_next_waits():
    slots = Slots(2)
    first, second, third = (Asker(slots) for _ in range(3))
    assert first.inside.wait(10) and second.inside.wait(10)
    assert not third.inside.wait(0.2)
    second.leave()
    assert third.inside.wait(10)


def test_rows_of_another_adapter_wait_until_all_of_the_first_are_done():
    slots = Slots(4)
    refine, again, expand = Asker(slots, "refine"), Asker(slots, "refine"), Asker(slots, "expand")
    refine.leave()
    assert again.inside.wait(10) and not expand.inside.wait(0.2)
    again.leave()
    assert expand.inside.wait(10)


def test_who_waits_is_not_overtaken_by_later_rows_of_the_adapter_that_runs():
    slots = Slots(4)
    batch, person, more_of_the_batch = Asker(slots, "expand"), Asker(slots, "refine"), Asker(slots, "expand")
    assert not more_of_the_batch.inside.wait(0.2)
    batch.leave()
    assert person.inside.wait(10) and not more_of_the_batch.inside.is_set()
    person.leave()
    assert more_of_the_batch.inside.wait(10)


def test_who_gives_up_makes_way_for_those_behind():
    slots = Slots(1)
    running, tired, patient = Asker(slots), Asker(slots), Asker(slots)
    tired.gives_up.set()
    tired.join(10)
    assert not tired.inside.is_set()
    running.leave()
    assert patient.inside.wait(10)


def test_a_place_is_given_back_when_the_work_fails():
    slots = Slots(1)
    with pytest.raises(RuntimeError), slots.place(None, "a", never):
        raise RuntimeError
    with slots.place(None, "a", never) as got:
        assert got == 0


def test_after_one_adapter_has_left_another_comes_at_once():
    slots = Slots(2)
    with ExitStack() as stack:
        stack.enter_context(slots.place("refine", "a", never))
    with slots.place("expand", "b", never) as got:
        assert got is not None


def test_those_inside_have_places_of_their_own_and_one_alone_returns_to_where_its_kind_was():
    slots = Slots(3)
    with ExitStack() as stack:
        assert {stack.enter_context(slots.place(None, "a", never)) for _ in range(3)} == {0, 1, 2}

    def alone(kind: str) -> int | None:
        with slots.place(None, kind, never) as place:
            return place

    first, second = alone("first"), alone("second")
    assert first != second
    assert [alone("first"), alone("second"), alone("first")] == [first, second, first]


def test_of_more_kinds_than_places_the_one_that_was_away_longest_makes_room():
    slots = Slots(2)

    def alone(kind: str) -> int | None:
        with slots.place(None, kind, never) as place:
            return place

    first, second = alone("first"), alone("second")
    assert alone("third") == first
    assert (alone("second"), alone("third")) == (second, first)


def test_who_is_alone_inside_learns_of_those_who_came_and_left():
    slots = Slots(3)
    with slots.place(None, "a", never):
        before = slots.alone()
        assert before is not None and slots.alone() == before
        with slots.place(None, "a", never):
            assert slots.alone() is None
        assert slots.alone() not in (None, before)
