"""The app on the scripted engine. As a process of its own: python tests/scripted_page.py PORT DELAY"""

import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from augmentlm.engines.base import Completion, Engine, Request
from augmentlm.engines.scripted import Script, ScriptedEngine
from augmentlm.ui.launch import launch
from scripted_cli import ScriptedPool, novel

USUAL: tuple[Any, ...] = ("", "", 0.7, 0.95, 50, 64, None, None, None, None)
"""The values of the options when nobody has touched them, as Gradio gives them."""

NASTY = '<img src=x onerror="window.hit=1"><script>window.hit=1</script> [a](javascript:hit()) {{value}} ${1+1}'
"""What must be shown as the characters that it is."""


def run_to_end(work: Generator[dict[Any, Any], None, dict[Any, Any]]) -> list[dict[Any, Any]]:
    """What a tab's run shows, step by step; the last is what it returns."""
    shown = []
    while True:
        try:
            shown.append(next(work))
        except StopIteration as over:
            return [*shown, over.value]


class SlowPool(ScriptedPool):
    """Until a second one waits, the page's first lease downloads: its warm-up and the first request meet."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._asked = count(1)
        self._second = threading.Event()

    @contextmanager
    def lease(self, plan, *, progress=None, stop=None) -> Iterator[Engine]:
        if next(self._asked) > 1:
            self._second.set()
        while not self._second.wait(0.1):
            progress(250_000_000, 500_000_000)
        yield self.engine


def everything() -> Script:
    """Counts, copies or ponders without hearing of a stop when asked to, repeats nasty markup when given some, and says
    something new otherwise."""
    new, numbers = novel(), count(1)

    def script(request: Request) -> str:
        asked = request.messages[-1].content
        if "count" in asked:
            return "Write " + " ".join(f"number{number}" for number in range(400))
        if "Copy this" in asked:
            return "Copy this"
        if "ponder" in asked:
            time.sleep(2)
            return "Pondered for nothing"
        if "onerror" not in asked:
            return new(request)
        if "### Instruction" in asked:
            return f"### Instruction\n\nAnother {next(numbers)}: {NASTY}\n\n### Response\n\n{NASTY}"
        return f"Describe {next(numbers)}: {NASTY}"

    return script


class TellingEngine(ScriptedEngine):
    """Prints how each stream ends."""

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        for piece in super().stream(request, stop):
            if isinstance(piece, Completion):
                print(piece.finish, flush=True)
            yield piece


if __name__ == "__main__":
    port, delay = int(sys.argv[1]), float(sys.argv[2])
    launch(port=port, pool=SlowPool(TellingEngine(everything(), delay=delay)))
