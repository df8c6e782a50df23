"""What the systems write for the prompts of an evaluation: each row kept as it finishes, only missing ones made."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from augmentlm import catalog
from augmentlm.augmenter import Augmenter, load
from augmentlm.catalog import Sampling
from augmentlm.checks import Finding, assess
from augmentlm.distill import rows
from augmentlm.distill.prompts import Prompt
from augmentlm.engines.base import Finish
from augmentlm.engines.pool import EnginePool
from augmentlm.engines.refused import Refusal, made_or_refused, plain_input
from augmentlm.errors import EngineError, InputError
from augmentlm.machine import Purpose
from augmentlm.results import Result
from augmentlm.tasks import PROMPT_VERSION, Pair, Parsed, Task, given_out, parse
from augmentlm.tries import TRIES
from augmentlm.weights import Progress, identity
from augmentlm.weights.pulled import find

Told = Callable[[str, int, int], None]
"""Hears of a system's name, its rows so far and its rows in all."""

Place = tuple[str, int]
"""The id of a prompt and the number of one of its samples."""


@dataclass(frozen=True)
class System:
    """A model to evaluate: one of the catalog, an adapter of the hub, or with `endpoint` one behind an
    OpenAI-compatible server."""

    model: str
    endpoint: str | None = None

    @classmethod
    def named(cls, text: str) -> System:
        """`NAME`, or `NAME@URL` for a server. Raises `UnknownModelError` and `InputError`."""
        model, _, endpoint = text.partition("@")
        if "/" in model and not re.match(r"https?://", endpoint):  # on the hub, perhaps with a revision
            model, endpoint = text, ""
        if endpoint and not re.match(r"https?://", endpoint):
            raise InputError(f"{endpoint!r} is no address.", hint="Write NAME@http://… or NAME@https://…")
        if not endpoint:
            find(model)
        return cls(model, endpoint or None)

    @property
    def file_name(self) -> str:
        return re.sub(r"[^\w.-]+", "--", self.model)

    @property
    def candidates(self) -> int:
        """How often each text is written, of which one is kept."""
        return 1 if self.endpoint else find(self.model).candidates

    def load(
        self, task: Task, pool: EnginePool | None, progress: Progress | None = None, purpose: Purpose = "person"
    ) -> Augmenter:
        return load(task, self.model, endpoint=self.endpoint, pool=pool, progress=progress, purpose=purpose)

    def weights(self) -> dict[str, str]:
        """What identifies the weights: digests, the commit of a repository (once it is downloaded), or the server."""
        if self.endpoint:
            return {"endpoint": self.endpoint}
        return identity(find(self.model))


@dataclass(frozen=True)
class Sample:
    """The text that a system wrote for a prompt; `number` counts the samples of one prompt from 0, `tries` how often
    it was asked until the checks found nothing or it was enough."""

    task: Task
    prompt: Prompt
    number: int
    text: str
    finish: Finish
    tries: int = 1

    @cached_property
    def parsed(self) -> Parsed:
        return parse(self.task, self.text)

    @cached_property
    def shown(self) -> str:
        """What a reader or a judge sees of it."""
        return given_out(self.task, self.text)

    @property
    def output(self) -> str | None:
        """The new text, of a pair its instruction; None when there is none in the task's form."""
        value = self.parsed.value
        return value.instruction if isinstance(value, Pair) else value

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the checks of today say, whatever they said when the row was made."""
        return assess(self.task, self.prompt.value, self.parsed, self.finish)


def sample(
    task: Task,
    system: System,
    prompts: Sequence[Prompt],
    folder: Path,
    *,
    samples: int = 1,
    max_tokens: int | None = None,
    purpose: Purpose = "batch",
    pool: EnginePool | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    told: Told | None = None,
) -> list[Sample]:
    """`samples` samples for each prompt, at the product's sampling and made as it makes several; rows are kept in
    `folder/<system>.jsonl`.

    Rows that are there are used and the missing ones made, so a run that was stopped goes on where it ended. A prompt
    that the system takes no part in has a sample without text, which fails whatever it is measured by. Raises
    `InputError` when the rows there were made with other settings or weights, and what the engine raises when the
    fault is no prompt's.
    """
    stop = stop or threading.Event()
    path = folder / f"{system.file_name}.jsonl"
    made = {**settings(task, max_tokens), "candidates": system.candidates, "weights": system.weights()}
    found = _kept(task, path, prompts, samples, made)
    total = len(prompts) * samples
    places = [(prompt.id, n) for prompt in prompts for n in range(samples) if (prompt.id, n) not in found]
    if places:
        augmenter = system.load(task, pool, progress, purpose)
        augmenter.warm_up(stop)
        made["weights"] = system.weights()  # a repository's commit is known now
        if told:
            told(system.model, len(found), total)
        by_id = {prompt.id: prompt for prompt in prompts}
        with closing(_made(augmenter, by_id, places, stop, max_tokens)) as results:
            for (name, number), result in results:
                prompt = by_id[name]
                known = {"id": name, "sample": number, "category": prompt.category, **result.as_json()}
                rows.append(path, {**known, "text": result.text, "finish": result.finish, **made})
                found[name, number] = Sample(task, prompt, number, result.text, result.finish, result.tries)
                if told:
                    told(system.model, len(found), total)
    if len(found) < total and not stop.is_set():
        raise EngineError(f"{system.model} wrote {len(found)} of {total} rows.", hint="Run it again for the others.")
    return [found[key] for key in sorted(found, key=lambda key: (key[1], key[0]))]


def settings(task: Task, max_tokens: int | None) -> dict[str, Any]:
    """How every row is made: the product's sampling and tries, and the version of the prompts."""
    sampling: Sampling = catalog.default_sampling(task)
    if max_tokens is not None:
        sampling = replace(sampling, max_tokens=max_tokens)
    values = {name: value for name, value in asdict(sampling).items() if name != "seed"}
    return {"sampling": values, "tries_at_most": TRIES, "prompt_version": PROMPT_VERSION}


