"""Votes to take away: every one as a row, and those that can train a model as preference pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from augmentlm.arena.votes import Vote
from augmentlm.tasks import Pair, format_pairs, given_out


def vote_rows(votes: Iterable[Vote]) -> Iterator[dict[str, Any]]:
    """Each vote with all that is known of it."""
    for vote in votes:
        yield vote.as_json()


def preference_rows(votes: Iterable[Vote]) -> Iterator[dict[str, Any]]:
    """`prompt`, `chosen` and `rejected`, as DPO trainers and `augmentlm train` read them, and where each comes from.

    The id begins with a digest of the prompt, so that votes on one prompt are held out together or not at all. The
    prompt is what a tuned model gets: the bare input. Left out are ties, and votes whose texts were cut off, empty
    or the same: a model would learn to stop in the middle, or nothing.
    """
    for vote in votes:
        if vote.winner not in ("left", "right") or not vote.whole:
            continue
        won, lost = (vote.left, vote.right) if vote.winner == "left" else (vote.right, vote.left)
        chosen, rejected = (given_out(vote.task, each.text) for each in (won, lost))
        if not chosen or not rejected or chosen == rejected:
            continue
        prompt = prompt_text(vote.prompt)
        yield {
            "id": f"{hashlib.sha256(prompt.encode()).hexdigest()[:12]}/{vote.id}",
            "prompt": prompt,
            "chosen": chosen,
            "rejected": rejected,
            "task": vote.task,
            "chosen_model": won.model,
            "rejected_model": lost.model,
            "judge": vote.judge,
        }


def prompt_text(prompt: Any) -> str:
    """An input as a tuned model reads it: text, or pairs in the published form."""
    return prompt if isinstance(prompt, str) else format_pairs([Pair(**pair) for pair in prompt])
