"""`run`: the whole of a data set run, from seeds to files, telling how far it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from augmentlm import schemas, tables
from augmentlm.augmenter import Augmenter, load
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import AugmentLMError, InputError
from augmentlm.examples import Example
from augmentlm.measures.embed import Embed, embedder
from augmentlm.runs.journal import Journal, held, is_run
from augmentlm.runs.marks import SAMPLING
from augmentlm.runs.outputs import Output, changing, usual_schema
from augmentlm.runs.rows import read_run
from augmentlm.runs.runner import Progress, Runner
from augmentlm.runs.spec import MULTIPLIES, Checks, Spec, Step, StepName, check_seeds, check_steps, differences
from augmentlm.tasks import Task
from augmentlm.weights import Progress as Downloaded

_NOTE_SECONDS = 5.0
"""How often the time spent is noted, so that a kill loses little of it."""


@dataclass(frozen=True)
class Using:
    """What a step runs on; None leaves it to the task's default. With `endpoint`, `model` is the server's name."""

    model: str | None = None
    engine: str | None = None
    quantization: str | None = None
    endpoint: str | None = None
    api_key: str | None = field(default=None, repr=False)
    sampling: Mapping[str, float | int | None] = field(default_factory=dict)

    def load(self, name: StepName, pool: EnginePool | None, downloaded: Downloaded | None) -> Augmenter:
        """The augmenter of a step. A judge responds to a question."""
        task: Task = "respond" if name == "judge" else name
        return load(
            task,
            self.model,
            engine=self.engine,
            quantization=self.quantization,
            purpose="batch",
            endpoint=self.endpoint,
            api_key=self.api_key,
            pool=pool,
            progress=downloaded,
        )

    def as_begun(self, step: Step) -> Using:
        """With what the run began with where nothing is named: an extra that was installed since changes no run."""
        named = (self.model, self.engine, self.quantization)
        kept = (step.model, step.engine, step.quantization)
        if self.endpoint or any(name not in (None, other) for name, other in zip(named, kept, strict=True)):
            return self
        if _address(step):  # a server then, and none named now: a change, which is told
            return self
        return replace(self, model=step.model, engine=step.engine, quantization=step.quantization)


def run(
    seeds: str | Path | Sequence[Example | str | Mapping[str, Any]],
    out: str | Path,
    *,
    steps: Sequence[str] = ("expand", "respond"),
    n: int | None = None,
    using: Mapping[str, Using] | None = None,
    checks: Checks | None = None,
    judge: Using | None = None,
    columns: Mapping[str, str] | None = None,
    schema: schemas.Name | None = None,
    file: str = "jsonl",
    with_seeds: bool = False,
    provenance: bool = True,
    seed: int = 0,
    pool: EnginePool | None = None,
    stop: threading.Event | None = None,
    downloaded: Downloaded | None = None,
) -> Iterator[Progress]:
    """Work on the run in the folder `out` until `n` rows are accepted, yielding how far it is.

    `seeds` is the name of a file, a folder or a data set of the hub, or rows: examples, instructions, or dictionaries
    with the usual names (`columns` maps ours to others, see `schemas.read`). `schema`, `file`, `with_seeds` and
    `provenance` say how the data set is written (see `Output`); the schema is that of the seeds unless named.

    A folder without a run begins one. In a folder with one the same arguments go on with it and do only what is
    missing; a larger `n` extends it, and anything else that changed raises `InputError` with its name. `n` defaults to
    the number of seeds. `using` says by step what it runs on; with `judge`, a model marks each row that passed the
    other checks, and those below `Checks.least_score` are rejected. Whenever it ends, the files are written.

    Raises `InputError`, `StoppedError` once `stop` is set, and what engines raise; nothing that was made is lost.
    """
    tasks = check_steps(steps)
    read_as, examples = read_seeds(seeds, columns)
    output = Output(schema or usual_schema(examples, read_as), file, with_seeds, provenance)
    check_seeds(tasks, examples)
    wanted = len(examples) if n is None else n
    check_n(tasks, examples, wanted)
    unknown = [name for name in using or {} if name not in tasks]
    if unknown:
        raise InputError(f"{unknown[0]} is not one of the steps.", hint=f"The steps are {','.join(tasks)}.")
    uses = [(using or {}).get(task, Using()) for task in tasks]
    names: list[StepName] = [*tasks]
    if judge:
        names.append("judge")
        uses.append(replace(judge, sampling=SAMPLING))
    begun = _begun(Path(out))
    if begun and [step.task for step in begun.steps] == names:
        uses = [use.as_begun(step) for use, step in zip(uses, begun.steps, strict=True)]
    augmenters = [use.load(name, pool, downloaded) for name, use in zip(names, uses, strict=True)]
    stop = stop or threading.Event()
    spec = Spec(
        steps=_steps(names, augmenters, uses, stop),
        n=wanted,
        seed=seed,
        checks=checks or Checks(),
    )
    embed = embedder(downloaded) if spec.embeds else None
    yield from _work(Path(out), spec, examples, output, augmenters, stop, embed)


def resume(
    out: str | Path,
    *,
    n: int | None = None,
    output: Output | None = None,
    api_key: str | None = None,
    pool: EnginePool | None = None,
    stop: threading.Event | None = None,
    downloaded: Downloaded | None = None,
) -> Iterator[Progress]:
    """Go on with the run in a folder, to `n` rows and written as `output` where those are given. It is as `run` with
    what the run was begun with."""
    before = read_run(Path(out))
    spec = replace(before.spec, n=before.spec.n if n is None else n)
    check_n([step.task for step in spec.steps if step.task != "judge"], before.seeds, spec.n)
    uses = [_as_before(step, api_key) for step in spec.steps]
    stop = stop or threading.Event()
    augmenters = [use.load(step.task, pool, downloaded) for use, step in zip(uses, spec.steps, strict=True)]
    now = replace(spec, steps=_steps([step.task for step in spec.steps], augmenters, uses, stop))
    embed = embedder(downloaded) if now.embeds else None
    yield from _work(Path(out), now, before.seeds, output or output_of(Path(out)), augmenters, stop, embed)


def check_n(steps: Sequence[Task], seeds: Sequence[Example], n: int) -> None:
    """Raises `InputError` when no such number of rows can come of the seeds."""
    if n < 1:
        raise InputError(f"{n} rows can't be made.", hint="Ask for one or more.")
    if n > len(seeds) and not any(task in MULTIPLIES for task in steps):
        raise InputError(
            f"{','.join(steps)} makes one row of each seed: at most {len(seeds)}, not {n}.",
            hint="Add expand or pair to the steps, or ask for fewer.",
        )


def _address(step: Step) -> str:
    """The server that makes a step's texts; "" where none does."""
    name, _, address = step.digest.partition("=")
    return address if name == "endpoint" else ""


