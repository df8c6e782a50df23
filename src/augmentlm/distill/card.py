"""The numbers of a model card: a table made from `eval.json`, put between two marks, and never typed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from augmentlm import catalog, formats
from augmentlm.distill.samples import System
from augmentlm.drafts import write_text
from augmentlm.errors import AugmentLMError, InputError

REPORT = "eval.json"
BEGIN, END = "<!-- eval -->", "<!-- end eval -->"

RATES = {
    "valid": "whole and in the right form",
    "no_preamble": "no preamble",
    "not_answered": "asks instead of answering",
    "reworked": "reworked: ROUGE-L with the prompt at most 0.7",
    "facts_kept": "all hard facts kept",
    "language_kept": "language kept",
    "novel": "new: ROUGE-L with the input at most 0.7",
    "same_kind": "same kind of task",
    "good": "all of these that concern its use as data",
}
_BETWEEN = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def write_card(card: Path, report: dict[str, Any]) -> None:
    """Put `report` beside a card as `eval.json`, and its table into the card between the marks.

    Raises `InputError` when the card is not there or has no marks.
    """
    text = formats.read_text(card)
    if not _BETWEEN.search(text):
        raise InputError(f"{card} has no place for the numbers.", hint=f"Put {BEGIN} and {END} on lines of their own.")
    write_text(card.with_name(REPORT), json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    write_text(card, _with_table(text, report))


def what_is_stale(card: Path) -> str | None:
    """A sentence that says why the numbers of a card can't stand; None when they are those of its `eval.json`.

    They can't when the card was edited by hand, or its model has other weights now than the ones measured.
    """
    text = formats.read_text(card)
    if not _BETWEEN.search(text):
        return f"{card.parent.name} has no numbers."
    try:
        report = json.loads(formats.read_text(card.with_name(REPORT)))
        if _with_table(text, report) != text:
            return f"The numbers of {card.parent.name} are not those of its {REPORT}."
        name, measured = next(iter(report["systems"].items()))
        if measured["weights"] != System(name).weights():
            return f"The numbers of {card.parent.name} are those of other weights."
    except (InputError, json.JSONDecodeError, KeyError, TypeError, StopIteration):
        return f"{card.parent.name} has no {REPORT} that can be read."
    except AugmentLMError as error:
        return f"The model of {card.parent.name} can't be checked: {error}"
    return None


def table(report: dict[str, Any]) -> str:
    """The report as Markdown: a line on how it was measured, a row a measure, a column a system, and who judged."""
    names = list(report["systems"])
    header = ["", *(_title(name) for name in names)]
    lines = [_how(report), "", _row(header), _row(["---"] * len(header))]
    lines += [_row(cells) for cells in _cells(report, names)]
    if report["left_out"]:
        lines += ["", f"Left out: {report['left_out']}"]
    return "\n".join(lines)


def _how(report: dict[str, Any]) -> str:
    sampling, prompts = report["sampling"], report["prompts"]
    each = "1 sample" if report["samples"] == 1 else f"{report['samples']} samples"
    most = report.get("tries_at_most", 1)
    again = f"A sample that a check speaks against was asked for again, {most} times at most. " if most > 1 else ""
    return (
        f"Measured on {report['date']} on {prompts['count']} prompts ({prompts['source']}), {each} of each at "
        f"temperature {sampling['temperature']}, top-p {sampling['top_p']}, top-k {sampling['top_k']}. {again}"
        "Percentages with 95 % intervals (Wilson); wins, ties and losses are those of the first column."
    )


def _cells(report: dict[str, Any], names: list[str]) -> Iterator[list[str]]:
    systems = [report["systems"][name] for name in names]
    for key, label in RATES.items():
        rates = [system["rates"].get(key) for system in systems]
        if any(rates):
            yield [label, *(_percent(rate) for rate in rates)]
    tries = [system.get("tries") for system in systems]
    if any(tries):
        yield ["asked for a sample, times on average", *(f"{count:.2f}" if count else "–" for count in tries)]
    written = [system.get("candidates", 1) for system in systems]
    if max(written) > 1:
        yield ["written each time, the surest kept", *map(str, written)]
    repeats = [system["distinct_samples"] for system in systems]
    if any(repeats):
        of, enough = next((each["of"], each["at_least"]) for each in repeats if each)
        yield [f"different among {of} samples, mean", *(str(each["mean"]) if each else "–" for each in repeats)]
        yield [f"at least {enough} of {of} different", *(_percent(each["rate"]) if each else "–" for each in repeats)]
    for language, unit in (("en", "words, median"), ("zh", "characters in Chinese, median")):
        counts = [system["length"].get(language) for system in systems]
        if any(counts):
            yield [unit, *(f"{count['median']:g}" if count else "–" for count in counts)]
    for key, label in (
        ("distinct_1", "distinct-1"),
        ("distinct_2", "distinct-2"),
        ("self_bleu", "self-BLEU"),
        ("spread", "embedding spread"),
    ):
        values = [system[key] for system in systems]
        if any(value is not None for value in values):
            yield [label, *("–" if value is None else f"{value:.2f}" for value in values)]
    yield ["engine", *(f"{system['engine']}, {system['quantization']}" for system in systems)]
    for judged in report["judged"]:
        yield from _judged_cells(judged, names)


def _judged_cells(judged: dict[str, Any], names: list[str]) -> Iterator[list[str]]:
    who = _title(judged["judge"])
    if "wins" in judged and judged["left"] == names[0] and judged["right"] in names:
        counts = f"{judged['wins']} / {judged['ties']} / {judged['losses']}"
        cell = f"{counts}: {_percent(judged['decided'])} of decided" if judged["wins"] + judged["losses"] else counts
        how = "both orders" if judged["kind"] == "model" else "blind"
        yield [f"preferred by {who} ({how})", *(cell if name == judged["right"] else "" for name in names)]
    if answers := judged.get("answers"):
        yield [f"response answers its instruction, says {who}", *(_percent(answers.get(name)) for name in names)]


def _percent(rate: dict[str, Any] | None) -> str:
    if not rate:
        return "–"
    return f"{100 * rate['share']:.1f} % ({100 * rate['low']:.0f}–{100 * rate['high']:.0f})"


def _title(name: str) -> str:
    known = catalog.models().get(name)
    return known.title if known else name.replace("|", r"\|")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _with_table(text: str, report: dict[str, Any]) -> str:
    # A function, because a replacement string would read backslashes.
    return _BETWEEN.sub(lambda _: f"{BEGIN}\n{table(report)}\n{END}", text, count=1)
