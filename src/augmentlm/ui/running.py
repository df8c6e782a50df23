"""Run and Stop, the same on every tab that keeps a model busy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from augmentlm.ui import markup
from augmentlm.ui.context import GENERATING, PRIVATE, Context, session
from augmentlm.ui.texts import say

Shown = dict[Any, Any]
"""What components show, by component."""


class Runner:
    """The two buttons, of which one is seen. The run itself waits in the queue; pressing the buttons never does.

    `begun` says what the page shows the moment Run was pressed, `work` is the run. A run that another one of the same
    page has replaced shows nothing any more.
    """

    def __init__(self, context: Context, place: str, label: str) -> None:
        self._context, self._place = context, place
        self.button = context.words(gr.Button, {"value": label}, variant="primary", elem_classes="alm-run")
        self._stop = context.words(gr.Button, {"value": "common.stop"}, visible=False, elem_classes="alm-stop")
        context.words(gr.HTML, {"value": lambda language: markup.key_hint(say(language, "common.key_hint"))})

    def on_run(
        self,
        begun: Callable[[str], Shown],
        work: Callable[..., Iterator[Shown]],
        inputs: list[Any],
        outputs: list[Any],
    ) -> None:
        """Wire the buttons. `work` gets the stop flag, the language and the values of `inputs`."""
        context, place = self._context, self._place
        buttons = [self.button, self._stop]

        def begin(request: gr.Request, language: str) -> Shown:
            context.stops.begin(session(request), place)
            return {**begun(language), self.button: gr.update(visible=False), self._stop: gr.update(visible=True)}

        def run(request: gr.Request, language: str, *values: Any) -> Iterator[Shown]:
            flag = context.stops.take(session(request), place)
            try:
                for shown in work(flag, language, *values):
                    if not context.stops.is_newest(session(request), place, flag):
                        return
                    yield shown
                if context.stops.is_newest(session(request), place, flag):
                    yield {self.button: gr.update(visible=True), self._stop: gr.update(visible=False)}
            finally:
                context.stops.end(session(request), place, flag)

        def stop(request: gr.Request) -> Shown:
            context.stops.stop(session(request), place)
            return {self.button: gr.update(visible=True), self._stop: gr.update(visible=False)}

        language = context.language
        self.button.click(begin, [language], [*outputs, *buttons], queue=False, **PRIVATE).then(
            run, [language, *inputs], [*outputs, *buttons], **PRIVATE, **GENERATING
        )
        self._stop.click(stop, None, buttons, queue=False, **PRIVATE)
