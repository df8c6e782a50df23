"""How data sets name things: instruction and response, Alpaca, chat messages, ShareGPT, prompt and completion.

A schema is recognised by its columns and reads a row into an `Example`; most write one too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from augmentlm.errors import InputError
from augmentlm.examples import Example
from augmentlm.tables import Table
from augmentlm.tasks import MAX_INPUT_CHARS, Message, clean

Name = Literal["instruction", "alpaca", "pairs", "prompt", "question", "messages", "sharegpt", "self-instruct"]
WRITES: tuple[Name, ...] = ("pairs", "alpaca", "prompt", "question", "messages", "sharegpt")
"""The schemas that a data set can be written in."""

_PAIRS: dict[Name, tuple[tuple[str, str], ...]] = {
    "pairs": (("instruction", "response"),),
    "prompt": (("prompt", "completion"), ("prompt", "response")),
    "question": (("question", "answer"), ("question", "response")),
}
_INSTRUCTIONS = ("instruction", "prompt", "question")
_RESPONSES = {"output": "instruction", "completion": "prompt", "answer": "question"}
_KINDS = ("kind", "category", "task_type")
_CHATS: dict[Name, tuple[str, str, str]] = {
    "messages": ("messages", "role", "content"),
    "sharegpt": ("conversations", "from", "value"),
}
_CHAT_COLUMNS = {column for column, _, _ in _CHATS.values()}
_ROLES: dict[str, str] = {
    "human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
    "user": "user", "assistant": "assistant", "system": "system",
}  # fmt: skip
_SHAREGPT = {"user": "human", "assistant": "gpt", "system": "system"}
_OURS = ("instruction", "input", "response", "kind", "messages")


@dataclass(frozen=True)
class Read:
    """What was made of a table: `schema` as it was recognised, and a sentence for every row that was left out."""

    schema: Name
    examples: tuple[Example, ...]
    problems: tuple[str, ...]


def read(table: Table, columns: Mapping[str, str] | None = None) -> Read:
    """Examples out of rows. `columns` maps our names (instruction, input, response, kind, messages) to the table's.

    Raises `InputError` when the columns are not known or no row can be used.
    """
    for ours, theirs in (columns or {}).items():
        if ours not in _OURS:
            raise InputError(f"There is no column {ours!r} to map to.", hint=f"Choose from {', '.join(_OURS)}.")
        if not any(theirs in row for _, row in table.rows):
            raise InputError(f"No row has a column {theirs!r}.", hint=f"There are {_names(table)}.")
    schema: Name | None = None
    examples: list[Example] = []
    problems = list(table.problems)
    for where, row in table.rows:
        values = _renamed(row, columns or {})
        schema = schema or recognise(values)
        try:
            examples.append(_checked(_read(schema, values)))
        except _UnusableError as error:
            problems.append(f"{where} {error}.")
    if schema is None:
        raise InputError(
            f"No column is known here: there are {_names(table)}.",
            hint="Say which column is which (--map instruction=query in a terminal).",
        )
    if not examples:
        more = f" ({len(problems) - 1} more like it.)" if len(problems) > 1 else ""
        raise InputError(f"{problems[0]}{more}", hint="Complete the rows, or map other columns.")
    return Read(schema, tuple(examples), tuple(problems))


def recognise(row: Mapping[str, Any]) -> Name | None:
    """The schema of a row, told by the names of its columns; None when they are not known."""
    for name, (column, _, _) in _CHATS.items():
        if column in row:
            return name
    if _is_list(row.get("prompt")):  # a conversation cut in two, as TRL names it
        return "messages"
    if "instances" in row and "instruction" in row:
        return "self-instruct"
    if "instruction" in row and "output" in row:
        return "alpaca"
    for name, pairs in _PAIRS.items():
        if any(left in row and right in row for left, right in pairs):
            return name
    return "instruction" if any(column in row for column in _INSTRUCTIONS) else None


def write(example: Example, schema: Name) -> dict[str, Any]:
    """A row in a schema of `WRITES`, without a response where there is none. In one without turns, a conversation is
    written out in the instruction."""
    if schema in _CHATS:
        column, role, content = _CHATS[schema]
        roles = _SHAREGPT if schema == "sharegpt" else {}
        return {column: [{role: roles.get(turn.role, turn.role), content: turn.content} for turn in example.messages]}
    left, right = ("instruction", "output") if schema == "alpaca" else _PAIRS[schema][0]
    row = {left: flat(example), **({"input": ""} if schema == "alpaca" else {})}
    return {**row, right: example.response} if example.response else row


def flat(example: Example) -> str:
    """The instruction with the turns before it written out, for schemas that have one text for both."""
    if not example.context:
        return example.instruction
    turns = [*example.context, Message("user", example.instruction)]
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in turns)


class _UnusableError(ValueError):
    """Why a row can't be used, as the end of a sentence."""


