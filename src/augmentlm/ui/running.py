"""Run and Stop, the same on every tab that keeps a model busy."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import gradio as gr

from augmentlm.ui import markup
from augmentlm.ui.context import GENERATING, PRIVATE, Context, session
from augmentlm.ui.texts import say

Shown = dict[Any, Any]
"""What components show, by component."""

Work = Callable[..., Generator[Shown, None, Shown]]
"""A run: yields what changes while it goes on and returns what stands there in the end."""


class Runner:
    """The two buttons, of which one is seen. The run itself waits in the queue; pressing the buttons never does.

    A run that another one of the same page has replaced shows nothing any more.
    """

    def __init__(self, context: Context, place: str, label: str, *, quiet: bool = False) -> None:
        """`quiet` is for a run that stands beside the main one of a tab: it has no key."""
        self._context, self._place = context, place
        # How a session's run ended and the ticket it had, until its page has asked for it.
        self._ends: dict[str, tuple[str, Shown]] = {}
        look: dict[str, Any] = (
            {"elem_classes": "alm-quiet-button"} if quiet else {"variant": "primary", "elem_classes": "alm-run"}
        )
        self.button = context.words(gr.Button, {"value": label}, **look)
        self._stop = context.words(gr.Button, {"value": "common.stop"}, visible=False, elem_classes="alm-stop")
        if quiet:
            return
        context.words(gr.HTML, {"value": lambda language: markup.key_hint(say(language, "common.key_hint"))})

    def on_run(
        self,
        begun: Callable[[str], Shown],
        work: Work,
        inputs: list[Any],
        live: list[Any],
        final: list[Any],
    ) -> None:
        """Wire the buttons. `begun` says what the page shows the moment Run was pressed; `work` is the run, and gets
        the stop flag, the language and the values of `inputs`.

        Only `live` may change while it goes on: a page works for every output of every step, changed or not, and with
        many of them it falls behind the model.
        """
        context, place = self._context, self._place
        buttons = [self.button, self._stop]
        ticket = gr.Textbox(visible="hidden", show_label=False)  # of the press that the page goes by

        def begin(request: gr.Request, language: str) -> Shown:
            asked = context.stops.begin(session(request), place)
            pressed = {self.button: gr.update(visible=False), self._stop: gr.update(visible=True)}
            return {**begun(language), **pressed, ticket: asked}

        def run(request: gr.Request, language: str, asked: str, *values: Any) -> Iterator[Shown]:
            visitor = session(request)
            flag = context.stops.take(visitor, place, asked)
            newest = partial(context.stops.is_newest, visitor, place, flag)
            working = work(flag, language, *values)
            try:
                while newest():
                    end = None
                    try:
                        shown = next(working)
                    except StopIteration as over:
                        shown, end = {}, over.value
                    if not newest():
                        break
                    if end is not None:
                        self._ends[visitor] = asked, end
                        return
                    yield shown
                # Gradio sends a run's last step once more when it is over, and the page shows another run by now.
                yield gr.skip()
            finally:
                working.close()
                context.stops.end(visitor, place, flag)

        def finish(request: gr.Request, asked: str) -> Shown:
            of, end = self._ends.get(session(request), (None, {}))
            if of != asked:  # another run has taken its place, and shows its own end
                return gr.skip()
            del self._ends[session(request)]
            return {**end, **self._ready()}

        def fail(request: gr.Request, language: str) -> Shown:
            """The run never came to its turn, as when the queue is full, or something unforeseen ended it."""
            boxes = [box for box in live if isinstance(box, gr.HTML)]
            said = markup.not_begun(language) if context.stops.is_waiting(session(request), place) else ""
            return {**dict.fromkeys(boxes, ""), boxes[0]: said, **stop(request)}

        def stop(request: gr.Request) -> Shown:
            context.stops.stop(session(request), place)
            return self._ready()

        everything = [*live, *final, *buttons]
        language, private = context.language, {"queue": False, **PRIVATE}
        # Right after Stop the run before may still be ending or waiting, and a new one does not wait for that.
        several: dict[str, Any] = {"trigger_mode": "multiple"}
        running = self.button.click(begin, language, [*everything, ticket], **private).then(
            run, [language, ticket, *inputs], live, **several, **PRIVATE, **GENERATING
        )
        running.then(finish, ticket, everything, **several, **private)
        running.failure(fail, language, [*live, *buttons], **several, **private)
        self._stop.click(stop, None, buttons, **private)

    def drop_when(self, pressed: gr.Button, boxes: list[Any]) -> None:
        """When another button is pressed, what this run has shown is out of date: it ends, and its boxes are empty."""

        def drop(request: gr.Request) -> Shown:
            self._context.stops.drop(session(request), self._place)
            return {**dict.fromkeys(boxes, ""), **self._ready()}

        pressed.click(drop, None, [*boxes, self.button, self._stop], queue=False, **PRIVATE)

    def _ready(self) -> Shown:
        return {self.button: gr.update(visible=True), self._stop: gr.update(visible=False)}
