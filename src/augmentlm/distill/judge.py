"""A model as judge: which of two texts is better, asked in both orders, and does a response answer its instruction."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from augmentlm.augmenter import Augmenter
from augmentlm.distill import rows
from augmentlm.distill.samples import Sample, Told
from augmentlm.engines.refused import PLAIN, Refusal, made_or_refused
from augmentlm.measures.length_control import length_controlled
from augmentlm.measures.statistics import rate, wilson
from augmentlm.tasks import Pair, Task, clean, format_pairs

JUDGE_VERSION = "1"
"""Goes up when a question below changes: verdicts of another version are asked for anew."""

Winner = Literal["left", "right", "tie"]

_WHAT_IS_BETTER: dict[Task, str] = {
    "refine": (
        "A person wrote a raw prompt for a language model. Two writers, A and B, were asked to rewrite it. The better "
        "rewrite keeps the intent, the language and every fact (names, numbers, links, code), is clear and specific "
        "about what is wanted, and adds nothing that contradicts the request. A text that answers the prompt, talks "
        "about it, asks back, or only repeats it is not a good rewrite."
    ),
    "expand": (
        "Two writers, A and B, were given an instruction and asked for one new instruction of the same type of task, "
        "about something else, in the same language. The better new instruction is complete and makes sense by itself, "
        "asks for the same type of task, and is clearly different in content. A text that answers the instruction, "
        "repeats it, or can't be carried out is not a good one."
    ),
    "pair": (
        "Two writers, A and B, were given example pairs of an instruction and its response, and asked for one new pair "
        "of the same type of task, about something else, in the same language. The better new pair has an instruction "
        "that is complete, of the same type and clearly different in content, and a response that answers it correctly "
        "and in full."
    ),
}
_WHICH = "Which is better? Reply with one word alone: A, B, or Tie if neither is better."
_ANSWERS = (
    "Below are an instruction and a response. Does the response do what the instruction asks, correctly and in full? "
    "Reply with one word alone: Yes or No."
)
_LABEL = r"(?:\W*(?:the )?(?:answer|verdict|winner|choice|better(?: one)?)(?: is)?\b)?\W*(?:option|writer|text)?\W*"
_VERDICT = re.compile(rf"{_LABEL}(A|B|Tie)\b\W*(?:is better)?\W*", re.IGNORECASE)
_YES_NO = re.compile(rf"{_LABEL}(Yes|No)\b(?:\W.*)?", re.IGNORECASE)
_SETTINGS: dict[str, Any] = {"temperature": 0.0, "max_tokens": 16}


@dataclass(frozen=True)
class Verdict:
    """Who wrote the better text for a prompt. `unreadable` when a reply could not be read: then it is a tie."""

    id: str
    winner: Winner
    contradicted: bool = False
    unreadable: bool = False


@dataclass(frozen=True)
class Outcome:
    """Verdicts counted for the left system."""

    wins: int
    ties: int
    losses: int
    contradicted: int
    unreadable: int

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Outcome:
        found = list(verdicts)
        wins, ties, losses = (sum(each.winner == name for each in found) for name in ("left", "tie", "right"))
        return cls(wins, ties, losses, sum(e.contradicted for e in found), sum(e.unreadable for e in found))

    def as_json(self) -> dict[str, Any]:
        """With the share of the decided that was won, and its interval."""
        decided = self.wins + self.losses
        low, high = wilson(self.wins, decided)
        share = round(self.wins / decided, 4) if decided else None
        return {**vars(self), "decided": {"share": share, "low": round(low, 4), "high": round(high, 4)}}


def outcome(verdicts: Sequence[Verdict], left: Sequence[Sample], right: Sequence[Sample]) -> dict[str, Any]:
    """Verdicts counted, as `eval.json` tells it, and the left system's rate at equal lengths where that can be told."""
    longer = {first.prompt.id: len(first.shown) - len(second.shown) for first, second in paired(left, right)}
    scores = [{"left": 1.0, "tie": 0.5, "right": 0.0}[verdict.winner] for verdict in verdicts]
    controlled = length_controlled(scores, [longer[verdict.id] for verdict in verdicts])
    found = {name: round(value, 4) for name, value in vars(controlled).items()} if controlled else None
    return {**Outcome.of(verdicts).as_json(), "length_controlled": found}


def agreement(verdicts: Sequence[Verdict], others: Sequence[Verdict]) -> dict[str, Any] | None:
    """On how many of the prompts that both judged two judges say the same; None when there are none."""
    theirs = {verdict.id: verdict.winner for verdict in others}
    both = [verdict for verdict in verdicts if verdict.id in theirs]
    found = rate((verdict.id, verdict.winner == theirs[verdict.id]) for verdict in both)
    return found and {name: value for name, value in found.as_json().items() if name != "rows"}


def compare(
    judge: Augmenter,
    left: Sequence[Sample],
    right: Sequence[Sample],
    path: Path,
    *,
    stop: threading.Event,
    told: Told | None = None,
) -> list[Verdict]:
    """A verdict for each prompt that both have a text for. `judge` does the task `respond`.

    Each pair is shown in both orders. Only a text that wins in both has won: a judge that contradicts itself, or says
    tie in one order, counts as a tie, and so does a reply that can't be read. Verdicts are kept in `path`, and those
    that stand there for the same texts are not asked for again.
    """
    pairs = paired(left, right)
    known = judged(path)
    asked = {
        digest: (first.prompt.id, (_question(first, second), _question(second, first)))
        for first, second in pairs
        if not same(first, second) and (digest := digest_of(first, second)) not in known
    }
    known |= ask(judge, asked, path, stop, told)
    return [
        Verdict(first.prompt.id, "tie") if same(first, second) else verdict(first.prompt.id, known[digest])
        for first, second in pairs
        if (digest := digest_of(first, second)) in known or same(first, second)
    ]


