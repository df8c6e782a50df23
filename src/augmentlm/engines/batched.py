"""The engine for many rows on a CPU: int8, and a row that ends makes room for the next at once.

Importing this module imports torch.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import torch

from augmentlm.catalog import Chat
from augmentlm.engines import torch_model
from augmentlm.engines.base import Completion, Finish, Request
from augmentlm.engines.decoding import Row
from augmentlm.engines.int8_qwen2 import Cache, Config, Int8Qwen2, Piece
from augmentlm.engines.prepared import Preparation, Prepared
from augmentlm.engines.refill import decode
from augmentlm.engines.tokens import ChatTokenizer
from augmentlm.engines.turns import Turns
from augmentlm.errors import EngineError
from augmentlm.hardware import cores

MAX_ROWS = 64
"""Rows that are worked on at once."""

CACHE_SHARE = 0.6
"""Of the memory that is free when work begins, what its attention cache may grow to."""


class BatchEngine:
    """A folder of safetensors with a Qwen2, in int8 on the CPU, with any number of LoRA adapters.

    `adapters` maps catalog names to PEFT folders; each is merged into a copy of the layers when it is first used.
    Callers take turns step by step, in the order of asking.

    Raises `EngineError` when files are missing or damaged or memory runs out, and `InputError` for a text that is
    longer than the model reads.
    """

    def __init__(self, folder: Path, chat: Chat, *, adapters: Mapping[str, Path] | None = None) -> None:
        self._folder = folder
        self._chat = chat
        self._adapters = dict(adapters or {})
        self._config = Config.read(folder)
        self._tokenizer = ChatTokenizer(folder, chat)
        self._preparation = Preparation(self._tokenizer, self._config.context, self._adapters)
        self._turns = Turns()
        self._models: dict[str | None, Int8Qwen2] = {}
        self._closed = False
        torch.set_num_threads(min(torch.get_num_threads(), cores()))

    def stream(self, request: Request, stop: threading.Event) -> Generator[str | Completion, None, None]:
        """Pieces of text as they are made; the last item is the `Completion`."""
        for row, piece, finish in self._decode([self._preparation.one(0, request)], 1, stop):
            if piece:
                yield piece
            if finish:
                yield row.completion(finish)

    def generate(
        self, requests: Sequence[Request], stop: threading.Event
    ) -> Generator[tuple[int, Completion], None, None]:
        """Rows as they finish. When memory runs out, half as many are worked on at once.

        A row that can't be worked on doesn't keep the others: its error is raised at the end.
        """
        prepared, failure = self._preparation.all(requests)
        prepared.sort(key=lambda each: each.request.adapter or "")  # stable: rows else come in the order of asking
        for adapter, group in groupby(prepared, key=lambda each: each.request.adapter):
            unfinished = {each.index: each for each in group}
            if not stop.is_set():
                with self._turns:
                    self._model(adapter)  # before memory is counted; with no room for it, fewer rows don't help
            most = MAX_ROWS
            while unfinished:
                count = min(most, self._places(list(unfinished.values())))
                try:
                    for row, _, finish in self._decode(list(unfinished.values()), count, stop):
                        if finish:
                            del unfinished[row.index]
                            yield row.index, row.completion(finish)
                except EngineError as error:
                    if not torch_model.is_out_of_memory(error.__cause__) or count == 1:
                        raise
                    most = count // 2
                torch_model.release()
        if failure:
            raise failure

    def close(self) -> None:
        """Free the weights. Work in other threads ends with an `EngineError` at its next step."""
        with self._turns:
            self._closed = True
            self._models.clear()
        torch_model.release()

    def _places(self, prepared: Sequence[Prepared]) -> int:
        """How many rows can be worked on at once within the memory that is free."""
        longest = max(each.most_tokens for each in prepared)
        budget = CACHE_SHARE * torch_model.free_bytes("cpu") / self._config.bytes_of_token
        return max(1, min(len(prepared), int(budget / longest)))

    def _decode(
        self, prepared: Sequence[Prepared], count: int, stop: threading.Event
    ) -> Generator[tuple[Row, str, Finish | None], None, None]:
        adapter = prepared[0].request.adapter
        try:
            cache = Cache(self._config, count, max(each.most_tokens for each in prepared))

            def forward(pieces: Sequence[Piece], wanted: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
                with self._turns, torch.inference_mode():
                    return self._model(adapter).forward(pieces, cache, wanted)

            rows = [each.row(self._tokenizer) for each in prepared]
            yield from decode(forward, cache, rows, count, self._chat.stop_ids, stop)
        except RuntimeError as error:
            raise torch_model.stopped_working(error, "cpu") from error

    def _model(self, adapter: str | None) -> Int8Qwen2:
        """The weights with an adapter or none. Only who has the turn may ask."""
        if self._closed:
            raise EngineError("The model was unloaded.", hint="Start again.", retryable=True)
        if adapter not in self._models:
            folder = self._adapters[adapter] if adapter else None
            shared = next(reversed(self._models.values()), None)
            self._models[adapter] = Int8Qwen2(self._folder, folder, shared)
        return self._models[adapter]
