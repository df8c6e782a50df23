"""Length control, on votes with a length bias that is known, and beside statsmodels."""

import numpy
import pytest
import statsmodels.api as sm

from augmentlm.measures.length_control import EVENTS, length_controlled


def simulated(theta: float, phi: float, longer: float, *, ties: float = 0.1, count: int = 4000, seed: int = 1):
    """Votes by the model of the method: the left texts are `longer` characters longer on average."""
    random = numpy.random.default_rng(seed)
    differences = random.normal(longer, 100, count)
    chance = 1 / (1 + numpy.exp(-(theta + phi * numpy.tanh(differences / differences.std()))))
    scores = (random.random(count) < chance).astype(float)
    scores[random.random(count) < ties] = 0.5
    return scores.tolist(), differences.tolist()


def test_models_that_are_equal_but_for_their_length_come_out_equal():
    scores, differences = simulated(theta=0.0, phi=1.5, longer=80, ties=0.0)
    raw = sum(scores) / len(scores)
    found = length_controlled(scores, differences)
    assert raw > 0.6
    assert found.low < 0.5 < found.high and abs(found.share - 0.5) < 0.04
    assert found.phi == pytest.approx(1.5, abs=0.2)


def test_a_model_that_is_better_though_shorter_is_seen_to_be():
    scores, differences = simulated(theta=0.6, phi=1.5, longer=-80, ties=0.0)
    assert sum(scores) / len(scores) < 0.5
    found = length_controlled(scores, differences)
    assert found.low > 0.5 and found.share == pytest.approx(1 / (1 + numpy.exp(-0.6)), abs=0.04)


def test_without_a_bias_there_is_nothing_to_take_away():
    scores, differences = simulated(theta=0.4, phi=0.0, longer=80)
    assert length_controlled(scores, differences).phi == pytest.approx(0, abs=0.15)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    held = 0
    for seed in range(200):
        found = length_controlled(*simulated(theta=0.3, phi=1.0, longer=50, ties=0, count=300, seed=seed))
        held += found.low < 1 / (1 + numpy.exp(-0.3)) < found.high
    assert 180 <= held <= 199


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_regression_of_statsmodels(seed):
    scores, differences = simulated(theta=0.3, phi=0.8, longer=40, count=200, seed=seed)
    values = numpy.array(differences)
    design = sm.add_constant(numpy.tanh(values / values.std()))
    fit = sm.GLM(numpy.array(scores), design, family=sm.families.Binomial()).fit()
    low, high = fit.conf_int()[0]
    found = length_controlled(scores, differences)
    assert found.phi == pytest.approx(fit.params[1], abs=1e-6)
    expected = [1 / (1 + numpy.exp(-value)) for value in (low, fit.params[0], high)]
    assert [found.low, found.share, found.high] == pytest.approx(expected, abs=1e-6)


def test_too_few_wins_or_losses_are_not_fitted():
    scores = [1.0] * 500 + [0.0] * (EVENTS - 1)
    assert length_controlled(scores, [float(n % 7) for n in range(len(scores))]) is None
    assert length_controlled([], []) is None


def test_lengths_that_do_not_differ_or_decide_every_vote_are_not_fitted():
    scores = [1.0, 0.0] * EVENTS
    assert length_controlled(scores, [5.0] * len(scores)) is None
    assert length_controlled(scores, [100.0 if score else -100.0 for score in scores]) is None
