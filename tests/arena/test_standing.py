"""What votes say, counted and beside scipy and statsmodels."""

import pytest
from made_votes import entry, vote
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from augmentlm.arena.standing import Standing, between, standings

TABLES = [(39, 3, 14), (1, 0, 0), (0, 5, 0), (10, 10, 10), (0, 0, 30), (211, 40, 197)]


def standing(wins: int, ties: int, losses: int, bad: int = 0) -> Standing:
    names = ["left"] * wins + ["tie"] * ties + ["right"] * losses + ["both_bad"] * bad
    return Standing.of([vote(name) for name in names])


@pytest.mark.parametrize("table", TABLES)
def test_the_intervals_are_those_of_scipy_and_statsmodels(table):
    found, total = standing(*table), sum(table)
    for share, count in zip(found.shares.values(), table, strict=True):
        scipy = binomtest(count, total).proportion_ci(0.95, method="wilson")
        assert (share.low, share.high) == pytest.approx((scipy.low, scipy.high), abs=1e-9)
        statsmodels = proportion_confint(count, total, method="wilson")
        assert (share.low, share.high) == pytest.approx(statsmodels, abs=1e-9)
        assert share.share == count / total
    wins, _, losses = table
    if wins + losses:
        scipy = binomtest(wins, wins + losses).proportion_ci(0.95, method="wilson")
        assert (found.decided.low, found.decided.high) == pytest.approx((scipy.low, scipy.high), abs=1e-9)


def test_both_bad_is_a_tie_and_counted_apart():
    found = standing(3, 1, 2, bad=4)
    assert (found.wins, found.ties, found.losses, found.both_bad, found.votes) == (3, 5, 2, 4, 10)
    assert found.score.share == 0.55


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ((39, 3, 14), "left"),
        ((14, 3, 39), "right"),
        ((3, 0, 1), "too_few"),
        ((1, 0, 0), "too_few"),
        ((250, 20, 250), "equal"),
        ((5, 0, 5), "too_few"),
    ],
)
def test_it_says_only_what_the_votes_can_tell(table, says):
    assert standing(*table).says == says


def test_votes_are_told_apart_by_task_judge_and_model_and_sides_do_not_matter():
    a, b, old = entry("a"), entry("b"), entry("a", weights={"file": "sha256:1"})
    found = standings(
        [
            vote("left", a, b),
            vote("right", b, a),
            vote("left", a, b, judge="a judge"),
            vote("left", a, b, task="expand"),
            vote("left", old, b),
            vote("left", a, entry("a", quantization="nf4")),
        ]
    )
    assert [(each.wins, each.ties, each.losses) for each in found] == [(2, 0, 0)] + [(1, 0, 0)] * 4


def test_the_votes_between_two_models_are_turned_to_them():
    a, b = entry("a"), entry("b")
    votes = [vote("left", a, b), vote("left", b, a), vote("left", a, entry("c")), vote("left", a, b, task="pair")]
    assert [each.winner for each in between(votes, "refine", a.key, b.key)] == ["left", "right"]


def test_length_control_comes_with_enough_votes():
    short, long = "x" * 10, "x" * 90
    votes = [
        vote("left" if (n % 3 == 0) == (n % 2 == 0) else "right", entry("a", long if n % 2 else short), entry("b"))
        for n in range(120)
    ]
    assert Standing.of(votes).length is not None
    assert Standing.of(votes[:30]).length is None
    assert Standing.of(votes).as_json()["length_controlled"]["share"] > 0
