"""The work of a run: texts are made in waves, judged in the order of the candidates, and kept as they come."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from math import ceil

from augmentlm.augmenter import Augmenter
from augmentlm.examples import Example
from augmentlm.measures.embed import Embed
from augmentlm.runs.candidates import TRIES, Candidate, input_of, key, result_of, sampling_seed
from augmentlm.runs.journal import Journal, Verdict
from augmentlm.runs.judging import Judge
from augmentlm.runs.rows import Record, record_of
from augmentlm.runs.spec import CANDIDATES_PER_ROW, PATIENCE, Spec, StepName
from augmentlm.runs.texts import Maker, Wanted

LEAST_WAVE, MOST_WAVE = 8, 128
"""Candidates that go through a step together: enough to keep an engine's slots full, few enough to see rows soon."""


@dataclass(frozen=True)
class Progress:
    """How far a run is. `latest` are the candidates that were settled since the last word; `step` with `step_done` of
    `step_total` says what the current wave is at. `seconds_left` is None before it can be told."""

    accepted: int
    rejected: int
    wanted: int
    step: StepName | None = None
    step_done: int = 0
    step_total: int = 0
    tokens: int = 0
    seconds: float = 0.0
    seconds_left: float | None = None
    latest: tuple[Record, ...] = ()
    ended: str = ""
    """Why it ended short of what was wanted."""

    @property
    def complete(self) -> bool:
        return self.accepted >= self.wanted


@dataclass
class _Course:
    """A candidate on its way: what it is so far, and its verdicts."""

    candidate: Candidate
    example: Example
    verdicts: list[Verdict] = field(default_factory=list)