def verdict(prompt: str, replies: Sequence[str]) -> Verdict:
    """The verdict of two replies: the first with the left text as A, the second with it as B."""
    first, second = (read_winner(reply) for reply in replies)
    if first is None or second is None:
        return Verdict(prompt, "tie", unreadable=True)
    if {first, second} == {"A", "B"}:
        return Verdict(prompt, "left" if first == "A" else "right")
    return Verdict(prompt, "tie", contradicted=first == second != "Tie")


def answering(
    judge: Augmenter, samples: Sequence[Sample], path: Path, *, stop: threading.Event
) -> list[tuple[str, bool]]:
    """(prompt id, does the response answer its instruction?) for each sample that is a pair; unreadable left out."""
    pairs = [(sample, sample.parsed.value, digest_of(sample)) for sample in samples]
    known = judged(path)
    asked = {
        digest: (sample.prompt.id, (_answer_question(pair),))
        for sample, pair, digest in pairs
        if isinstance(pair, Pair) and digest not in known
    }
    known |= ask(judge, asked, path, stop)
    found = [(sample.prompt.id, read_yes_no(known[digest][0])) for sample, _, digest in pairs if digest in known]
    return [(prompt, answers) for prompt, answers in found if answers is not None]


def read_winner(reply: str) -> Literal["A", "B", "Tie"] | None:
    """The verdict in a reply, on a line of its own at its start or end; None when there is none, or no one."""
    lines = [line for line in clean(reply).split("\n") if line.strip()]
    for line in (lines[:1] + lines[-1:]) if lines else []:
        if match := _VERDICT.fullmatch(line):
            return match.group(1).title()  # type: ignore[return-value]
    return None


def read_yes_no(reply: str) -> bool | None:
    """True for Yes, False for No, None for anything else."""
    match = _YES_NO.match(clean(reply).split("\n", 1)[0])
    return match.group(1).lower() == "yes" if match else None


def same(first: Sample, second: Sample) -> bool:
    """There is nothing to choose."""
    return first.shown == second.shown


def digest_of(*samples: Sample) -> str:
    """Tells texts apart, so that a verdict counts only for the very texts it was given on."""
    texts = [samples[0].prompt.input, *(sample.text for sample in samples)]
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode(errors="replace")).hexdigest()[:16]


def paired(left: Sequence[Sample], right: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """The texts of two systems for the same prompts, as many as both have."""
    others = {(sample.prompt.id, sample.number): sample for sample in right}
    return [(each, others[key]) for each in left if (key := (each.prompt.id, each.number)) in others]


def judged(path: Path) -> dict[str, list[str]]:
    """The replies that stand in a file, by the digest of the texts."""
    return {row["texts"]: row["replies"] for row in rows.read(path) if row["judge_version"] == JUDGE_VERSION}


def ask(
    judge: Augmenter,
    asked: dict[str, tuple[str, tuple[str, ...]]],
    path: Path,
    stop: threading.Event,
    told: Told | None = None,
) -> dict[str, list[str]]:
    """Ask each digest's (prompt id, questions), keep the replies in the file, and return them by digest.

    A question that the judge takes no part in (too long, stopped by a content filter) has an empty reply, which nobody
    can read a verdict in.
    """
    places = [(digest, order) for digest, (_, questions) in asked.items() for order in range(len(questions))]
    replies: dict[str, dict[int, str]] = {digest: {} for digest in asked}
    refused: dict[str, list[str]] = {}
    whole: dict[str, list[str]] = {}

    def make(places: Sequence[tuple[str, int]]) -> Generator[tuple[tuple[str, int], str], None, None]:
        batch = judge.batch([asked[digest][1][order] for digest, order in places], stop=stop, **_SETTINGS)
        with closing(batch):  # type: ignore[type-var]
            for result in batch:
                if result.finish != "cancelled":
                    yield places[result.index], result.text

    def plain(place: tuple[str, int]) -> Iterable[object]:
        return judge.batch([PLAIN], stop=stop, **_SETTINGS)

    with closing(made_or_refused(places, make, plain, stop)) as found:
        for (digest, order), reply in found:
            if isinstance(reply, Refusal):
                refused.setdefault(digest, []).append(reply.reason)
            replies[digest][order] = "" if isinstance(reply, Refusal) else reply
            prompt, questions = asked[digest]
            if len(replies[digest]) == len(questions):
                whole[digest] = [text for _, text in sorted(replies[digest].items())]
                row: dict[str, Any] = {"id": prompt, "texts": digest, "replies": whole[digest]}
                if digest in refused:
                    row["refused"] = refused[digest]
                rows.append(path, {**row, "judge": judge.model, "judge_version": JUDGE_VERSION})
                if told:
                    told(f"{judge.model} as judge", len(whole), len(asked))
    return whole


def _question(a: Sample, b: Sample) -> str:
    value = a.prompt.value
    given = value if isinstance(value, str) else format_pairs(value)
    blocks = (block("Given", given), block("A", clean(a.shown)), block("B", clean(b.shown)))
    return "\n\n".join((_WHAT_IS_BETTER[a.task], *blocks, _WHICH))


def _answer_question(pair: Pair) -> str:
    return "\n\n".join((_ANSWERS, block("Instruction", pair.instruction), block("Response", pair.response)))


def block(label: str, text: str) -> str:
    return f"[{label}]\n{text or '(nothing)'}\n[end of {label}]"
