"""A data set run as HTML. Every text of a user or a model is escaped here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from augmentlm.errors import StoppedError
from augmentlm.runs.estimate import Estimate
from augmentlm.runs.rows import Record, Run
from augmentlm.runs.runner import Progress
from augmentlm.schemas import Read
from augmentlm.ui import faults, markup
from augmentlm.ui.markup import escape
from augmentlm.ui.texts import say

_SHOWN, _LONGEST = 3, 240
_REASONS = frozenset(
    "near_copy preamble answered cut_off loop prompt_leak language facts_lost form input too_short too_long refused "
    "struck echo too_similar low_mark no_mark".split()
)


def preview(read: Read, language: str) -> str:
    """How the seeds were understood, the first of them, and what was left out."""
    examples = read.examples
    said = say(
        language,
        "dataset.understood",
        count=len(examples),
        schema=say(language, f"dataset.schema.{read.schema}"),
        answered=sum(bool(example.response) for example in examples),
    )
    turns = sum(bool(example.context) for example in examples)
    said += " " + say(language, "dataset.turns", count=turns) if turns else ""
    rows = [(example.instruction, example.response) for example in examples[:_SHOWN]]
    out = ""
    if read.problems:
        shown = "".join(f"<li>{escape(faults.said(problem, language))}</li>" for problem in read.problems[:10])
        title = say(language, "dataset.left_out", count=len(read.problems))
        out = f'<details class="alm-folded"><summary>{escape(title)}</summary><ul>{shown}</ul></details>'
    return f'<p class="alm-summary">{escape(said)}</p>{_table(rows, language)}{out}'


def bar(progress: Progress, language: str) -> str:
    """How far a run is, with the step it is at and the time left."""
    label = say(language, "dataset.accepted", done=progress.accepted, total=progress.wanted, rejected=progress.rejected)
    if progress.step:
        step = say(language, f"dataset.step.{progress.step}")
        label += f" · {step} {progress.step_done}/{progress.step_total}"
    if progress.seconds_left and progress.seconds_left >= 1:
        label += f" · {say(language, 'common.left', time=markup.duration(progress.seconds_left, language))}"
    return markup.bar(label, progress.accepted, progress.wanted)


def summary(progress: Progress, language: str) -> str:
    said = say(language, "dataset.accepted", done=progress.accepted, total=progress.wanted, rejected=progress.rejected)
    return markup.summary(said)


def rows(records: Sequence[Record], language: str) -> str:
    """The latest candidates, those rejected marked with the reason."""
    body = []
    for record in records:
        accepted = record.status == "accepted"
        kind, text = ("good", say(language, "dataset.row_accepted")) if accepted else ("warn", reason(record, language))
        mark = "✓ " if accepted else ""
        body.append(
            f'<tr class="{"" if accepted else "marked"}"><td class="alm-cell">{escape(_short(record.instruction))}</td>'
            f'<td class="alm-cell">{escape(_short(record.response))}</td>'
            f'<td><span class="alm-badge {kind}">{mark}{escape(text)}</span></td></tr>'
        )
    names = ("pairs.instruction", "pairs.response", "expand.column_note")
    return _framed([say(language, name) for name in names], body)


def reason(record: Record, language: str) -> str:
    """Why a candidate was rejected, in words for a person, with the evidence."""
    known = f"dataset.reason.{record.code}" if record.code in _REASONS else "dataset.reason.other"
    return f"{say(language, known)}: {faults.evidence(record.evidence, language)}"


def funnel(run: Run, language: str) -> str:
    """What became of the candidates, by reason."""
    counts = Counter(record.code for record in run.rejected)
    parts = [say(language, "dataset.tried", count=len(run.records))]
    for code, count in counts.most_common():
        known = f"dataset.reason.{code}" if code in _REASONS else "dataset.reason.other"
        parts.append(f"{say(language, known)}: {count}")
    return (
        markup.summary(
            say(language, "dataset.accepted", done=len(run.accepted), total=run.spec.n, rejected=len(run.rejected))
        )
        + f'<p class="alm-meta">{escape(" · ".join(parts))}</p>'
    )


def ending(last: Progress | None, problem: BaseException | None, language: str) -> str:
    """What there is to say when a run is over."""
    if isinstance(problem, StoppedError):
        return markup.note(say(language, "dataset.stopped" if last else "common.stopped"))
    if problem is not None:
        return markup.error(problem, language)
    return markup.note(faults.said(last.ended, language), "warn") if last and last.ended else ""


def estimate(found: Estimate, language: str) -> str:
    if not found.accepted:
        return markup.note(say(language, "dataset.no_estimate", tried=found.tried), "warn")
    return markup.note(
        say(
            language,
            "dataset.estimated",
            rows=found.rows,
            candidates=found.candidates,
            tokens=f"{found.tokens:,}",
            time=markup.duration(found.seconds, language),
            accepted=found.accepted,
            tried=found.tried,
        )
    )


def page(path: Path) -> str:
    """A report inside of the page: it may run nothing and reach nothing."""
    inner = escape(path.read_text(encoding="utf-8"))
    return f'<iframe class="alm-report" title="{escape(path.name)}" sandbox="" srcdoc="{inner}"></iframe>'


def _table(pairs: Sequence[tuple[str, str]], language: str) -> str:
    with_response = any(response for _, response in pairs)
    body = [
        f'<tr><td class="alm-cell">{escape(_short(instruction))}</td>'
        + (f'<td class="alm-cell">{escape(_short(response))}</td>' if with_response else "")
        + "</tr>"
        for instruction, response in pairs
    ]
    names = ["pairs.instruction", *(["pairs.response"] if with_response else [])]
    return _framed([say(language, name) for name in names], body)


def _framed(names: Sequence[str], body: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return f'<table class="alm-table alm-data"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"
