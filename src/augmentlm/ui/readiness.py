"""The weights come while the page is already up: who asks first starts it, and everyone can see how far it is."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Literal

from augmentlm.errors import AugmentLMError
from augmentlm.ui import faults, markup
from augmentlm.ui.pace import Pace
from augmentlm.ui.texts import say
from augmentlm.weights import Progress, Told, Work

State = Literal["starting", "coming", "loading", "ready", "failed"]


class Readiness:
    """Warms up a model once, in the background. `warm_up` fetches and loads it, telling a progress callback.

    `is_loaded` says whether the model is there, as it may be after a failure when somebody's work has loaded it.
    `local` says that the visitor sits at this computer.
    """

    def __init__(
        self,
        warm_up: Callable[[Progress], None],
        *,
        is_loaded: Callable[[], bool] = lambda: False,
        local: bool = True,
    ) -> None:
        self._warm_up = warm_up
        self._is_loaded = is_loaded
        self._local = local
        self._lock = threading.Lock()
        self._running = False
        self._told = Told(0, 0)
        self._pace = Pace()
        self._error: BaseException | None = None
        self.state: State = "starting"

    def look(self) -> State:
        """How it stands now."""
        with self._lock:
            if self.state == "failed" and self._is_loaded():
                self.state, self._error = "ready", None
            return self.state

    def start(self) -> None:
        """Begin, unless it is under way or done. After a failure it is tried again."""
        with self._lock:
            if self._running or self.state == "ready":
                return
            self._running, self._error, self.state = True, None, "starting"
            self._pace = Pace()
        threading.Thread(target=self._run, name="augmentlm-warm-up", daemon=True).start()

    def html(self, language: str) -> str:
        """The line at the top of the page."""
        if self.state == "coming":
            bar = self._pace.bar(self._told, markup.coming(self._told, language), language)
            return f'<div class="alm-status busy">{bar}</div>'
        kind = {"ready": "good", "failed": "bad"}.get(self.state, "busy")
        key = "ready_here" if self.state == "ready" and self._local else self.state
        text = say(language, f"status.{key}")
        if self._error is not None and isinstance(self._error, AugmentLMError):
            text = " ".join((text, *faults.words(self._error, language))).strip()
        return (
            f'<div class="alm-status {kind}" role="status"><span class="alm-dot" aria-hidden="true"></span>'
            f"{markup.escape(text)}</div>"
        )

    def _run(self) -> None:
        try:
            self._warm_up(self._hear)
            self.state = "ready"
        except BaseException as error:  # shown on the page; a background thread has nobody else to tell
            if not isinstance(error, AugmentLMError):
                traceback.print_exception(error, file=sys.stderr)
            self._error = error
            self.state = "failed"
        finally:
            self._running = False

    def _hear(self, done: int, total: int, work: Work = "download") -> None:
        self._told = Told(done, total, work)
        self.state = "coming" if done < total else "loading"
