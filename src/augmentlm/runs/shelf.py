"""Runs that are there already: which there are, rows struck by hand, the data set written in another form."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from augmentlm import tables
from augmentlm.errors import AugmentLMError
from augmentlm.runs.journal import Journal, held, is_run
from augmentlm.runs.outputs import Output, changing, is_written, write_anew
from augmentlm.runs.rows import Run, check_run, gather, read_run
from augmentlm.runs.spec import StepName

STRUCK = "struck"
"""The reason code of a row that a person took out."""


@dataclass(frozen=True)
class Entry:
    """One run on the shelf."""

    folder: Path
    steps: tuple[StepName, ...]
    accepted: int
    wanted: int

    @property
    def complete(self) -> bool:
        return self.accepted >= self.wanted


def runs(root: Path) -> list[Entry]:
    """The runs in the folders of `root`, the newest first. What can't be read is left out."""
    found = []
    folders = [folder for folder in root.iterdir() if is_run(folder)] if root.is_dir() else []
    for folder in sorted(folders, key=lambda folder: folder.name, reverse=True):
        try:
            run = read_run(folder)
        except (AugmentLMError, TypeError, KeyError):  # damaged, or another version's
            continue
        tasks = tuple(step.task for step in run.spec.steps)
        found.append(Entry(folder, tasks, len(run.accepted), run.spec.n))
    return found


def strike(folder: Path, candidates: Iterable[int]) -> None:
    """Take accepted rows out: they become rejects with the reason `struck`, and going on makes others instead.

    Raises `InputError` while the run is being worked on.
    """
    out = frozenset(candidates)
    with held(folder), closing(Journal(folder)) as journal, changing(journal):
        chosen = [record.candidate for record in gather(journal).accepted if record.candidate in out]
        last = {verdict.candidate: verdict for verdict in journal.verdicts()}
        journal.add_verdicts(replace(last[one], code=STRUCK, evidence="by hand") for one in chosen)


def rewrite(folder: Path, output: Output) -> Path:
    """Write the data set in another form and return where it is. Raises `InputError` as `strike` does."""
    with held(folder), closing(Journal(folder)) as journal, changing(journal):
        journal.set_meta("output", output.as_json())
    return folder / tables.FILES[output.file]


def up_to_date(folder: Path, wait: float = 0) -> tuple[Run, Path]:
    """A run and where its data set is, whose files are written first where a kill left them behind the rows.

    Raises `InputError` where there is no run, and while it is being worked on, after `wait` seconds.
    """
    check_run(folder)
    with held(folder, wait), closing(Journal(folder)) as journal:
        run, output = gather(journal), Output.of(journal)
        data = folder / tables.FILES[output.file]
        if not (is_written(journal) and data.exists()):
            write_anew(journal)
        return run, data
