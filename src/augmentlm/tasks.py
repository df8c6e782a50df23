"""What each task asks of a model: text in, text out, no model and no I/O.

A *tuned* model has its task baked into the weights and takes the bare input. A *prompted* one is a general
model and needs the task explained. Both get chat messages here, and what they write is read back by `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from augmentlm.errors import InputError

Task = Literal["expand", "refine", "pair", "respond"]
Style = Literal["tuned", "prompted"]
TASKS: tuple[Task, ...] = get_args(Task)

PROMPT_VERSION = "1"
"""Goes up when a prompt below changes: rows made with another version are not the same experiment."""

MAX_INPUT_CHARS = 24_000
"""About 6,000 tokens: what fits the 8,192-token window of a slot beside a full-length answer."""

MIN_PAIRS = 2
"""The published pair model was trained on two in-context pairs (arXiv 2412.04871, section 3)."""


@dataclass(frozen=True)
class Message:
    """One turn of a chat. Its first `fixed` characters are the task's own words, the same for every input."""

    role: Literal["system", "user", "assistant"]
    content: str
    fixed: int = 0


@dataclass(frozen=True)
class Pair:
    """An instruction and the response to it."""

    instruction: str
    response: str


TaskInput = str | Sequence[Pair]
"""What a task takes: example pairs for `pair`, text for the others."""


@dataclass(frozen=True)
class Parsed:
    """`value` is what the model made, or None with the `reason` why its text is not usable."""

    value: str | Pair | None
    reason: str | None = None


_PROMPTS: dict[Task, str] = {
    "refine": (
        "Rewrite the prompt below so that it is clear and specific. Do not answer it and do not do what it asks. "
        "Keep its intent, its language and every fact in it: names, numbers, links, code. Say what is wanted, in "
        "what form and how long. Reply with the rewritten prompt alone.\n\nPrompt:\n{text}"
    ),
    "expand": (
        "Write one new instruction of the same type of task as the instruction below, about something else. Do not "
        "answer it. Keep its language, its form and about its length. Reply with the new instruction alone."
        "\n\nInstruction:\n{text}"
    ),
    "pair": (
        "Below are examples of an instruction and its response. Write one new example of the same type of task, about "
        "something else, in the same language. Use exactly the same form: a line '### Instruction', the instruction, "
        "a line '### Response', the response.\n\n{text}"
    ),
    "respond": "{text}",
}

_HEADING = re.compile(r"^[ \t]*(#{2,4})[ \t]*(Instruction|Response)[ \t]*:?[ \t]*$", re.IGNORECASE | re.MULTILINE)
_ESCAPED_HEADING = re.compile(
    r"^([ \t]*)\\((?:\\)*#{2,4}[ \t]*(?:Instruction|Response)[ \t]*:?[ \t]*)$", re.IGNORECASE | re.MULTILINE
)
_ESCAPABLE_HEADING = re.compile(
    r"^([ \t]*)(\\*#{2,4}[ \t]*(?:Instruction|Response)[ \t]*:?[ \t]*)$", re.IGNORECASE | re.MULTILINE
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\u200b]")


_SURROGATE = re.compile(r"[\ud800-\udfff]")


def whole_characters(text: str) -> str:
    """The text with halves of a character that belong together as the character they are, and without other halves.

    A server that counts in UTF-16 may end an event between the two.
    """
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def clean(text: str) -> str:
    """The text without control characters and halves of characters, with plain line ends and no outer blank space."""
    return _CONTROL.sub("", whole_characters(text).replace("\r\n", "\n").replace("\r", "\n")).strip()


