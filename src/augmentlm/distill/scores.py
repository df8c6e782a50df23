"""What one system's samples are worth: rates with intervals, and how long and how varied the texts are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from augmentlm.checks import facts
from augmentlm.checks.answered import answered
from augmentlm.checks.novelty import NEAR_COPY, rouge_l
from augmentlm.distill.kinds import Kinds
from augmentlm.distill.samples import Sample
from augmentlm.measures.diversity import distinct, distinct_n, lengths, self_bleu, spread
from augmentlm.measures.embed import Embed
from augmentlm.measures.statistics import rate
from augmentlm.tasks import TaskInput

BROKEN = frozenset({"form", "cut_off", "loop", "prompt_leak"})
"""Findings that say a text is not whole and in the task's form."""

PARTS_OF_GOOD = ("valid", "novel", "same_kind", "language_kept", "not_answered")
"""A new instruction or pair that holds all of these, as many as its task has, is `good`."""

REPEATS_ALLOWED = 1
"""Of several samples for one prompt this many may nearly copy another, and the set still counts as distinct."""


@dataclass(frozen=True)
class Scored:
    """A sample and what holds of it, by name."""

    sample: Sample
    holds: dict[str, bool]

    @property
    def failed(self) -> list[str]:
        return [name for name, held in self.holds.items() if not held]


def outcomes(samples: Sequence[Sample], embed: Embed | None = None, kinds: Kinds | None = None) -> list[Scored]:
    """What holds of each sample: `valid`, `no_preamble`, `language_kept` and

    - refine: `not_answered`; `reworked`, no near-copy of the prompt (one prompt in twenty of the held-out is good
      already and rightly comes back as one); and `facts_kept` where the prompt has hard facts;
    - expand: `not_answered`, `novel`, `same_kind` where its family is known to `kinds`, and `good`: all of them;
    - pair: `novel`, `same_kind`, `good`.

    A sample without a usable text fails them all.
    """
    near = _same_kind(samples, embed, kinds) if embed and kinds else {}
    return [Scored(sample, _holds(sample, near.get(place))) for place, sample in enumerate(samples)]


def score(scored: Sequence[Scored], embed: Embed | None = None) -> dict[str, Any]:
    """The measures of a system, as JSON. Rates are over all samples, length and variety over the first of each prompt.

    `spread` is None without an embedder.
    """
    names = dict.fromkeys(name for each in scored for name in each.holds)
    rates = {
        name: rate((each.sample.prompt.id, each.holds[name]) for each in scored if name in each.holds) for name in names
    }
    first = [text for each in scored if each.sample.number == 0 and (text := each.sample.output)]
    return {
        "rates": {name: found.as_json() for name, found in rates.items() if found},
        "tries": round(sum(each.sample.tries for each in scored) / len(scored), 2) if scored else None,
        "distinct_samples": _distinct_samples([each.sample for each in scored]),
        "length": lengths(first),
        "distinct_1": _rounded(distinct_n(first, 1)),
        "distinct_2": _rounded(distinct_n(first, 2)),
        "self_bleu": _rounded(self_bleu(first)),
        "spread": _rounded(spread(embed(first))) if embed else None,
    }


def _holds(sample: Sample, same_kind: bool | None) -> dict[str, bool]:
    found = {finding.code for finding in sample.findings}
    text, source = sample.output, _text(sample.prompt.value)
    holds = {
        "valid": BROKEN.isdisjoint(found),
        "no_preamble": text is not None and "preamble" not in found,
        "language_kept": text is not None and "language" not in found,
    }
    if sample.task != "pair":
        holds["not_answered"] = text is not None and answered(source, text) is None
    if sample.task == "refine":
        holds["reworked"] = text is not None and rouge_l(source, text) <= NEAR_COPY
        if facts.find(source):
            holds["facts_kept"] = text is not None and "facts_lost" not in found
        return holds
    holds["novel"] = text is not None and "near_copy" not in found
    if same_kind is not None:
        holds["same_kind"] = same_kind
        holds["good"] = all(holds[name] for name in PARTS_OF_GOOD if name in holds)
    return holds


def _same_kind(samples: Sequence[Sample], embed: Embed, kinds: Kinds) -> dict[int, bool]:
    """By its place, whether each sample of a known family is of the family's kind."""
    known = [(place, sample) for place, sample in enumerate(samples) if kinds.knows(sample.prompt.family)]
    told = [(place, sample.output, str(sample.prompt.family)) for place, sample in known if sample.output]
    found = {place: False for place, _ in known}
    if told:
        same = kinds.same(embed([text for _, text, _ in told]), [family for _, _, family in told])
        found |= {place: held for (place, _, _), held in zip(told, same, strict=True)}
    return found


def _distinct_samples(samples: Sequence[Sample]) -> dict[str, Any] | None:
    """For prompts with several samples: how many are no near-copy of another, and how often (nearly) all are."""
    by_prompt: dict[str, list[Sample]] = {}
    for sample in samples:
        by_prompt.setdefault(sample.prompt.id, []).append(sample)
    most = max((len(group) for group in by_prompt.values()), default=0)
    counts = {
        prompt: len(distinct([text for each in group if (text := each.output)]))
        for prompt, group in by_prompt.items()
        if len(group) == most
    }
    if most < 2:
        return None
    enough = rate((prompt, count >= most - REPEATS_ALLOWED) for prompt, count in counts.items())
    mean = sum(counts.values()) / len(counts)
    return {"of": most, "mean": round(mean, 2), "at_least": most - REPEATS_ALLOWED, "rate": enough and enough.as_json()}


def _text(value: TaskInput) -> str:
    return value if isinstance(value, str) else "\n".join(f"{pair.instruction}\n{pair.response}" for pair in value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
