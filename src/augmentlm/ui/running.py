"""Run and Stop, the same on every tab that keeps a model busy."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
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
        self._ends: dict[str, Shown] = {}  # how a session's run ended, until its page has asked for it
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
        ready = {self.button: gr.update(visible=True), self._stop: gr.update(visible=False)}

        def begin(request: gr.Request, language: str) -> Shown:
            context.stops.begin(session(request), place)
            return {**begun(language), self.button: gr.update(visible=False), self._stop: gr.update(visible=True)}

        def run(request: gr.Request, language: str, *values: Any) -> Iterator[Shown]:
            visitor = session(request)
            flag = context.stops.take(visitor, place)
            working = work(flag, language, *values)
            try:
                while True:
                    try:
                        shown = next(working)
                    except StopIteration as over:
                        if context.stops.is_newest(visitor, place, flag):
                            self._ends[visitor] = over.value
                        return
                    if not context.stops.is_newest(visitor, place, flag):
                        return
                    yield shown
            finally:
                working.close()
                context.stops.end(visitor, place, flag)

        def finish(request: gr.Request) -> Shown:
            end = self._ends.pop(session(request), None)
            return {} if end is None else {**end, **ready}

        def stop(request: gr.Request) -> Shown:
            context.stops.stop(session(request), place)
            return ready

        everything = [*live, *final, *buttons]
        language = context.language
        (
            self.button.click(begin, language, everything, queue=False, **PRIVATE)
            .then(run, [language, *inputs], live, **PRIVATE, **GENERATING)
            .then(finish, None, everything, queue=False, **PRIVATE)
        )
        self._stop.click(stop, None, buttons, queue=False, **PRIVATE)