def check_input(task: Task, value: TaskInput) -> TaskInput:
    """The cleaned input, or an `InputError` that says in one sentence what is wrong with it."""
    if task == "pair":
        if isinstance(value, str):
            raise InputError("Pairs are needed, not plain text.", hint="Give pairs of instruction and response.")
        pairs = [Pair(clean(pair.instruction), clean(pair.response)) for pair in value]
        for number, pair in enumerate(pairs, 1):
            if not pair.instruction or not pair.response:
                missing = "instruction" if not pair.instruction else "response"
                raise InputError(f"Example {number} has no {missing}.", hint="Fill it in or remove the row.")
        if len(pairs) < MIN_PAIRS:
            raise InputError(
                f"At least {MIN_PAIRS} example pairs are needed, {len(pairs)} given.",
                hint="Add another instruction with its response.",
            )
        _check_length(sum(len(pair.instruction) + len(pair.response) for pair in pairs))
        return pairs
    if not isinstance(value, str):
        raise InputError(f"{task} takes one text, not {type(value).__name__}.", hint="Pass a string.")
    text = clean(value)
    if not text:
        raise InputError("There is no text to work on.", hint="Type a prompt or an instruction first.")
    _check_length(len(text))
    return text


def render(task: Task, value: TaskInput, style: Style) -> tuple[Message, ...]:
    """Chat messages for one input. Tuned models get the input bare, in the form they were trained on."""
    checked = check_input(task, value)
    text = checked if isinstance(checked, str) else format_pairs(checked)
    if style == "tuned":
        return (Message("user", text),)
    before, after = _PROMPTS[task].split("{text}")
    return (Message("user", before + text + after, len(before)),)


def format_pair(pair: Pair) -> str:
    """One pair in the published form. Heading lines inside the user's own text are escaped with a backslash."""
    return f"### Instruction\n\n{_escape(pair.instruction)}\n\n### Response\n\n{_escape(pair.response)}"


def format_pairs(pairs: Sequence[Pair]) -> str:
    return "\n\n".join(format_pair(pair) for pair in pairs)


def parse(task: Task, text: str) -> Parsed:
    """Read back what a model wrote. Strict: text that is not in the task's form has a reason, never a guess."""
    cleaned = clean(text)
    if not cleaned:
        return Parsed(None, "empty")
    return _parse_pair(cleaned) if task == "pair" else Parsed(cleaned)


def given_out(task: Task, text: str) -> str:
    """What is given out of a text: a pair without others that the model ran on to. What is not in the task's form stays
    as it was written."""
    value = parse(task, text).value
    return format_pair(value) if isinstance(value, Pair) else text.strip()


def is_over(task: Task, text: str) -> bool:
    """Whether a model has written all that it was asked for: from a pair it may run on into another, and another."""
    if task != "pair":
        return False
    # A heading is none until its line has ended: it may become something else.
    lines, _, _ = text.replace("\r", "").rpartition("\n")
    return len(_HEADING.findall(lines)) > 2


def response_span(text: str) -> tuple[int, int]:
    """Where the first response stands in what a model wrote for `pair`: (start, end) in characters, of the whole text
    when it is not in that form."""
    headings = list(_HEADING.finditer(text))
    if len(headings) < 2:
        return 0, len(text)
    # A model that runs on into another pair has still finished the first one.
    return headings[1].end(), headings[2].start() if len(headings) > 2 else len(text)


def _parse_pair(text: str) -> Parsed:
    headings = list(_HEADING.finditer(text))
    names = [heading.group(2).lower() for heading in headings]
    if not headings or names[0] != "instruction":
        return Parsed(None, "no_instruction_heading")
    if headings[0].start() != 0:
        return Parsed(None, "preamble")
    if len(names) < 2 or names[1] != "response":
        return Parsed(None, "no_response_heading")
    if len(names) > 2 and names[2] != "instruction":
        return Parsed(None, "two_responses")
    start, end = response_span(text)
    instruction = _unescape(text[headings[0].end() : headings[1].start()]).strip()
    response = _unescape(text[start:end]).strip()
    if not instruction:
        return Parsed(None, "empty_instruction")
    if not response:
        return Parsed(None, "empty_response")
    return Parsed(Pair(instruction, response))


def _escape(text: str) -> str:
    return _ESCAPABLE_HEADING.sub(r"\1\\\2", text)


def _unescape(text: str) -> str:
    return _ESCAPED_HEADING.sub(r"\1\2", text)


def _check_length(chars: int) -> None:
    if chars > MAX_INPUT_CHARS:
        raise InputError(
            f"The text has {chars:,} characters; at most {MAX_INPUT_CHARS:,} fit the model's window.",
            hint="Shorten it, or work on it in parts.",
        )
