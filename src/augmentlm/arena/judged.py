"""A model as the judge of two others over many prompts, beside what people said of the same two."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from augmentlm.arena.standing import Share, Standing, between
from augmentlm.arena.votes import PEOPLE, Entry, Vote, Votes
from augmentlm.augmenter import Augmenter
from augmentlm.distill import judge as judging
from augmentlm.distill import rows
from augmentlm.distill.judge import JUDGE_VERSION, Verdict
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import Sample, System, Told, sample
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import InputError, StoppedError
from augmentlm.tasks import Pair, Task
from augmentlm.weights import Progress


@dataclass(frozen=True)
class Agreement:
    """On how many of people's votes a judge said the same. A vote "both bad" is a tie."""

    same: int
    votes: int

    @property
    def share(self) -> Share:
        return Share.of(self.same, self.votes)


@dataclass(frozen=True)
class Comparison:
    """What a judge said of two models. `people` and `agreement` are None where no one has voted on these two.

    `contradicted` verdicts differed by the order of the texts, `unreadable` ones were no verdicts: both are ties.
    """

    standing: Standing
    contradicted: int
    unreadable: int
    people: Standing | None
    agreement: Agreement | None

    @property
    def judges_itself(self) -> bool:
        return self.standing.judge in (self.standing.left.model, self.standing.right.model)

    def as_json(self) -> dict[str, Any]:
        found = self.agreement
        return {
            **self.standing.as_json(),
            "contradicted": self.contradicted,
            "unreadable": self.unreadable,
            "judges_itself": self.judges_itself,
            "people": self.people.as_json() if self.people else None,
            "agreement": {"same": found.same, "votes": found.votes, **vars(found.share)} if found else None,
        }


def compare(
    task: Task,
    prompts: Sequence[Prompt],
    systems: tuple[System, System],
    judge: System,
    folder: Path,
    *,
    votes: Votes,
    pool: EnginePool | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    told: Told | None = None,
) -> Comparison:
    """Let both systems write for each prompt and a judge choose, shown each pair in both orders.

    Samples and verdicts are kept in `folder`, so that a run that was stopped goes on where it ended; the verdicts go
    to the votes too, under the judge's name. What people voted on these two is judged as well, to say how far the
    judge can be trusted. Raises `InputError`, `StoppedError` and what engines raise.
    """
    if systems[0] == systems[1]:
        raise InputError("Both sides are the same model.", hint="Choose another one for one of them.")
    stop = stop or threading.Event()
    texts = folder / task
    made = []
    for system in systems:
        # As the Compare tab makes them: people's votes are on the same quantization.
        made.append(
            sample(task, system, prompts, texts, purpose="person", pool=pool, stop=stop, progress=progress, told=told)
        )
        _check(stop)
    asked = judge.load("respond", pool, progress)
    names = "--".join(system.file_name for system in (judge, *systems))
    found = judging.compare(asked, *made, texts / "verdicts" / f"{names}.jsonl", stop=stop, told=told)
    _check(stop)
    judged = _votes(task, asked.model, folder / task, systems, made, found)
    for vote in judged:
        votes.add(vote)
    theirs = [
        vote for vote in between(votes.all(), task, judged[0].left.key, judged[0].right.key) if vote.judge == PEOPLE
    ]
    path = folder / task / "verdicts" / f"{names}--people.jsonl"
    agreed = agreement(asked, theirs, path, stop=stop, told=told) if theirs else None
    _check(stop)
    return Comparison(
        standing=Standing.of(judged),
        contradicted=sum(verdict.contradicted for verdict in found),
        unreadable=sum(verdict.unreadable for verdict in found),
        people=Standing.of(theirs) if theirs else None,
        agreement=agreed,
    )


def agreement(
    judge: Augmenter, votes: Sequence[Vote], path: Path, *, stop: threading.Event, told: Told | None = None
) -> Agreement:
    """Ask a judge about duels that people have voted on, and count how often it says the same."""
    sides = [[_seen(vote, side) for vote in votes] for side in ("left", "right")]
    found = {verdict.id: verdict.winner for verdict in judging.compare(judge, *sides, path, stop=stop, told=told)}
    both = [vote for vote in votes if vote.id in found]
    same = sum(found[vote.id] == ("tie" if vote.winner == "both_bad" else vote.winner) for vote in both)
    return Agreement(same, len(both))


def _seen(vote: Vote, side: str) -> Sample:
    entry: Entry = getattr(vote, side)
    value = vote.prompt if isinstance(vote.prompt, str) else [Pair(**pair) for pair in vote.prompt]
    return Sample(vote.task, Prompt(vote.id, value), 0, entry.text, entry.finish)


def _votes(
    task: Task,
    judge: str,
    folder: Path,
    systems: tuple[System, System],
    made: list[list[Sample]],
    found: Sequence[Verdict],
) -> list[Vote]:
    """A judge's verdicts as votes. The same verdict on the same texts has the same id, and so counts once."""
    kept = [
        {row["id"]: row for row in rows.read(folder / f"{system.file_name}.jsonl") if row["sample"] == 0}
        for system in systems
    ]
    winners = {verdict.id: verdict.winner for verdict in found}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    votes = []
    for left, right in judging.paired(*made):
        if left.prompt.id not in winners:
            continue
        first, second = (by_id[left.prompt.id] for by_id in kept)
        sides = _entry(first), _entry(second)
        known = [judge, JUDGE_VERSION, judging.digest_of(left, right), *(side.key for side in sides)]
        votes.append(
            Vote(
                id=hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32],
                at=at,
                task=task,
                prompt=left.prompt.input,
                left=sides[0],
                right=sides[1],
                order="both",
                winner=winners[left.prompt.id],
                judge=judge,
                blind=True,
                sampling=first["sampling"],
                prompt_version=first["prompt_version"],
            )
        )
    return votes


def _entry(row: dict[str, Any]) -> Entry:
    names = "model engine quantization weights text finish seed prompt_tokens completion_tokens ttft_s seconds".split()
    return Entry(**{name: row[name] for name in names})


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise StoppedError("Stopped. What was made so far is kept: run the same again to go on.")
