"""Requests on their way into a local engine: tokenised and held against what the model can do."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from augmentlm.engines.base import Request
from augmentlm.engines.decoding import Row
from augmentlm.engines.tokens import ChatTokenizer
from augmentlm.errors import EngineError, InputError


@dataclass(frozen=True)
class Prepared:
    """A request with its tokens, before it is worked on. `limit` is the most tokens it may write."""

    index: int
    request: Request
    prompt: list[int]
    limit: int

    @property
    def most_tokens(self) -> int:
        """Of the prompt and the longest answer."""
        return len(self.prompt) + self.limit

    def row(self, tokenizer: ChatTokenizer) -> Row:
        """The request as work begins: its clock starts, and its seed is drawn when it brought none."""
        sampling = self.request.sampling
        return Row(
            index=self.index,
            prompt=self.prompt,
            sampling=sampling,
            seed=secrets.randbelow(2**31) if sampling.seed is None else sampling.seed,
            limit=self.limit,
            writer=tokenizer.writer(),
            scored=self.request.candidate is not None,
            is_over=self.request.is_over,
        )


class Preparation:
    """What a request is held against: the tokenizer, the tokens the model reads at most, and the adapters loaded."""

    def __init__(self, tokenizer: ChatTokenizer, context: int, adapters: Collection[str]) -> None:
        self._tokenizer = tokenizer
        self._context = context
        self._adapters = adapters

    def one(self, index: int, request: Request) -> Prepared:
        """Raises `EngineError` for an adapter that isn't there and `InputError` for a text that is too long."""
        if request.adapter is not None and request.adapter not in self._adapters:
            raise EngineError(f"The adapter {request.adapter} is not loaded.", hint="Name it when the engine is made.")
        prompt = self._tokenizer.encode(request.messages)
        if len(prompt) >= self._context:
            raise InputError(
                f"The text has {len(prompt):,} tokens; the model reads {self._context:,}.", hint="Shorten it."
            )
        return Prepared(index, request, prompt, min(request.sampling.max_tokens, self._context - len(prompt)))

    def all(self, requests: Sequence[Request]) -> tuple[list[Prepared], InputError | None]:
        """The requests that can be worked on, and the first error of those that can't."""
        prepared: list[Prepared] = []
        failure: InputError | None = None
        for index, request in enumerate(requests):
            try:
                prepared.append(self.one(index, request))
            except InputError as error:
                failure = failure or error
        return prepared, failure
