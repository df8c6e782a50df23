import pytest

from augmentlm.measures.statistics import rate, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Roots of (p - s)^2 = z^2 p (1 - p) / n, solved with 30 decimal digits.
        (8, 10, 0.490162, 0.943318),
        (39, 53, 0.604193, 0.835626),
        (50, 100, 0.403832, 0.596168),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (1, 1, 0.206549, 1.0),
    ],
)
def test_wilson_gives_the_roots_of_its_equation(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=2e-6)


def test_without_trials_everything_is_possible():
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_wider_look_narrows_the_interval():
    widths = [high - low for low, high in (wilson(0.9 * trials, trials) for trials in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_samples_of_one_prompt_are_one_trial():
    once = rate([("a", True), ("b", False)])
    often = rate([("a", True)] * 50 + [("b", False)] * 50)
    assert once and often and once.interval == often.interval
    assert (often.passed, often.rows, often.prompts) == (50, 100, 2)


def test_every_prompt_weighs_the_same_however_many_samples_it_has():
    found = rate([("a", False), *[("b", True)] * 9])
    assert found and found.share == 0.5 and found.as_json()["passed"] == 9


def test_no_rows_are_no_rate():
    assert rate([]) is None
