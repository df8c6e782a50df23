"""Two engines for duels. As a process of its own, the app on them: python tests/scripted_duel.py PORT"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from augmentlm.engines.base import Engine
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import EngineError

LONG = " ".join(map(str, range(500)))
SMALL_WROTE, LARGE_WROTE = "Kestrels", "Herons"
"""Words by which a test, but no reader, knows who wrote a text."""


class TwoPool:
    """A pool with an engine for each base: what a model says, how slowly, and how it fails."""

    def __init__(self, **engines: Engine | Exception) -> None:
        self.engines = engines

    @contextmanager
    def lease(self, plan, *, progress=None, stop=None) -> Iterator[Engine]:
        engine = self.engines["small" if "0.5b" in plan.model.artifact.name else "large"]
        if isinstance(engine, Exception):
            raise engine
        yield engine


def says(text: str, delay: float = 0.0) -> ScriptedEngine:
    return ScriptedEngine(lambda request: text, delay=delay)


def breaks(after: int) -> ScriptedEngine:
    """An engine that breaks down after some words."""

    class Breaking(ScriptedEngine):
        def stream(self, request, stop):
            for number, piece in enumerate(super().stream(request, stop)):
                if number == after:
                    raise EngineError("llama.cpp ended in the middle of a text.", hint="Try again.")
                yield piece

    return Breaking(lambda request: LONG, delay=0.01)


def writes(word: str, words: int, delay: float) -> ScriptedEngine:
    """Writes about `word`: a few sentences, or hundreds of words when asked to count. Breaks down when asked to."""

    def script(request):
        asked = request.messages[-1].content
        if "break down" in asked and word == LARGE_WROTE:
            raise EngineError("llama.cpp ended in the middle of a text.", hint="Try again.")
        if "count" in asked:
            return " ".join([word, *map(str, range(2000))])
        return f"{word} are birds. " * words

    return ScriptedEngine(script, delay=delay)


if __name__ == "__main__":
    from augmentlm.ui.launch import launch

    pool = TwoPool(small=writes(SMALL_WROTE, 12, 0.01), large=writes(LARGE_WROTE, 8, 0.05))
    launch(port=int(sys.argv[1]), pool=pool)
