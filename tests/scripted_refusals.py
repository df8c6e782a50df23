"""An engine that takes no part in some requests, and says so after the others, as engines do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence

from augmentlm.engines.base import Completion, Request
from augmentlm.engines.chat_api import RefusedError
from augmentlm.engines.scripted import Script, ScriptedEngine
from augmentlm.errors import AugmentLMError, EngineError, InputError


def filtered() -> EngineError:
    """What a server's content filter makes of a request."""
    error = EngineError("The server refused the request: content filter.")
    error.__cause__ = RefusedError(error.message)
    return error


def too_long() -> InputError:
    return InputError("The text has 9,000 tokens; the model reads 8,192.", hint="Shorten it.")


class RefusingEngine(ScriptedEngine):
    """Refuses what `refuses` says with an error made by `fault`; `asked` has the last message of every request."""

    def __init__(
        self, script: Script, refuses: Callable[[Request], bool], fault: Callable[[], AugmentLMError] = filtered
    ) -> None:
        super().__init__(script)
        self.refuses, self.fault = refuses, fault
        self.asked: list[str] = []

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        self.asked += [request.messages[-1].content for request in requests]
        taken = {index: request for index, request in enumerate(requests) if not self.refuses(request)}
        for place, completion in super().generate(list(taken.values()), stop):
            yield list(taken)[place], completion
        if len(taken) < len(requests):
            raise self.fault()
