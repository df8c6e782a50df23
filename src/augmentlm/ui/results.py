"""The Results tab: what was measured of the models that come along, and what was voted on this computer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from augmentlm import catalog
from augmentlm.arena.exports import preference_rows, vote_rows
from augmentlm.arena.standing import Share, standings
from augmentlm.arena.votes import PassingVotes, Votes
from augmentlm.ui import markup, versus
from augmentlm.ui.context import PRIVATE, Context, report, session
from augmentlm.ui.files import jsonl, save
from augmentlm.ui.running import Shown
from augmentlm.ui.texts import say

REPORT = "eval.json"
_ORDER = ("refine", "expand", "pair")
_SHOWN = ("valid", "not_answered", "facts_kept", "language_kept", "novel", "same_kind", "good")
"""The rates that say most, in this order; the card of a model has them all."""


def build(context: Context, tab: gr.Tab) -> None:
    """Draw the tab and wire it."""
    _Results(context, tab)


class _Results:
    def __init__(self, context: Context, tab: gr.Tab) -> None:
        self.context, words = context, context.words
        context.lead("results.lead")
        with gr.Column(elem_classes="alm-panel"):
            context.title("results.voted")
            self.voted = self._standings()
            with gr.Row(elem_classes="alm-actions", visible=context.local and _any(Votes())) as self.taken:
                votes = words(gr.Button, {"value": "results.export"}, elem_classes="alm-quiet-button")
                pairs = words(gr.Button, {"value": "results.preferences"}, elem_classes="alm-quiet-button")
            self.note = gr.HTML(elem_id="results-note")
        with gr.Column(elem_classes="alm-panel"):
            context.title("results.shipped")
            words(gr.HTML, {"value": shipped}, elem_id="results-shipped")
        file = gr.Textbox(visible="hidden", show_label=False)

        tab.select(self._refresh, context.language, [self.voted, self.taken, self.note], queue=False, **PRIVATE)
        for button, name, rows in (
            (votes, "votes.jsonl", vote_rows),
            (pairs, "preferences.jsonl", preference_rows),
        ):
            button.click(self._taker(rows), context.language, [file, self.note], queue=False, **PRIVATE).then(
                None, file, js=save(name), **PRIVATE
            )

    def _standings(self) -> gr.HTML:
        """Drawn anew with the language where everybody sees the same; where strangers visit, whenever one looks."""
        if not self.context.local:
            return gr.HTML(elem_id="results-voted")
        return self.context.words(
            gr.HTML, {"value": lambda language: voted(language, Votes())}, elem_id="results-voted"
        )

    def _refresh(self, request: gr.Request, language: str) -> Shown:
        votes = self.context.votes(session(request))
        return {self.voted: voted(language, votes), self.taken: gr.update(visible=_any(votes)), self.note: ""}

    def _taker(self, rows: Callable[..., Iterator[dict[str, Any]]]) -> Callable[[gr.Request, str], tuple[str, str]]:
        def take(request: gr.Request, language: str) -> tuple[str, str]:
            return taken(rows, self.context.votes(session(request)), language)

        return take


def voted(language: str, votes: Votes | PassingVotes) -> str:
    """The standings of these votes, the most voted first; or a sentence that says why there are none."""
    try:
        found = sorted(standings(votes.all()), key=lambda each: -each.votes)
    except Exception as error:  # the rest of the tab is still to be seen
        report(error)
        return markup.error(error, language)
    if not found:
        return markup.empty(say(language, "results.no_votes"))
    return "".join(
        f'<section class="alm-result-set"><h3>{markup.escape(say(language, f"compare.task_{task}"))}</h3>'
        + "".join(versus.standing(each, language) for each in found if each.task == task)
        + "</section>"
        for task in dict.fromkeys(each.task for each in found)
    )


def shipped(language: str) -> str:
    """The evaluations that stand beside the model cards; a report that can't be read is left out."""
    found = sorted(_reports(), key=lambda each: _ORDER.index(each["task"]))
    sets = [_evaluation(each, language) for each in found]
    return "".join(sets) or markup.empty(say(language, "results.nothing_shipped"))


def _reports() -> Iterator[dict[str, Any]]:
    for path in sorted(catalog.cards_folder().glob(f"*/{REPORT}")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            report(error)
            continue
        if (
            isinstance(found, dict)
            and found.keys() >= {"systems", "prompts", "date", "judged"}
            and found.get("task") in _ORDER
        ):
            yield found


def _evaluation(found: dict[str, Any], language: str) -> str:
    names = list(found["systems"])
    heading = say(language, f"compare.task_{found['task']}")
    how = say(language, "results.measured", date=found["date"], count=found["prompts"]["count"])
    figures = "".join(_judged(each, names, language) for each in found["judged"])
    return (
        f'<section class="alm-result-set"><h3>{markup.escape(heading)}</h3>'
        f'<p class="alm-meta">{markup.escape(how)}</p>{figures}{_rates(found["systems"], heading, language)}</section>'
    )


def _judged(judged: dict[str, Any], names: list[str], language: str) -> str:
    if "wins" not in judged or judged["left"] not in names or judged["right"] not in names:
        return ""
    left, right = versus.title(judged["left"]), versus.title(judged["right"])
    total = judged["wins"] + judged["ties"] + judged["losses"]
    labels = {
        "wins": say(language, "results.wins", name=left),
        "ties": say(language, "results.ties"),
        "losses": say(language, "results.wins", name=right),
    }
    bars = []
    for kind, label in labels.items():
        share = Share.of(judged[kind], total)
        bars.append((kind, label, judged[kind], share, share.share))
    key = "results.by_model" if judged.get("kind") == "model" else "results.by_reader"
    who = say(language, key, name=versus.title(judged["judge"]))
    itself = judged["judge"] in (judged["left"], judged["right"])
    notes = [say(language, "results.judges_itself")] if itself else []
    return versus.figure(f"{left} – {right}", who, bars, notes, language)


def _rates(systems: dict[str, dict[str, Any]], name: str, language: str) -> str:
    """Measures in rows, systems in columns."""
    head = "".join(f'<th scope="col">{markup.escape(versus.title(name))}</th>' for name in systems)
    rows = []
    for key in _SHOWN:
        rates = [system.get("rates", {}).get(key) for system in systems.values()]
        if any(rates):
            cells = "".join(f"<td>{markup.escape(_rate(rate))}</td>" for rate in rates)
            label = markup.escape(say(language, f"results.rate_{key}"))
            rows.append(f'<tr><th scope="row">{label}</th>{cells}</tr>')
    if not rows:
        return ""
    return versus.side_by_side(head, "".join(rows), name)


def _rate(rate: dict[str, Any] | None) -> str:
    return versus.percent(Share(rate["share"], rate["low"], rate["high"])) if rate else "–"


def taken(rows: Callable[..., Iterator[dict[str, Any]]], votes: Votes | PassingVotes, language: str) -> tuple[str, str]:
    """Votes as a file to take along, and what there is to say of it."""
    try:
        text = jsonl(rows(votes.all()))
    except Exception as error:  # whatever it is, the page says it in a sentence and stays usable
        report(error)
        return "", markup.error(error, language)
    return text, "" if text else markup.note(say(language, "results.nothing_to_take"))


def _any(votes: Votes | PassingVotes) -> bool:
    return votes.path.exists() if isinstance(votes, Votes) else bool(votes.all())
