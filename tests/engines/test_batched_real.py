"""The real 0.5B in the batch engine, with its adapter and without."""

from __future__ import annotations

import threading

import pytest

from augmentlm import catalog
from augmentlm.catalog import Sampling
from augmentlm.engines.base import Request
from augmentlm.hardware import inspect
from augmentlm.tasks import Message

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not inspect().has_int8, reason="this CPU doesn't multiply int8 in hardware"),
]

EMBEDDED = catalog.model("augmentlm-0.5b-refine")


def test_rows_of_both_languages_with_and_without_the_adapter_are_what_the_model_says(real_gguf):
    from augmentlm.engines.batched import BatchEngine
    from augmentlm.engines.convert import dequantise

    folders = {EMBEDDED.name: catalog.cards_folder() / EMBEDDED.adapter.folder}
    engine = BatchEngine(dequantise(real_gguf), EMBEDDED.chat, adapters=folders)
    texts = ["Say hello in French.", "写一个关于狗的句子，不要超过十个字。"]
    requests = [
        Request((Message("user", text),), Sampling(temperature=0, max_tokens=40), adapter, candidate=0)
        for adapter in (None, EMBEDDED.name)
        for text in texts
    ]
    try:
        rows = dict(engine.generate(requests, threading.Event()))
    finally:
        engine.close()
    for row in rows.values():  # the stop token has a likelihood and no text
        assert len(row.likelihoods) == row.completion_tokens + (row.finish == "stop")
        assert -2 < row.sureness(0, len(row.text)) <= 0
    assert "Bonjour" in rows[0].text and "狗" in rows[1].text  # the base answers
    assert "French" in rows[2].text and "Bonjour" not in rows[2].text  # the adapter rewrites
    assert "狗" in rows[3].text and rows[3].text != rows[1].text