def _renamed(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    values = {str(name).strip().lower(): cell for name, cell in row.items()}
    for ours, theirs in columns.items():
        values[ours] = row.get(theirs)
    # What is mapped counts, whatever else is there.
    beside: set[str] = set()
    if "instruction" in columns:
        beside = {*_CHAT_COLUMNS, "instances", *_RESPONSES}
    elif "response" in columns:
        beside = {"instances", *_RESPONSES}
        theirs = columns["response"].strip().lower()
        if _RESPONSES.get(theirs) in values:  # it stands where it always does: the schema is that of the table
            beside.remove(theirs)
        if any(name in values for name in _INSTRUCTIONS):
            beside |= _CHAT_COLUMNS
    return {name: cell for name, cell in values.items() if name in columns or name not in beside}


def _read(schema: Name | None, row: Mapping[str, Any]) -> Example:
    found = recognise(row)
    if found is None:
        raise _UnusableError(f"has no {'messages' if schema in _CHATS else 'instruction'}")
    kind = next((row[name] for name in _KINDS if isinstance(row.get(name), str) and row[name].strip()), None)
    return _READERS.get(found, _plain)(row, kind)


def _plain(row: Mapping[str, Any], kind: str | None) -> Example:
    for pairs in _PAIRS.values():
        for left, right in pairs:
            if left in row and right in row:
                asked = _text(row, left)
                return Example(_with_input(asked, row), _text(row, right, needed=False), kind=kind)
    left = next(name for name in _INSTRUCTIONS if name in row)
    return Example(_with_input(_text(row, left), row), kind=kind)


def _alpaca(row: Mapping[str, Any], kind: str | None) -> Example:
    return Example(_with_input(_text(row, "instruction"), row), _text(row, "output", needed=False), kind=kind)


def _self_instruct(row: Mapping[str, Any], kind: str | None) -> Example:
    """A seed task of Self-Instruct: an instruction with instances of input and output, of which the first is taken."""
    first = row["instances"][0] if isinstance(row["instances"], Sequence) and row["instances"] else None
    if not isinstance(first, Mapping):
        raise _UnusableError("has no instance")
    return Example(_with_input(_text(row, "instruction"), first), _text(first, "output", needed=False), kind=kind)


def _chat(schema: Name) -> Callable[[Mapping[str, Any], str | None], Example]:
    column, role, content = _CHATS[schema]

    def read(row: Mapping[str, Any], kind: str | None) -> Example:
        given = row[column] if column in row else [*row["prompt"], *_turns(row.get("completion"))]
        if not _is_list(given):
            raise _UnusableError(f"has {column} that are not a list")
        turns = [_turn(turn, role, content) for turn in given]
        response = turns.pop().content if turns and turns[-1].role == "assistant" else ""
        if not turns or turns[-1].role != "user":
            raise _UnusableError("has no turn of a user to work on")
        return Example(turns[-1].content, response, tuple(turns[:-1]), kind)

    return read


def _turns(completion: Any) -> Sequence[Any]:
    if completion is not None and not _is_list(completion):
        raise _UnusableError("has a prompt of turns and a completion that is none")
    return completion or ()


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _turn(turn: Any, role: str, content: str) -> Message:
    if not isinstance(turn, Mapping) or turn.get(role) not in _ROLES:
        raise _UnusableError(f"has a turn without a known {role}")
    return Message(_ROLES[turn[role]], _text(turn, content))  # type: ignore[arg-type]


_READERS: dict[Name, Callable[[Mapping[str, Any], str | None], Example]] = {
    "alpaca": _alpaca,
    "self-instruct": _self_instruct,
    "messages": _chat("messages"),
    "sharegpt": _chat("sharegpt"),
}


def _with_input(instruction: str, row: Mapping[str, Any]) -> str:
    extra = _text(row, "input", needed=False)
    return f"{instruction}\n\n{extra}" if extra else instruction


def _text(row: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    cell = row.get(name)
    if cell is None:
        cell = ""
    if not isinstance(cell, str):
        raise _UnusableError(f"holds no text in its {name}")
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise _UnusableError(f"has half a character in its {name}") from error
    text = clean(cell)
    if needed and not text:
        raise _UnusableError(f"has an empty {name}")
    return text


def _checked(example: Example) -> Example:
    size = sum(len(turn.content) for turn in example.messages)
    if size > MAX_INPUT_CHARS:
        raise _UnusableError(f"has {size:,} characters, and {MAX_INPUT_CHARS:,} fit a model's window")
    return example


def _names(table: Table) -> str:
    names: Iterable[str] = dict.fromkeys(str(name) for _, row in table.rows[:100] for name in row)
    return ", ".join(list(names)[:12])
