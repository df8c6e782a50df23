import numpy as np
import pytest

from augmentlm.measures.coverage import covered, nearest


def around(angles):
    return np.array([[np.cos(a), np.sin(a)] for a in np.radians(angles)], dtype="float32")


REAL = around([0, 2, 4, 6, 90, 92, 94, 96])


def test_a_region_counts_as_reached_where_a_text_lies_nearer_than_the_neighbours():
    assert covered(REAL, around([3]), k=2) == [True] * 4 + [False] * 4
    assert covered(REAL, around([3, 93]), k=2) == [True] * 8


def test_copies_of_the_set_cover_it_and_foreign_texts_cover_nothing():
    assert all(covered(REAL, REAL))
    assert not any(covered(REAL, around([45]), k=2))


def test_a_set_of_the_same_size_drawn_alike_covers_nearly_all():
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 8)).astype("float32")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.mean(covered(rows[:200], rows[200:])) == pytest.approx(1 - 2**-5, abs=0.03)


def test_nothing_is_covered_by_nothing_and_one_text_has_no_neighbours():
    assert covered(REAL, np.zeros((0, 2), dtype="float32")) == [False] * 8
    assert covered(REAL[:1], REAL) == [False]


def test_the_nearest_is_told_by_its_cosine():
    assert nearest(around([10, 80]), around([0, 90])) == pytest.approx([np.cos(np.radians(10))] * 2)
    assert nearest(around([10]), np.zeros((0, 2))) == []
