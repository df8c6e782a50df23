"""What every engine speaks: a request goes in, text pieces and one completion come out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from augmentlm.catalog import Sampling
from augmentlm.tasks import Message

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Request:
    """One thing to generate. `adapter` names a catalog model whose adapter is applied; None is the bare base.

    `candidate` numbers, from 0, the texts of which one will be kept; None where there is no choice. With a number the
    completion says how likely its tokens were. `is_over` tells from the text so far that nothing more is wanted, which
    ends it as the model's own end does.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    adapter: str | None = None
    candidate: int | None = None
    is_over: Callable[[str], bool] | None = None


@dataclass(frozen=True)
class Completion:
    """What came of a request. `ttft_s` is the time to the first token and `seconds` the whole, both in seconds.

    `likelihoods` has for each token the characters of text before it and its log probability at temperature 1, among
    the tokens that the engine looked at; it is empty where none were asked for or the engine doesn't know them.
    """

    text: str
    finish: Finish
    prompt_tokens: int
    completion_tokens: int
    ttft_s: float
    seconds: float
    seed: int | None
    likelihoods: tuple[tuple[int, float], ...] = ()

    def sureness(self, start: int, end: int) -> float | None:
        """The mean log probability of the tokens from character `start` up to `end`; None where that is not known."""
        found = [value for place, value in self.likelihoods if start <= place <= end]
        return sum(found) / len(found) if found else None

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed: tokens after the first, over the time after the first."""
        decoding = self.seconds - self.ttft_s
        return (self.completion_tokens - 1) / decoding if self.completion_tokens > 1 and decoding > 0 else 0.0


class Engine(Protocol):
    """One loaded base. Both verbs are safe to call from several threads and share nothing between requests.

    Setting `stop`, or closing the generator, ends the work within about a token; with `stop`, what was written so
    far comes back with finish "cancelled".
    """

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        """Pieces of text as they are made; the last item is the `Completion`."""
        ...

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        """Rows as they finish, in any order, each with its index in `requests`."""
        ...

    def close(self) -> None:
        """Free the weights. The engine is not used again."""
        ...
