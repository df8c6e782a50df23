"""Votes on duels, kept in SQLite: what was asked, what both wrote, in which order it was shown, and who won.

Nothing tells who voted: there is no name, address or session in a row.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from augmentlm.engines.base import Finish
from augmentlm.errors import InputError
from augmentlm.tasks import Task
from augmentlm.weights import home

PEOPLE = "people"
"""The judge of votes that people gave; any other judge is a model's name."""

SCHEMA = 1
BUSY_SECONDS = 10.0

Winner = Literal["left", "right", "tie", "both_bad"]
Order = Literal["left_first", "right_first", "both"]
"""Which side stood first, as A. "both": a model judged, which is asked in either order."""


@dataclass(frozen=True)
class Entry:
    """What one model wrote, as far as the voter saw it, and how it came about. Times in seconds.

    `weights` identifies the weights: digests, a commit or a server. `finish` is "cancelled" for a text that the vote
    cut off.
    """

    model: str
    engine: str
    quantization: str
    weights: dict[str, str]
    text: str
    finish: Finish
    seed: int | None
    prompt_tokens: int
    completion_tokens: int
    ttft_s: float
    seconds: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What is the same model: its name, quantization and weights."""
        return self.model, self.quantization, json.dumps(self.weights, sort_keys=True)


@dataclass(frozen=True)
class Vote:
    """One vote. `prompt` is the input as JSON, `sampling` what both sides had, `at` the second in UTC."""

    id: str
    at: str
    task: Task
    prompt: Any
    left: Entry
    right: Entry
    order: Order
    winner: Winner
    judge: str
    blind: bool
    sampling: dict[str, Any]
    prompt_version: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def whole(self) -> bool:
        """Both texts were there to their end."""
        return "cancelled" not in (self.left.finish, self.right.finish)

    def turned(self) -> Vote:
        """The same vote with the sides exchanged."""
        order: dict[Order, Order] = {"left_first": "right_first", "right_first": "left_first", "both": "both"}
        winner: dict[Winner, Winner] = {"left": "right", "right": "left", "tie": "tie", "both_bad": "both_bad"}
        values = {name: getattr(self, name) for name in _NAMES}
        return Vote(
            **{
                **values,
                "left": self.right,
                "right": self.left,
                "order": order[self.order],
                "winner": winner[self.winner],
            }
        )


_NAMES = tuple(field.name for field in fields(Vote))
_COLUMNS = ", ".join(f'"{name}"' for name in _NAMES)  # `order`, `left` and `right` mean something to SQL
_JSON = ("prompt", "left", "right", "sampling")


def default_path() -> Path:
    """Where votes are kept: in AUGMENTLM_HOME, or with the user's data, which no one clears as a cache is cleared."""
    if os.environ.get("AUGMENTLM_HOME"):
        return home() / "votes.sqlite"
    import platformdirs

    return platformdirs.user_data_path("augmentlm", appauthor=False) / "votes.sqlite"


class Votes:
    """The votes in a file. Safe to use from several threads and processes: each call is one transaction."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()

    def add(self, vote: Vote) -> None:
        """Keep a vote; one with an id that is there already replaces it. On the disk when this returns.

        Raises `InputError` when the file can't be written or is damaged; then nothing has changed.
        """
        values = {
            name: json.dumps(_plain(getattr(vote, name)), ensure_ascii=False) if name in _JSON else getattr(vote, name)
            for name in _NAMES
        }
        marks = ", ".join(f":{name}" for name in _NAMES)
        with self._open(writing=True) as connection:
            connection.execute(f"INSERT OR REPLACE INTO votes ({_COLUMNS}) VALUES ({marks})", values)

    def all(self) -> list[Vote]:
        """Every vote, the oldest first; none when there is no file. Raises `InputError` when it can't be read."""
        if not self.path.exists():
            return []
        with self._open(writing=False) as connection:
            return [_vote(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM votes ORDER BY rowid")]

    @contextmanager
    def _open(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        try:
            if writing:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            where = f"{self.path.absolute().as_uri()}?mode={'rwc' if writing else 'ro'}"
            with closing(sqlite3.connect(where, uri=True, timeout=BUSY_SECONDS)) as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version > SCHEMA:
                    raise InputError(
                        f"The votes in {self.path} were written by a newer AugmentLM.", hint="Update this one."
                    )
                with connection:
                    if writing and version < SCHEMA:
                        connection.execute(_TABLE)
                        connection.execute(f"PRAGMA user_version = {SCHEMA}")
                    yield connection
        except sqlite3.OperationalError as error:
            verb = "written" if writing else "read"
            raise InputError(
                f"The votes in {self.path} can't be {verb}: {error}.", hint="Check the rights of the file and its disk."
            ) from error
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"The votes in {self.path} can't be read: the file is damaged.",
                hint="Move it away, and a new one is begun.",
            ) from error
        except OSError as error:
            raise InputError(
                f"The votes in {self.path} can't be written: {error.strerror}.", hint="Set AUGMENTLM_HOME to a folder."
            ) from error


class PassingVotes:
    """Votes that are written nowhere: those of one visitor among strangers, as long as the page is open."""

    def __init__(self) -> None:
        self._votes: dict[str, Vote] = {}

    def add(self, vote: Vote) -> None:
        """Keep a vote; one with an id that is there already replaces it."""
        self._votes[vote.id] = vote

    def all(self) -> list[Vote]:
        """Every vote, the oldest first."""
        return list(self._votes.values())


_TABLE = """CREATE TABLE IF NOT EXISTS votes (
  id TEXT PRIMARY KEY, at TEXT NOT NULL, task TEXT NOT NULL, prompt TEXT NOT NULL, "left" TEXT NOT NULL,
  "right" TEXT NOT NULL, "order" TEXT NOT NULL, winner TEXT NOT NULL, judge TEXT NOT NULL, blind INTEGER NOT NULL,
  sampling TEXT NOT NULL, prompt_version TEXT NOT NULL)"""


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Entry) else value


def _vote(row: tuple[Any, ...]) -> Vote:
    values = {name: json.loads(value) if name in _JSON else value for name, value in zip(_NAMES, row, strict=True)}
    sides = {name: Entry(**values[name]) for name in ("left", "right")}
    return Vote(**{**values, **sides, "blind": bool(values["blind"])})
