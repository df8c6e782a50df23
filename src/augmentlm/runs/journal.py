"""What a run has made so far, in one SQLite file that a kill at any moment leaves whole."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from augmentlm.errors import InputError
from augmentlm.examples import Example

FILE = "journal.sqlite"
VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seeds (number INTEGER PRIMARY KEY, example TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS texts (
    key TEXT PRIMARY KEY, step TEXT NOT NULL, text TEXT NOT NULL, finish TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL,
    seed INTEGER, code TEXT NOT NULL, evidence TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
    candidate INTEGER NOT NULL, step INTEGER NOT NULL, key TEXT NOT NULL, code TEXT NOT NULL, evidence TEXT NOT NULL,
    PRIMARY KEY (candidate, step)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Text:
    """What a model wrote for one step. `key` is the hash of everything that went into it, `seed` the sampling seed.

    `code` and `evidence` are the finding of the checks that look at this text alone; an empty code is none.
    """

    key: str
    step: str
    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    seed: int | None
    code: str = ""
    evidence: str = ""


@dataclass(frozen=True)
class Verdict:
    """How a candidate fared in the step of that number. An empty `code` means that it passed."""

    candidate: int
    step: int
    key: str
    code: str = ""
    evidence: str = ""


class Journal:
    """The journal of a run's folder. One process writes to it; others may read meanwhile.

    Every method that writes has written when it returns: a process that is killed afterwards has lost nothing.
    Raises `InputError` when the folder can't be used or the file is not a journal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with explained(folder):
            self._base = sqlite3.connect(folder / FILE, isolation_level=None, timeout=30, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.executescript(_TABLES)

    def meta(self, name: str) -> Any:
        """What was kept under a name, or None."""
        with explained(self.folder):
            row = self._base.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def set_meta(self, name: str, value: Any) -> None:
        with explained(self.folder):
            self._base.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, _json(value)))

    def begin(self, spec: dict[str, Any], seeds: Iterable[Example]) -> None:
        """Keep what the run is and its seeds: both or neither."""
        with self._together():
            self._base.execute("INSERT INTO meta VALUES ('version', ?)", (_json(VERSION),))
            self._base.execute("INSERT INTO meta VALUES ('spec', ?)", (_json(spec),))
            rows = ((number, _json(seed.as_json())) for number, seed in enumerate(seeds))
            self._base.executemany("INSERT INTO seeds VALUES (?, ?)", rows)

    def seeds(self) -> list[Example]:
        with explained(self.folder):
            rows = self._base.execute("SELECT example FROM seeds ORDER BY number").fetchall()
        return [Example.from_json(json.loads(row[0])) for row in rows]

    def add_text(self, text: Text) -> None:
        """Keep a text; one that is there already stays as it is."""
        with explained(self.folder):
            self._base.execute("INSERT OR IGNORE INTO texts VALUES (?,?,?,?,?,?,?,?,?,?)", astuple(text))

    def texts(self) -> Iterator[Text]:
        with explained(self.folder):
            for row in self._base.execute("SELECT * FROM texts"):
                yield Text(*row)

    def add_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Keep verdicts: all of them or none."""
        with self._together():
            self._base.executemany("INSERT OR REPLACE INTO verdicts VALUES (?,?,?,?,?)", map(astuple, verdicts))

    def verdicts(self) -> list[Verdict]:
        """All of them, by candidate and step."""
        with explained(self.folder):
            return [Verdict(*row) for row in self._base.execute("SELECT * FROM verdicts ORDER BY candidate, step")]

    def close(self) -> None:
        self._base.close()

    @contextmanager
    def _together(self) -> Iterator[None]:
        with explained(self.folder):
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise


def is_run(folder: Path) -> bool:
    """Whether a run was begun in a folder."""
    return (folder / FILE).is_file()


@contextmanager
def held(folder: Path, wait: float = 0) -> Iterator[None]:
    """A run's folder for this process alone, made if it is not there. Raises `InputError` when another has it, after
    `wait` seconds."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=wait)
        lock.acquire()
    except Timeout as error:
        raise InputError(f"Another program works on {folder}.", hint="Wait for it, or stop it.") from error
    except OSError as error:
        raise InputError(f"{folder} can't be used: {error.strerror}.", hint="Choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turns what SQLite says into a sentence."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        if "full" in said:
            raise InputError(
                f"The disk that holds {folder} is full.", hint="Free some space and start again: what was made is kept."
            ) from error
        if "locked" in said:
            raise InputError(f"{folder} is in use.", hint="Wait until the other program is done.") from error
        if "not a database" in said or "malformed" in said:
            raise InputError(f"{folder / FILE} is damaged.", hint="Choose another folder.") from error
        raise InputError(f"{folder / FILE} can't be used: {said}.", hint="Check the folder and its rights.") from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
