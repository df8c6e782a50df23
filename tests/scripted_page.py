"""The app on the scripted engine. As a process of its own: python tests/scripted_page.py PORT DELAY"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from augmentlm.engines.base import Engine, Request
from augmentlm.engines.scripted import Script, ScriptedEngine
from augmentlm.ui.launch import launch
from scripted_cli import ScriptedPool, novel

USUAL: tuple[Any, ...] = ("", "", 0.7, 0.95, 50, 64, None, None, None, None)
"""The values of the options when nobody has touched them, as Gradio gives them."""

NASTY = '<img src=x onerror="window.hit=1"><script>window.hit=1</script> [a](javascript:hit()) {{value}} ${1+1}'
"""What must be shown as the characters that it is."""


class SlowPool(ScriptedPool):
    """The first lease takes a while, with progress, as a download does."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        super().__init__(engine)
        self._left = seconds

    @contextmanager
    def lease(self, plan, *, progress=None, stop=None) -> Iterator[Engine]:
        while self._left > 0 and not (stop and stop.is_set()):
            if progress:
                progress(250_000_000, 500_000_000)
            time.sleep(0.1)
            self._left -= 0.1
        yield self.engine


def everything() -> Script:
    """Says a long text when asked to count, nasty markup when given some, and something new otherwise."""
    new, numbers = novel(), count(1)

    def script(request: Request) -> str:
        asked = request.messages[-1].content
        if "count" in asked:
            return " ".join(f"number{number}" for number in range(400))
        if "onerror" not in asked:
            return new(request)
        if "### Instruction" in asked:
            return f"### Instruction\n\nAnother {next(numbers)}: {NASTY}\n\n### Response\n\n{NASTY}"
        return f"Better {next(numbers)}: {NASTY}"

    return script


if __name__ == "__main__":
    port, delay = int(sys.argv[1]), float(sys.argv[2])
    launch(port=port, pool=SlowPool(ScriptedEngine(everything(), delay=delay), 1.5))
