"""What votes say: wins, ties and losses of one model against another, with intervals that say how far to trust them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from augmentlm.arena.votes import Entry, Vote
from augmentlm.measures.length_control import LengthControlled, length_controlled
from augmentlm.measures.statistics import wilson
from augmentlm.tasks import Task, given_out

MARGIN = 0.1
"""Two models are called equal when the whole interval is within this of one half."""

_SCORES = {"left": 1.0, "right": 0.0, "tie": 0.5, "both_bad": 0.5}


@dataclass(frozen=True)
class Share:
    """A share of the votes with its 95 % interval (Wilson)."""

    share: float
    low: float
    high: float

    @classmethod
    def of(cls, count: float, total: int) -> Share:
        return cls(count / total if total else 0.0, *wilson(count, total))


@dataclass(frozen=True)
class Standing:
    """One judge's votes on two models at a task, counted for the left one. "Both bad" is a tie, and counted apart."""

    task: Task
    judge: str
    left: Entry
    right: Entry
    wins: int
    ties: int
    losses: int
    both_bad: int
    length: LengthControlled | None

    @classmethod
    def of(cls, votes: Sequence[Vote]) -> Standing:
        """Count votes of one judge on the same two models in the same places; there is at least one."""
        winners = [vote.winner for vote in votes]
        bad = winners.count("both_bad")
        lengths = [[len(given_out(vote.task, each.text)) for each in (vote.left, vote.right)] for vote in votes]
        differences = [float(left - right) for left, right in lengths]
        return cls(
            task=votes[0].task,
            judge=votes[0].judge,
            left=votes[0].left,
            right=votes[0].right,
            wins=winners.count("left"),
            ties=winners.count("tie") + bad,
            losses=winners.count("right"),
            both_bad=bad,
            length=length_controlled([_SCORES[winner] for winner in winners], differences),
        )

    @property
    def votes(self) -> int:
        return self.wins + self.ties + self.losses

    @property
    def shares(self) -> dict[Literal["wins", "ties", "losses"], Share]:
        return {
            "wins": Share.of(self.wins, self.votes),
            "ties": Share.of(self.ties, self.votes),
            "losses": Share.of(self.losses, self.votes),
        }

    @property
    def score(self) -> Share:
        """Wins and half the ties: what `length` is to be compared with."""
        return Share.of(self.wins + self.ties / 2, self.votes)

    @property
    def decided(self) -> Share:
        """Wins among the votes that decided for one of them."""
        return Share.of(self.wins, self.wins + self.losses)

    @property
    def says(self) -> Literal["left", "right", "equal", "too_few"]:
        """Which is better, as far as the votes tell."""
        score = self.score
        if score.low > 0.5:
            return "left"
        if score.high < 0.5:
            return "right"
        within = score.low >= 0.5 - MARGIN and score.high <= 0.5 + MARGIN
        return "equal" if within else "too_few"

    def as_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "judge": self.judge,
            "left": {"model": self.left.model, "quantization": self.left.quantization, "weights": self.left.weights},
            "right": {
                "model": self.right.model,
                "quantization": self.right.quantization,
                "weights": self.right.weights,
            },
            "votes": self.votes,
            "wins": self.wins,
            "ties": self.ties,
            "losses": self.losses,
            "both_bad": self.both_bad,
            "score": vars(self.score),
            "decided": vars(self.decided),
            "length_controlled": vars(self.length) if self.length else None,
            "says": self.says,
        }


def standings(votes: Iterable[Vote]) -> list[Standing]:
    """A standing for each task, judge and pair of models. The pair stands as in its first vote."""
    groups: dict[tuple[Any, ...], list[Vote]] = {}
    for vote in votes:
        keys = vote.task, vote.judge, vote.left.key, vote.right.key
        turned = vote.task, vote.judge, vote.right.key, vote.left.key
        if turned in groups:
            groups[turned].append(vote.turned())
        else:
            groups.setdefault(keys, []).append(vote)
    return [Standing.of(group) for group in groups.values()]


def between(votes: Iterable[Vote], task: Task, left: tuple[str, str, str], right: tuple[str, str, str]) -> list[Vote]:
    """The votes on two models at a task, by their keys, turned so that they stand in these places."""
    found = []
    for vote in votes:
        if vote.task != task:
            continue
        if (vote.left.key, vote.right.key) == (left, right):
            found.append(vote)
        elif (vote.left.key, vote.right.key) == (right, left):
            found.append(vote.turned())
    return found
