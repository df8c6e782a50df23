"""Results as HTML. Every text of a user or a model is escaped here; nothing else on the page writes HTML from it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from augmentlm.checks import Finding, facts
from augmentlm.results import Result
from augmentlm.ui import faults
from augmentlm.ui.diff import diff
from augmentlm.ui.texts import say
from augmentlm.weights import Told
from augmentlm.weights.disk import size

_TAGS = {"added": "ins", "removed": "del"}
_NEAR_COPY = re.compile(r"(the response: )?([\d.]+) ROUGE-L with (.+)")


def escape(text: str) -> str:
    return html.escape(text, quote=True)


def empty(text: str) -> str:
    """What stands in the place of results before there are any."""
    return f'<p class="alm-empty">{escape(text)}</p>'


def writing(text: str) -> str:
    """A text that is still being written, with a caret at its end."""
    return (
        f'<div class="alm-text" aria-busy="true">{escape(text)}<span class="alm-caret" aria-hidden="true"></span></div>'
    )


def compared(old: str, new: str, view: str) -> str:
    """The new text, with what changed marked: `view` is "plain", "added" or "all"."""
    if view == "plain":
        return f'<div class="alm-text">{escape(new)}</div>'
    pieces = []
    for span in diff(old, new):
        tag = _TAGS.get(span.change)
        if tag == "del" and view != "all":
            continue
        pieces.append(f"<{tag}>{escape(span.text)}</{tag}>" if tag else escape(span.text))
    return f'<div class="alm-text">{"".join(pieces)}</div>'


def chips(source: str, output: str, language: str) -> str:
    """The hard facts of the source, each kept or lost in the output."""
    found, missing = facts.find(source), set(facts.lost(source, output))
    if not found:
        return ""
    items = []
    for fact in found:
        state, mark = ("lost", "✗") if fact in missing else ("kept", "✓")
        label = say(language, f"refine.fact_{state}", fact=fact.text)
        items.append(
            f'<li class="alm-chip {state}" title="{escape(label)}"><span aria-hidden="true">{mark} '
            f'{escape(_short(fact.text, 60))}</span><span class="alm-unseen">{escape(label)}</span></li>'
        )
    return f'<div class="alm-facts"><span>{escape(say(language, "refine.facts"))}</span><ul>{"".join(items)}</ul></div>'


def meta(results: Sequence[Result], seconds: float | None, language: str) -> str:
    """One quiet line: how fast it was and which model wrote it."""
    if not results:
        return ""
    tokens = sum(result.completion_tokens for result in results)
    parts = [f"{results[0].model} ({results[0].engine}, {results[0].quantization})"]
    speed = 0.0
    if results[0].kept:
        parts.append(say(language, "common.kept"))
    elif seconds is None:
        parts.append(say(language, "common.first_word", seconds=f"{results[0].ttft_s:.1f}"))
        speed = results[0].tokens_per_second
    else:
        parts.append(say(language, "common.first_result", seconds=f"{seconds:.1f}"))
        speed = tokens / seconds if seconds else 0.0
    if speed:
        parts.append(say(language, "common.speed", speed=f"{speed:.0f}"))
    parts.append(say(language, "common.tokens", tokens=tokens))
    return f'<p class="alm-meta">{" · ".join(escape(part) for part in parts)}</p>'


def note(text: str, kind: str = "info") -> str:
    """A sentence beside the results: `kind` is "info", "good" or "warn"."""
    return f'<p class="alm-note {kind}" role="status">{escape(text)}</p>' if text else ""


def error(problem: BaseException, language: str) -> str:
    """One sentence and a hint, in the page."""
    message, hint = faults.words(problem, language)
    return f'<div class="alm-note error" role="alert"><strong>{escape(message)}</strong> {escape(hint)}</div>'


def not_begun(language: str) -> str:
    """Of what never came to its turn. Gradio says why, in a box that goes away and in English alone."""
    return note(say(language, "common.not_begun"), "warn")


def waiting(language: str, told: Told | None) -> str:
    """Instead of results, while the weights come."""
    if told is None or told.done >= told.total:
        return f'<p class="alm-empty alm-pulse">{escape(say(language, "common.waiting"))}</p>'
    return bar(coming(told, language), told.done, told.total)


def coming(told: Told, language: str) -> str:
    """What happens to the weights, and how far it is."""
    if told.work == "convert":
        return say(language, "status.converting", percent=100 * told.done // max(told.total, 1))
    return say(language, "status.downloading", done=size(told.done), total=size(told.total))


def bar(label: str, done: float, total: float) -> str:
    """A progress bar with its label."""
    share = 100 * done / total if total else 0.0
    return (
        f'<div class="alm-progress"><span>{escape(label)}</span><div class="alm-bar" role="progressbar" '
        f'aria-label="{escape(label)}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share:.0f}">'
        f'<div style="width:{share:.1f}%"></div></div></div>'
    )


def reasons(findings: Iterable[Finding], language: str) -> list[str]:
    """Findings in words for a person."""
    return [_reason(finding, language) for finding in findings]


def _reason(finding: Finding, language: str) -> str:
    match = _NEAR_COPY.fullmatch(finding.evidence)
    if finding.code == "near_copy" and match:
        of_response, score, other = match.groups()
        kind, _, number = other.rpartition(" ")
        kind = "response" if of_response else kind
        name = say(language, f"reason.{kind}", n=number) if number.isdigit() else say(language, "reason.the_seed")
        return say(language, "reason.near_copy", other=name, percent=round(100 * float(score)))
    if finding.code == "input":
        return f"{say(language, 'reason.input')}: {faults.said(finding.evidence, language)}"
    if finding.code == "facts_lost":  # in the user's own words, which stay as they are
        return f"{say(language, 'reason.facts_lost')}: {finding.evidence.removeprefix('missing: ')}"
    if finding.code == "form":
        return f"{say(language, 'reason.form')}: {faults.evidence(finding.evidence, language)}"
    return say(language, f"reason.{finding.code}")


def table(rows: Sequence[Result], language: str, *, show_seed: bool) -> str:
    """Results of `expand` as a table, those with findings marked with the reasons."""
    names = ["column_new", *(["column_seed"] if show_seed else []), "column_note"]
    head = "".join(f'<th scope="col">{escape(say(language, f"expand.{name}"))}</th>' for name in names)
    body = []
    for row in rows:
        why = "; ".join(reasons(row.findings, language))
        verdict = (
            f'<span class="alm-badge warn">{escape(why)}</span>'
            if why
            else _GOOD.format(escape(say(language, "expand.good")))
        )
        cells = [f'<td class="alm-cell">{escape(str(row.output or row.text))}</td>']
        if show_seed:
            cells.append(f'<td class="alm-cell alm-quiet">{escape(_short(str(row.input), 120))}</td>')
        cells.append(f"<td>{verdict}</td>")
        body.append(f'<tr class="{"" if row.accepted else "marked"}">{"".join(cells)}</tr>')
    return f'<table class="alm-table"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


_GOOD = '<span class="alm-badge good">✓ {}</span>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def lead(text: str) -> str:
    """The sentence that says what a tab is for."""
    return f'<p class="alm-lead">{escape(text)}</p>'


def hint(text: str) -> str:
    return f'<span class="alm-hint">{escape(text)}</span>'


def panel_title(text: str) -> str:
    return f'<h2 class="alm-panel-title">{escape(text)}</h2>'


def key_hint(text: str) -> str:
    """The keys that press the button beside it."""
    return f'<kbd class="alm-keys">{escape(text)}</kbd>'


def summary(text: str) -> str:
    """How a run ended, over its rows."""
    return f'<p class="alm-summary" role="status">{escape(text)}</p>'


def duration(seconds: float, language: str) -> str:
    """Time for people: "8 s", "3 min"."""
    whole = max(1, round(seconds))
    return (
        say(language, "common.seconds", n=whole) if whole < 90 else say(language, "common.minutes", n=round(whole / 60))
    )


def folded(title: str, texts: Iterable[tuple[str, str]]) -> str:
    """Texts with the reason for each, behind a line to click."""
    items = "".join(
        f'<li><span class="alm-cell">{escape(text)}</span> <span class="alm-badge warn">{escape(why)}</span></li>'
        for text, why in texts
    )
    return f'<details class="alm-folded"><summary>{escape(title)}</summary><ul>{items}</ul></details>'
