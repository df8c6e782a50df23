"""Votes to count, without models."""

from __future__ import annotations

from itertools import count

from augmentlm.arena.votes import PEOPLE, Entry, Vote

_numbers = count(1)


def entry(model: str, text: str = "Some text.", **values) -> Entry:
    usual = {
        "engine": "llamacpp",
        "quantization": "Q4_K_M",
        "weights": {"file": "sha256:0"},
        "finish": "stop",
        "seed": 7,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "ttft_s": 0.5,
        "seconds": 2.0,
    }
    return Entry(model=model, text=text, **{**usual, **values})


def vote(winner="left", left=None, right=None, **values) -> Vote:
    usual = {
        "id": f"vote-{next(_numbers)}",
        "at": "2026-11-26T01:02:03Z",
        "task": "refine",
        "prompt": "write about dogs",
        "order": "left_first",
        "judge": PEOPLE,
        "blind": True,
        "sampling": {"temperature": 0.3},
        "prompt_version": "1",
    }
    sides = {"left": left or entry("small", "Write."), "right": right or entry("large", "Write more.")}
    return Vote(winner=winner, **sides, **{**usual, **values})
