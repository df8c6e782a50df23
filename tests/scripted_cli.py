"""`augmentlm` on the scripted engine. As a process of its own: python tests/scripted_cli.py DELAY VERB …"""

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from augmentlm.cli import main
from augmentlm.engines.base import Engine, Request
from augmentlm.engines.scripted import Script, ScriptedEngine


class ScriptedPool:
    """A pool that has one engine for everything, so the commands run as they are, down to the engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def lease(self, plan, *, progress=None, stop=None) -> Iterator[Engine]:
        yield self.engine


def novel() -> Script:
    """Something new each time, in the form that the task asks for."""
    ideas = itertools.cycle(
        (
            "Describe one ripe apple in a poem",
            "List seven rivers of northern Europe",
            "Explain why bread rises while baking",
            "Compare trains with buses for commuters",
            "Suggest names for our grey kitten",
            "Write a toast to my oldest friend",
            "Sort these invoices by their date",
            "Draft an apology to the neighbours",
        )
    )

    def script(request: Request) -> str:
        idea = next(ideas)
        is_pair = "### Instruction" in request.messages[-1].content
        return f"### Instruction\n\n{idea}\n\n### Response\n\nGladly." if is_pair else idea

    return script


if __name__ == "__main__":
    engine = ScriptedEngine(lambda request: " ".join(map(str, range(1000))), delay=float(sys.argv[1]))
    sys.exit(main(sys.argv[2:], pool=ScriptedPool(engine)))