class Runner:
    """Works on a journal until the rows wanted are accepted, or candidates give out. `augmenters` are one a step;
    `embed` is for the check of likeness by meaning, where it is on."""

    def __init__(
        self, journal: Journal, augmenters: Sequence[Augmenter], stop: threading.Event, embed: Embed | None = None
    ) -> None:
        self._journal = journal
        self.spec = Spec.from_json(journal.meta("spec"))
        self._seeds = tuple(journal.seeds())
        self._makers = [
            Maker(augmenter, dict(step.sampling), stop, self.spec.checks.near_copy)
            for augmenter, step in zip(augmenters, self.spec.steps, strict=True)
        ]
        self._judges = [Judge(self.spec, place, self._seeds, embed) for place in range(len(self.spec.steps))]
        self._texts = {text.key: text for text in journal.texts()}
        self._courses: dict[int, _Course] = {}
        self._accepted: list[int] = []
        self._taken: set[int] = set()
        self._rejected = 0
        self._next = 0
        self._tokens = 0
        for verdict in journal.verdicts():
            self._apply(verdict)

    def work(self) -> Iterator[Progress]:
        """Everything that is missing. Raises `StoppedError`, and what engines raise; what was made is kept."""
        self._started, self._before = time.monotonic(), len(self._accepted)
        yield self._progress()
        while len(self._accepted) < self.spec.n:
            wave = self._wave()
            if not wave:
                yield replace(self._progress(), ended=self._why())
                return
            for place in range(len(self.spec.steps)):
                with closing(self._step(place, [number for number in wave if not self._is_over(number)])) as news:
                    yield from news

    def _step(self, place: int, numbers: Sequence[int]) -> Iterator[Progress]:
        """Make what is missing of a step for some candidates and judge them in order, until there are rows enough."""
        queue = deque(number for number in numbers if len(self._course(number).verdicts) <= place)
        keys: dict[int, str] = {}
        wanted: dict[str, Wanted] = {}
        for number in queue:
            want = self._wanted(place, self._courses[number])
            keys[number] = want.key
            if want.key not in self._texts:
                wanted[want.key] = want
        with closing(self._make(place, list(wanted.values()))) as made:
            for _ in chain((None,), made):  # what an earlier session made is judged before anything new comes
                verdicts = self._judge_ready(place, queue, keys)
                self._journal.add_verdicts(verdicts)
                missing = sum(keys[number] not in self._texts for number in queue)
                settled = [verdict.candidate for verdict in verdicts if self._is_over(verdict.candidate)]
                yield self._progress(place, len(numbers) - missing, len(numbers), settled)
                if len(self._accepted) >= self.spec.n:
                    return

    def _wanted(self, place: int, course: _Course) -> Wanted:
        step = self.spec.steps[place]
        value = input_of(self.spec, place, course.candidate, course.example, self._seeds)
        seed = sampling_seed(self.spec, place, course.candidate)
        context = course.example.context if step.task == "respond" else ()
        return Wanted(key(self.spec, step, course.example, value, seed), value, seed, context)

    def _make(self, place: int, wanted: Sequence[Wanted]) -> Iterator[None]:
        if not wanted:
            return
        with closing(self._makers[place].make(wanted)) as texts:
            for text in texts:
                self._journal.add_text(text)
                self._texts[text.key] = text
                self._tokens += text.completion_tokens
                yield

    def _judge_ready(self, place: int, queue: deque[int], keys: dict[int, str]) -> list[Verdict]:
        """Verdicts on the candidates at the head of the queue whose texts are there."""
        verdicts = []
        while queue and keys[queue[0]] in self._texts and len(self._accepted) < self.spec.n:
            number = queue.popleft()
            text = self._texts[keys[number]]
            became = result_of(self.spec.steps[place].task, self._courses[number].example, text.text)
            verdicts.append(self._judges[place].judge(number, text, became))
            self._apply(verdicts[-1])
        return verdicts

    def _apply(self, verdict: Verdict) -> None:
        """Take note of a verdict, be it new or out of the journal."""
        course = self._course(verdict.candidate)
        step = self.spec.steps[verdict.step]
        course.example = result_of(step.task, course.example, self._texts[verdict.key].text)
        course.verdicts.append(verdict)
        if verdict.code:
            self._rejected += 1
            return
        self._judges[verdict.step].passed(verdict.candidate, course.example)
        if verdict.step == len(self.spec.steps) - 1:
            self._accepted.append(verdict.candidate)
            self._taken.add(course.candidate.seed_index)

    def _course(self, number: int) -> _Course:
        if number not in self._courses:
            candidate = Candidate.of(number, len(self._seeds))
            self._courses[number] = _Course(candidate, self._seeds[candidate.seed_index])
        return self._courses[number]

    def _is_over(self, number: int) -> bool:
        """Whether a candidate was accepted or rejected."""
        course = self._courses.get(number)
        if not course or not course.verdicts:
            return False
        return bool(course.verdicts[-1].code) or len(course.verdicts) == len(self.spec.steps)

    def _wave(self) -> list[int]:
        """The next candidates to work on; none when the run gives up."""
        while self._is_over(self._next):
            self._next += 1
        missing, settled = self.spec.n - len(self._accepted), len(self._accepted) + self._rejected
        rate = max(0.1, len(self._accepted) / settled) if settled else 0.5
        size = min(MOST_WAVE, max(LEAST_WAVE, ceil(missing / rate)))
        seeds = len(self._seeds)
        wave: list[int] = []
        for number in range(self._next, self._end()):
            if len(wave) == size:
                break
            if not self.spec.multiplies:
                # Each seed gives one row: one that has it is done, and another round waits for the end of this one.
                if wave and number // seeds != wave[0] // seeds:
                    break
                if number % seeds in self._taken:
                    continue
            if not self._is_over(number):
                wave.append(number)
        return wave

    def _end(self) -> int:
        """The candidate that is not tried any more. It depends on verdicts alone, never on where a wave began."""
        if not self.spec.multiplies:
            return TRIES * len(self._seeds)
        patience = max(PATIENCE, 2 * len(self._seeds))
        return min(CANDIDATES_PER_ROW * self.spec.n, (self._accepted[-1] + 1 if self._accepted else 0) + patience)

    def _rejected_before(self, number: int) -> int:
        """Rejects up to the row that completes the run; those after it count when the run is extended."""
        verdicts = (course.verdicts for candidate, course in self._courses.items() if candidate < number)
        return sum(bool(one and one[-1].code) for one in verdicts)

    def _why(self) -> str:
        codes = Counter(course.verdicts[-1].code for course in self._courses.values() if course.verdicts)
        del codes[""]
        said = ", ".join(f"{count} {code}" for code, count in codes.most_common())
        tried = len(self._accepted) + self._rejected
        return (
            f"Exhausted after {tried} candidates: {len(self._accepted)} of {self.spec.n} accepted, "
            f"{self._rejected} rejected ({said})."
        )

    def _progress(
        self, place: int | None = None, done: int = 0, total: int = 0, settled: Sequence[int] = ()
    ) -> Progress:
        accepted = len(self._accepted)
        seconds, made = time.monotonic() - self._started, accepted - self._before
        records = (record_of(self.spec, self._seeds, self._texts, self._courses[one].verdicts) for one in settled)
        rejected = self._rejected
        if accepted >= self.spec.n:
            rejected = self._rejected_before(self._accepted[self.spec.n - 1])
        return Progress(
            accepted=min(accepted, self.spec.n),
            rejected=rejected,
            wanted=self.spec.n,
            step=None if place is None else self.spec.steps[place].task,
            step_done=done,
            step_total=total,
            tokens=self._tokens,
            seconds=seconds,
            seconds_left=seconds / made * (self.spec.n - accepted) if made else None,
            latest=tuple(one for one in records if one),
        )
