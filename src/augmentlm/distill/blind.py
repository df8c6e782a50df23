"""Texts of two systems for a reader who must not know which is whose: a sheet out, verdicts back in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

from augmentlm import formats
from augmentlm.distill import rows
from augmentlm.distill.judge import Verdict, Winner, digest_of, outcome, paired, same
from augmentlm.distill.samples import Sample
from augmentlm.errors import InputError
from augmentlm.measures.statistics import rate

Side = Literal["left", "right"]
FOLDER = "readers"
"""Below an evaluation's folder: the verdicts of readers, a file a sheet."""


def export_blind(
    sheet: Path, left: tuple[str, Sequence[Sample]], right: tuple[str, Sequence[Sample]], seed: int | None = None
) -> Path:
    """Write `sheet`, JSONL of `id`, `input`, `a`, `b` in random order and sides, and return the file of its key.

    `left` and `right` are the systems' names and samples. Prompts for which both wrote the same are not on the sheet:
    they are ties. Raises `InputError` when the sheet is there already, since verdicts may refer to it.
    """
    key = key_of(sheet)
    for path in (sheet, key):
        if path.exists():
            raise InputError(f"{path} is there already.", hint="Give the sheet another name.")
    random = Random(secrets.randbits(64) if seed is None else seed)
    differing = [pair for pair in paired(left[1], right[1]) if not same(*pair)]
    random.shuffle(differing)
    shown: list[dict[str, Any]] = []
    items: dict[str, dict[str, Any]] = {}
    for number, (first, second) in enumerate(differing, 1):
        a: Side = random.choice(("left", "right"))
        texts = (first.shown, second.shown) if a == "left" else (second.shown, first.shown)
        name = f"{number:04d}"
        shown.append({"id": name, "input": first.prompt.input, "a": texts[0], "b": texts[1]})
        items[name] = {"prompt": first.prompt.id, "a": a, "texts": digest_of(first, second)}
    sheet.parent.mkdir(parents=True, exist_ok=True)
    formats.write_jsonl(key, [{"left": left[0], "right": right[0], "items": items}])
    formats.write_jsonl(sheet, shown)
    return key


def key_of(sheet: Path) -> Path:
    """Where the key of a sheet is: beside it, to be kept from the reader."""
    return sheet.with_name(f"{sheet.stem}.key.json")


def import_verdicts(verdicts: Path, key: Path, reader: str, folder: Path) -> Path:
    """Keep a reader's verdicts with the evaluation in `folder`, and return the file; importing again replaces it.

    `verdicts` is JSONL of `id` and `winner` ("a", "b" or "tie"). For pairs a row may also say whether each response
    answers its instruction: `a_answers`, `b_answers` (true or false). Raises `InputError` naming the line for an id
    that is not on the sheet or comes twice, and for another winner.
    """
    known = _key(key)
    found: dict[str, dict[str, Any]] = {}
    for line, row in _lines(verdicts):
        name = row.get("id")
        item = known["items"].get(name)
        if item is None:
            raise InputError(f"Line {line} of {verdicts.name}: {name!r} is not on the sheet.", hint="Check the id.")
        if name in found:
            raise InputError(f"Line {line} of {verdicts.name}: {name} was judged before.", hint="Keep one of them.")
        found[name] = {
            "id": item["prompt"],
            "texts": item["texts"],
            "winner": _winner(row.get("winner"), item["a"], f"Line {line} of {verdicts.name}"),
            **_answers(row, item["a"]),
        }
    if not found:
        raise InputError(
            f"There are no verdicts in {verdicts}.", hint='Write lines like {"id": "0001", "winner": "a"}.'
        )
    name = re.sub(r"[^\w.-]+", "-", f"{reader}--{known['left']}--{known['right']}")
    path = folder / FOLDER / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    who = {"judge": reader, "left": known["left"], "right": known["right"]}
    formats.write_jsonl(path, ({**who, **row} for row in found.values()))
    return path


def readers(
    folder: Path, samples: Mapping[str, Sequence[Sample]]
) -> Iterator[tuple[dict[str, Any], Sequence[Verdict]]]:
    """What readers found about two of these systems, as `eval.json` tells it, and the verdicts behind it.

    `samples` are the systems' first samples by name. A verdict on texts that have been made anew since does not count.
    """
    for path in sorted((folder / FOLDER).glob("*.jsonl")):
        kept = rows.read(path)
        left, right = kept[0]["left"], kept[0]["right"]
        if left not in samples or right not in samples:
            continue
        by_texts = {row["texts"]: row for row in kept}
        pairs = paired(samples[left], samples[right])
        read = [row for pair in pairs if (row := by_texts.get(digest_of(*pair)))]
        ties = [Verdict(first.prompt.id, "tie") for first, second in pairs if same(first, second)]
        found = [Verdict(row["id"], row["winner"]) for row in read] + ties
        if read:
            told = {
                "judge": kept[0]["judge"],
                "kind": "reader",
                "left": left,
                "right": right,
                "prompts": len(found),
                **outcome(found, samples[left], samples[right]),
                **_answer_rates(read, {"left": left, "right": right}),
            }
            yield told, found


def _winner(said: Any, a: Side, where: str) -> Winner:
    if said not in ("a", "b", "tie"):
        raise InputError(f"{where}: the winner is {said!r}.", hint='Write "a", "b" or "tie".')
    return "tie" if said == "tie" else a if said == "a" else _other(a)


def _answers(row: dict[str, Any], a: Side) -> dict[str, bool]:
    said = {f"{a}_answers": row.get("a_answers"), f"{_other(a)}_answers": row.get("b_answers")}
    return {name: value for name, value in said.items() if isinstance(value, bool)}


def _answer_rates(read: Sequence[dict[str, Any]], names: Mapping[Side, str]) -> dict[str, Any]:
    """How often each system's response answers its instruction, where the reader said so."""
    found = {
        name: rate((row["id"], row[f"{side}_answers"]) for row in read if f"{side}_answers" in row)
        for side, name in names.items()
    }
    shares = {name: share.as_json() for name, share in found.items() if share}
    return {"answers": shares} if shares else {}


def _other(side: Side) -> Side:
    return "right" if side == "left" else "left"


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects with their line numbers; blank lines are nothing, and the last needs no line end: people write this."""
    for number, line in enumerate(formats.read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        row = rows.json_object(line)
        if row is None:
            raise InputError(f"Line {number} of {path.name} is not a JSON object.", hint="Write one a line.")
        yield number, row


def _key(path: Path) -> dict[str, Any]:
    found = rows.json_object(formats.read_text(path))
    if found is None or not found.keys() >= {"left", "right", "items"}:
        raise InputError(f"{path} is not the key of a sheet.", hint="Give the .key.json written with the sheet.")
    return found
