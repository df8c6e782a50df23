"""The files of a run: the data set, and what was rejected with the reasons. Each appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from augmentlm import formats, schemas, tables
from augmentlm.errors import InputError
from augmentlm.examples import Example
from augmentlm.runs.journal import Journal
from augmentlm.runs.rows import Record, Run, gather

REJECTED = "rejected.jsonl"


@dataclass(frozen=True)
class Output:
    """How the data set is written: a schema of `schemas.WRITES`, a kind of file of `tables.FILES`, whether the seeds
    come before the new rows, and whether rows carry what they were made with."""

    schema: schemas.Name = "pairs"
    file: str = "jsonl"
    with_seeds: bool = False
    provenance: bool = True

    def __post_init__(self) -> None:
        if self.schema not in schemas.WRITES:
            raise InputError(
                f"Data sets are not written as {self.schema!r}.", hint=f"Choose from {', '.join(schemas.WRITES)}."
            )
        if self.file not in tables.FILES:
            raise InputError(f"There is no kind of file {self.file!r}.", hint=f"Choose from {', '.join(tables.FILES)}.")
        if self.file == "parquet":
            tables.need("pyarrow", "Parquet files")
        if self.file == "datasets":
            tables.need("datasets", "folders of Hugging Face datasets")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, journal: Journal) -> Output:
        """How the data set of a run is written."""
        return cls(**(journal.meta("output") or {}))


def usual_schema(seeds: Sequence[Example], read_as: schemas.Name | None) -> schemas.Name:
    """The schema of the seeds where it can be written; one with turns where they have several."""
    if read_as in schemas.WRITES:
        return read_as
    if any(seed.context for seed in seeds):
        return "messages"
    return "alpaca" if read_as == "self-instruct" else "pairs"


@contextmanager
def changing(journal: Journal) -> Iterator[None]:
    """The files of a run are written anew when what changes its rows or their form ends, however it ends. The journal
    knows meanwhile that they are behind, for a kill leaves them so."""
    journal.set_meta("written", False)
    try:
        yield
    finally:
        write_anew(journal)


def write_anew(journal: Journal) -> None:
    """Write the files of a run, which the journal then knows to be those of its rows."""
    write(gather(journal), Output.of(journal))
    journal.set_meta("written", True)


def is_written(journal: Journal) -> bool:
    """Whether the files of a run, where they are there, are those of its rows and their form as they are now."""
    return journal.meta("written") is True


def write(run: Run, output: Output) -> Path:
    """Write the data set and the rejects, and return where the data set is. The same run gives the same bytes."""
    accepted = run.accepted
    if not run.spec.multiplies:  # one row a seed: they come in the order of the seeds
        accepted = sorted(accepted, key=lambda record: record.seed_index)
    rows = [schemas.write(seed, output.schema) for seed in run.seeds] if output.with_seeds else []
    for record in accepted:
        row = schemas.write(record.example, output.schema)
        rows.append({**row, "provenance": provenance(record)} if output.provenance else row)
    path = run.folder / tables.FILES[output.file]
    tables.write(path, rows, output.file)
    formats.write_jsonl(run.folder / REJECTED, _rejects(run))
    return path


def provenance(record: Record) -> dict[str, Any]:
    """What is needed to make a row again, step by step."""
    steps = [
        {
            "step": made.step,
            "model": made.model,
            "weights": made.digest,
            "engine": made.engine,
            "quantization": made.quantization,
            "prompt_version": made.prompt_version,
            **made.sampling,
            "seed": made.seed,
        }
        for made in record.made
    ]
    return {"candidate": record.candidate, "from_seed": record.seed_index + 1, "steps": steps}


def _rejects(run: Run) -> Iterator[dict[str, Any]]:
    for record in run.rejected:
        yield {
            "step": record.step,
            "reason": record.code,
            "evidence": record.evidence,
            "instruction": record.instruction,
            "response": record.response,
            "text": record.made[-1].text,
            "provenance": provenance(record),
        }
