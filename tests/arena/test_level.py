"""Both texts at one pace."""

import itertools

import pytest

from augmentlm.arena.level import Level


def trail(speeds, lengths, *, step=0.1, most=200.0):
    """What is shown at A and B over time, for texts of `lengths` pieces written at `speeds` pieces a second."""
    level, seen, now = Level(), [], 0.0
    while now < most:
        counts = tuple(min(length, int(speed * now)) for speed, length in zip(speeds, lengths, strict=True))
        over = tuple(count == length for count, length in zip(counts, lengths, strict=True))
        seen.append(level.shown(counts, over, now))
        if seen[-1] == lengths:
            return seen
        now += step
    raise AssertionError("not everything was shown")


def test_who_is_fast_can_not_be_seen():
    assert trail((20, 5), (60, 60)) == trail((5, 20), (60, 60))
    assert all(a == b for a, b in trail((20, 5), (60, 60)))


@pytest.mark.parametrize("lengths", [(60, 90), (90, 60), (3, 200), (60, 60)])
@pytest.mark.parametrize("speeds", [(20, 5), (5, 20), (9, 9)])
def test_texts_only_grow_side_by_side_and_are_shown_to_their_ends(speeds, lengths):
    seen = trail(speeds, lengths)
    assert seen[-1] == lengths
    for before, after in itertools.pairwise(seen):
        assert all(x <= y for x, y in zip(before, after, strict=True))
        shorter = min(lengths)
        assert after[0] == after[1] or min(after) == shorter  # as long as both go on, they are level


@pytest.mark.parametrize("lengths", [(60, 120), (120, 60)])
def test_the_rest_of_the_longer_text_comes_at_the_pace_that_both_had(lengths):
    for speeds in ((40, 5), (5, 40)):
        seen = [max(pair) for pair in trail(speeds, lengths)]
        steps = [after - before for before, after in itertools.pairwise(seen)]
        assert max(steps) <= 2, "it jumps, which tells that it was written long ago"


def test_a_text_that_was_over_before_the_other_began_waits_for_it():
    level = Level()
    assert level.shown((50, 0), (True, False), 10.0) == (0, 0)
    assert level.shown((50, 4), (True, False), 20.0) == (4, 4)