def _as_before(step: Step, api_key: str | None) -> Using:
    if address := _address(step):
        return Using(step.model, endpoint=address, api_key=api_key, sampling=step.sampling)
    return Using(step.model, step.engine, step.quantization, sampling=step.sampling)


def _begun(folder: Path) -> Spec | None:
    """What the run in a folder is, if one was begun there."""
    if not is_run(folder):
        return None
    with closing(Journal(folder)) as journal:
        kept = journal.meta("spec")
    return Spec.from_json(kept) if kept else None


def output_of(folder: Path) -> Output:
    """How a run's data set is written."""
    with closing(Journal(folder)) as journal:
        return Output.of(journal)


def _work(
    folder: Path,
    spec: Spec,
    seeds: Sequence[Example],
    output: Output,
    augmenters: Sequence[Augmenter],
    stop: threading.Event,
    embed: Embed | None,
) -> Iterator[Progress]:
    with held(folder), closing(_journal(folder, spec, seeds)) as journal:
        before, noted = journal.meta("seconds") or 0.0, 0.0
        last = Progress(0, 0, spec.n)
        try:
            with changing(journal):
                journal.set_meta("ended", "")
                journal.set_meta("output", output.as_json())
                for last in Runner(journal, augmenters, stop, embed).work():
                    if last.seconds - noted > _NOTE_SECONDS:
                        noted = last.seconds
                        journal.set_meta("seconds", before + noted)
                    yield last
                journal.set_meta("ended", last.ended)
        finally:
            journal.set_meta("seconds", before + last.seconds)


def read_seeds(
    seeds: str | Path | Sequence[Example | str | Mapping[str, Any]], columns: Mapping[str, str] | None
) -> tuple[schemas.Name | None, list[Example]]:
    """The schema of the seeds, if they had one, and the seeds themselves, each once."""
    if isinstance(seeds, str | Path):
        read = schemas.read(tables.read(seeds), columns)
        return read.schema, list(dict.fromkeys(read.examples))
    rows = [{"instruction": seed} if isinstance(seed, str) else seed for seed in seeds]
    if all(isinstance(row, Example) for row in rows):
        return None, list(dict.fromkeys(rows))  # type: ignore[arg-type]
    numbered = tuple((f"Row {number}", dict(row)) for number, row in enumerate(rows, 1))  # type: ignore[call-overload]
    read = schemas.read(tables.Table(numbered), columns)
    if read.problems:
        raise InputError(read.problems[0], hint="Complete the row or leave it out.")
    return read.schema, list(dict.fromkeys(read.examples))


def _steps(
    names: Sequence[StepName], augmenters: Sequence[Augmenter], uses: Sequence[Using], stop: threading.Event
) -> tuple[Step, ...]:
    return tuple(_step(*each, stop) for each in zip(names, augmenters, uses, strict=True))


def _step(name: StepName, augmenter: Augmenter, use: Using, stop: threading.Event) -> Step:
    weights = augmenter.weights
    if "not downloaded" in weights.values():
        augmenter.warm_up(stop)  # which commit it is shows when it has come
        weights = augmenter.weights
    sampling = asdict(augmenter.sampling(**use.sampling))
    del sampling["seed"]
    digest = " ".join(f"{name}={value}" for name, value in weights.items())
    return Step(name, augmenter.model, augmenter.engine, augmenter.quantization, digest, sampling)


def _journal(folder: Path, spec: Spec, seeds: Sequence[Example]) -> Journal:
    """The journal of the folder: begun, or taken up if it is of the same run."""
    begun = is_run(folder)
    journal = Journal(folder)
    try:
        kept = journal.meta("spec") if begun else None
        if kept is None:
            journal.begin(spec.as_json(), seeds)
            return journal
        then = Spec.from_json(kept)
        changed = differences(then, spec)
        before = journal.seeds()
        if before != list(seeds):
            changed.append(_changed_seeds(before, seeds))
        if changed:
            raise InputError(
                f"{folder} holds another run: {'; '.join(changed)}.", hint="Give it back, or choose another folder."
            )
        journal.set_meta("spec", replace(then, n=spec.n).as_json())
        return journal
    except AugmentLMError:
        journal.close()
        raise


def _changed_seeds(before: Sequence[Example], now: Sequence[Example]) -> str:
    if len(before) != len(now):
        return f"it had {len(before)} seeds and there are {len(now)} now"
    number = next(number for number, (a, b) in enumerate(zip(before, now, strict=True), 1) if a != b)
    return f"seed {number} is another one now"
