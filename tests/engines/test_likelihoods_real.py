"""How sure the real 0.5B pair model is of a text, on llama.cpp and on torch: the surest of several is chosen by it."""

from __future__ import annotations

import threading
from dataclasses import replace
from statistics import mean

import pytest

from augmentlm import catalog
from augmentlm.engines.base import Completion, Engine, Request
from augmentlm.engines.loading import load
from augmentlm.hardware import inspect
from augmentlm.machine import plan
from augmentlm.tasks import Pair, render

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

PAIRS = catalog.model("augmentlm-0.5b-pair")
EXAMPLES = [Pair("Name a fruit that grows on trees.", "Apple."), Pair("Name an animal of the sea.", "Dolphin.")]
GREEDY = replace(catalog.default_sampling("pair"), top_p=1e-6, max_tokens=40, seed=1)
"""The nucleus holds the likeliest token alone. With temperature 0 torch would look at no other, and be sure of it."""


def written(engine: Engine) -> Completion:
    request = Request(render("pair", EXAMPLES, PAIRS.style), GREEDY, PAIRS.name, candidate=0)
    try:
        [(_, completion)] = engine.generate([request], threading.Event())
    finally:
        engine.close()
    return completion


def test_both_engines_are_equally_sure_of_the_same_text(real_gguf):
    """Torch runs the weights of the same file, unpacked, in 16 or 32 bits; llama.cpp makes the numbers between layers
    bytes. Measured: the same 71 characters, tokens at most 0.081 apart (-0.833 and -0.752) and 0.009 in the mean."""
    ours, theirs = (
        written(load(plan(PAIRS, inspect(), engine=name), real_gguf, lambda *told: None, threading.Event()))
        for name in ("llamacpp", "transformers")
    )
    # On another processor rounding may tip a choice: what begins before that is compared, but for the token it fell in.
    letters = zip(ours.text, theirs.text, strict=False)
    same = next((place for place, (one, other) in enumerate(letters) if one != other), len(ours.text))
    ours, theirs = ([each for each in text.likelihoods if each[0] < same][:-1] for text in (ours, theirs))
    assert len(ours) >= 8 and [place for place, _ in ours] == [place for place, _ in theirs]
    apart = [value - other for (_, value), (_, other) in zip(ours, theirs, strict=True)]
    assert max(map(abs, apart)) < 0.25 and abs(mean(apart)) < 0.05
    assert min(value for _, value in ours) < -0.2  # a text without doubt would show nothing
