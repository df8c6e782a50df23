import importlib.util

import numpy as np
import pytest

from augmentlm.errors import MissingExtraError
from augmentlm.measures import projection


def test_groups_stay_together_and_the_map_is_the_same_every_time():
    random = np.random.default_rng(0)
    groups = np.concatenate([random.normal(centre, 0.05, size=(20, 5)) for centre in np.eye(5)[:2]])
    places = projection.tsne(groups)
    assert places.shape == (40, 2)
    first, second = places[:20].mean(axis=0), places[20:].mean(axis=0)
    closer = np.linalg.norm(places - first, axis=1) < np.linalg.norm(places - second, axis=1)
    assert list(closer) == [True] * 20 + [False] * 20
    assert projection.tsne(groups) == pytest.approx(places)


def test_few_texts_have_a_map_too():
    assert projection.tsne(np.eye(projection.FEWEST)).shape == (projection.FEWEST, 2)


def test_without_scikit_learn_a_sentence_says_so(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(projection, "find_spec", lambda name: None if name == "sklearn" else real(name))
    with pytest.raises(MissingExtraError, match=r"needs scikit-learn.*\[reports\]"):
        projection.tsne(np.eye(10))
