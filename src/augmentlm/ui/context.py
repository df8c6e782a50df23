"""What every tab shares: the engines, the words, the stop flags, and whether the visitor owns this computer."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from augmentlm.arena.votes import PassingVotes, Votes
from augmentlm.engines.pool import EnginePool
from augmentlm.errors import AugmentLMError
from augmentlm.ui import markup
from augmentlm.ui.kept import Kept
from augmentlm.ui.readiness import Readiness
from augmentlm.ui.runs import Stops
from augmentlm.ui.texts import Wording, say

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""For events of the page itself, which are no part of the public API."""

GENERATING: dict[str, Any] = {"concurrency_id": "generate", "concurrency_limit": 4}
"""For events that keep a model busy: as many at once as an engine has slots."""


@dataclass
class Context:
    """One per page that is built. `local` is False where strangers visit: see `build_app`."""

    pool: EnginePool
    language: gr.BrowserState
    readiness: Readiness
    local: bool = True
    kept: Kept = field(default_factory=Kept)
    words: Wording = field(default_factory=Wording)
    stops: Stops = field(default_factory=Stops)
    _passing: dict[str, PassingVotes] = field(default_factory=dict)

    def votes(self, visitor: str) -> Votes | PassingVotes:
        """Where the votes of a session go: to this computer's file, or where strangers visit to nothing that lasts."""
        return Votes() if self.local else self._passing.setdefault(visitor, PassingVotes())

    def leave(self, visitor: str) -> None:
        """The page was closed: nobody waits for its runs any more, and its votes are forgotten."""
        self.stops.leave(visitor)
        self._passing.pop(visitor, None)

    def lead(self, key: str) -> None:
        """The sentence that says what a tab is for."""
        self.words(gr.HTML, {"value": lambda language: markup.lead(say(language, key))})

    def title(self, key: str) -> None:
        """The heading of a panel."""
        self.words(gr.HTML, {"value": lambda language: markup.panel_title(say(language, key))})

    def output(self, empty: str, **settings: Any) -> gr.HTML:
        """A place for results. While it has no value it says what will stand there, which the style sheet sees to."""
        with gr.Column(elem_classes="alm-output"):
            place = gr.HTML(elem_classes="alm-result", **settings)
            self.words(gr.HTML, {"value": lambda language: markup.empty(say(language, empty))}, elem_classes="alm-none")
        return place

    def examples(self, keys: Sequence[str]) -> list[gr.Button]:
        """A row of examples to click."""
        with gr.Row(elem_classes="alm-examples"):
            self.words(gr.HTML, {"value": lambda language: markup.hint(say(language, "common.try"))})
            return [self.words(gr.Button, {"value": key}, size="sm", elem_classes="alm-example") for key in keys]


def session(request: gr.Request) -> str:
    """Which visitor this is: one open page."""
    return request.session_hash or "unknown"


def report(problem: BaseException) -> None:
    """What nobody foresaw goes to the terminal in full; the page shows one sentence."""
    if not isinstance(problem, AugmentLMError):
        traceback.print_exception(problem, file=sys.stderr)