def _made(
    augmenter: Augmenter,
    prompts: Mapping[str, Prompt],
    places: Sequence[Place],
    stop: threading.Event,
    max_tokens: int | None,
) -> Generator[tuple[Place, Result], None, None]:
    """The result for each place, as they come."""

    def make(places: Sequence[Place]) -> Generator[tuple[Place, Result], None, None]:
        lacking: dict[str, list[Place]] = {}
        for place in places:
            lacking.setdefault(place[0], []).append(place)
        of_count: dict[int, list[str]] = {}
        for name, each in lacking.items():
            of_count.setdefault(len(each), []).append(name)
        for count, names in sorted(of_count.items()):
            # Several for a prompt are asked for at once, as the product does, which asks again for a copy among them.
            # No seed: each row has one drawn, so that prompts are independent of each other.
            values = [prompts[name].value for name in names]
            batch = augmenter.batch(values, count, stop=stop, max_tokens=max_tokens)
            with closing(batch):  # type: ignore[type-var]
                for result in batch:
                    if result.finish != "cancelled":
                        yield lacking[names[result.index]].pop(0), result

    def plain(place: Place) -> Iterable[object]:
        return augmenter.batch([plain_input(augmenter.task)], stop=stop, max_tokens=max_tokens)

    with closing(made_or_refused(places, make, plain, stop)) as found:
        for place, each in found:
            if isinstance(each, Refusal):
                yield place, augmenter.without_text(prompts[place[0]].value, Finding("refused", each.reason))
            else:
                yield place, each


def _kept(
    task: Task, path: Path, prompts: Sequence[Prompt], samples: int, made: dict[str, Any]
) -> dict[tuple[str, int], Sample]:
    """The rows of the file that are asked for, by prompt and number."""
    wanted = {prompt.id: prompt for prompt in prompts}
    found: dict[tuple[str, int], Sample] = {}
    for row in rows.read(path):
        if not row.keys() >= {"id", "sample", "input", "text", "finish"}:
            raise InputError(f"{path} holds other rows than samples.", hint="Choose another folder.")
        prompt = wanted.get(row["id"])
        if prompt is None or row["sample"] >= samples or row["input"] != prompt.input:
            continue
        if not row.keys() >= {"tries", *made}:
            raise InputError(
                f"{path} holds rows that an older version made, which say less of how they were made.",
                hint="Choose another folder, or move the file away: its rows are made anew.",
            )
        for name, value in made.items():
            if row[name] != value:
                raise InputError(
                    f"{path} holds rows with another {name.replace('_', ' ')}: {row[name]}, now {value}.",
                    hint="Choose another folder, or move the file away.",
                )
        found[prompt.id, row["sample"]] = Sample(task, prompt, row["sample"], row["text"], row["finish"], row["tries"])
    return found
