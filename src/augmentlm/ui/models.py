"""The Models tab: every model of the catalog as a card, with what it needs, whether it runs here, and its download."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from augmentlm import catalog
from augmentlm.catalog import Family, Model
from augmentlm.errors import StoppedError
from augmentlm.machine import inspect
from augmentlm.ui import cards, markup, options
from augmentlm.ui.context import PRIVATE, Context, report, session
from augmentlm.ui.pace import Pace
from augmentlm.ui.running import Shown
from augmentlm.ui.runs import follow
from augmentlm.ui.texts import say
from augmentlm.weights import Progress, Told, fetch_model, is_cached

GROUPS: dict[str, tuple[Family, ...]] = {
    "models.embedded": ("embedded",),
    "models.hub": ("hub-1.5b", "hub-7b"),
    "models.general": ("base", "reference"),
    "models.embedder": ("embedder",),
}


def build(context: Context, tab: gr.Tab) -> None:
    """Draw the tab and wire it."""
    _Models(context, tab)


@dataclass(frozen=True)
class _Card:
    """The components of one model."""

    model: Model
    body: gr.HTML
    download: gr.Button
    cancel: gr.Button
    note: gr.HTML


class _Models:
    def __init__(self, context: Context, tab: gr.Tab) -> None:
        self.context = context
        self.machine = inspect()
        words = context.words
        context.lead("models.lead")
        self.computer = words(gr.HTML, {"value": lambda language: cards.computer(self.machine, language)})
        if not context.local:
            words(gr.HTML, {"value": lambda language: markup.note(say(language, "models.no_download"))})
        self.cards: list[_Card] = []
        for group, families in GROUPS.items():
            context.title(group)
            with gr.Row(elem_classes="alm-cards"):
                self.cards += [self._card(entry) for entry in catalog.models().values() if entry.family in families]
        self.pulled = words(gr.HTML, {"value": self._pulled})
        tab.select(self._refresh, context.language, self._changing, queue=False, **PRIVATE)
        for card in self.cards:
            self._wire(card)

    def _card(self, model: Model) -> _Card:
        words = self.context.words
        with gr.Column(elem_classes="alm-card", min_width=280, elem_id=f"model-{model.name.replace('.', '-')}"):
            body = words(gr.HTML, {"value": lambda language: cards.card(model, self.machine, language)})
            note = gr.HTML()
            with gr.Row(elem_classes="alm-actions"):
                download = words(
                    gr.Button,
                    {"value": "models.download"},
                    visible=self._offered(model),
                    elem_classes="alm-quiet-button",
                )
                cancel = words(
                    gr.Button, {"value": "models.cancel"}, visible=False, elem_classes="alm-quiet-button alm-stop"
                )
            with words(gr.Accordion, {"label": "models.card"}, open=False, elem_classes="alm-more") as about:
                text = gr.HTML()
        about.expand(lambda: cards.about(model), None, text, queue=False, **PRIVATE)
        return _Card(model, body, download, cancel, note)

    def _wire(self, card: _Card) -> None:
        context, place = self.context, _place(card.model)

        def begin(request: gr.Request, language: str) -> Shown:
            context.stops.begin(session(request), place)
            return {
                card.download: gr.update(visible=False),
                card.cancel: gr.update(visible=True),
                card.note: markup.bar(say(language, "models.starting"), 0, 1),
            }

        def download(request: gr.Request, language: str) -> Iterator[str]:
            flag = context.stops.take(session(request), place)
            try:
                yield from self._download(card.model, flag, language)
            finally:
                context.stops.end(session(request), place, flag)

        def finish(request: gr.Request, language: str) -> Shown:
            context.readiness.start()  # what it lacked may have come with these weights
            # Models may share their weights, so all cards are drawn anew.
            return {**self._refresh(request, language), card.cancel: gr.update(visible=False)}

        def fail(request: gr.Request, language: str) -> Shown:
            """The download never came to its turn, as when the queue is full."""
            cancel(request)
            back = {card.cancel: gr.update(visible=False), card.note: markup.not_begun(language)}
            return {**self._refresh(request, language), **back}

        def cancel(request: gr.Request) -> None:
            context.stops.stop(session(request), place)

        language, private = context.language, {"queue": False, **PRIVATE}
        ended = [*self._changing, card.cancel]
        downloading = card.download.click(begin, language, [card.download, card.cancel, card.note], **private).then(
            download, language, card.note, concurrency_limit=None, **PRIVATE
        )
        downloading.then(finish, language, ended, **private)
        downloading.failure(fail, language, [*ended, card.note], **private)
        card.cancel.click(cancel, **private)

    def _download(self, model: Model, flag: threading.Event, language: str) -> Iterator[str]:
        """Fetch a model's weights; yields what its card says meanwhile and in the end."""

        def work(progress: Progress) -> Iterator[Path]:
            yield fetch_model(model, progress=progress, stop=flag)

        pace = Pace()
        try:
            for news in follow(work, flag):
                if news.progress:
                    yield pace.bar(news.progress, _far(news.progress, language), language)
        except StoppedError:
            yield markup.note(say(language, "models.cancelled"))
        except Exception as error:  # whatever it is, the card says it in a sentence
            report(error)
            yield markup.error(error, language)
        else:
            yield ""

    def _pulled(self, language: str) -> str:
        """The adapters that were taken from the hub by their names there; nothing before there are any."""
        found = options.pulled_adapters(self.context)
        return cards.pulled(found, self.machine, language) if found else ""

    @property
    def _changing(self) -> list[Any]:
        """What `_refresh` draws anew."""
        return [self.computer, self.pulled, *(part for card in self.cards for part in (card.body, card.download))]

    def _refresh(self, request: gr.Request, language: str) -> Shown:
        """What is downloaded and what is free may have changed. A download that is going on can only be cancelled."""
        self.machine = inspect()
        shown: dict[Any, Any] = {self.computer: cards.computer(self.machine, language)}
        shown[self.pulled] = self._pulled(language)
        for card in self.cards:
            shown[card.body] = cards.card(card.model, self.machine, language)
            is_coming = self.context.stops.is_running(session(request), _place(card.model))
            shown[card.download] = gr.update(visible=self._offered(card.model) and not is_coming)
        return shown

    def _offered(self, model: Model) -> bool:
        """Downloads are offered for what is not here yet and can run here."""
        return self.context.local and not is_cached(model.artifact) and cards.runs_here(model, self.machine)


def _place(model: Model) -> str:
    return f"models:{model.name}"


def _far(told: Told, language: str) -> str:
    return say(language, "common.progress", done=markup.size(told.done), total=markup.size(told.total))
