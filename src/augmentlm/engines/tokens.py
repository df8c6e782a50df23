"""Chats to token ids and token ids to text, for the engines that do their own tokenising."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from augmentlm.catalog import Chat
from augmentlm.engines.chatml import segments
from augmentlm.errors import EngineError
from augmentlm.tasks import Message


class ChatTokenizer:
    """The tokenizer of a model folder. Raises `EngineError` when `tokenizer.json` is missing or damaged."""

    def __init__(self, folder: Path, chat: Chat) -> None:
        try:
            self._markup = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
        except Exception as error:  # the library has no exception class of its own
            raise EngineError(
                f"The tokenizer in {folder} can't be read: {error}.", hint="Remove the folder and download it again."
            ) from error
        # The same model without the added tokens: here `<|im_start|>` is twelve characters like any others.
        self._literal = Tokenizer(self._markup.model)
        self._literal.normalizer = self._markup.normalizer
        self._literal.pre_tokenizer = self._markup.pre_tokenizer
        self._chat = chat

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """A chat up to where the assistant writes. Special tokens come from the markup alone, never from a message."""
        ids: list[int] = []
        for segment in segments(messages, self._chat):
            tokenizer = self._markup if segment.markup else self._literal
            ids += tokenizer.encode(segment.text, add_special_tokens=False).ids
        return ids

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._literal.encode(text, add_special_tokens=False).ids)

    def writer(self) -> TextWriter:
        return TextWriter(self._markup)


class TextWriter:
    """Turns one row's tokens into text as they come, never cutting a character that takes several tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        # Ids before `_context` are not looked at again; those up to `_written` are out as text.
        self._context = 0
        self._written = 0
        self.text = ""

    @property
    def tokens(self) -> int:
        return len(self._ids)

    def add(self, token: int) -> str:
        """The text that this token completes; empty in the middle of a character or for a special token."""
        self._ids.append(token)
        before = self._tokenizer.decode(self._ids[self._context : self._written])
        after = self._tokenizer.decode(self._ids[self._context :])
        if len(after) <= len(before) or after.endswith("\ufffd"):
            return ""
        self._context, self._written = self._written, len(self._ids)
        piece = after[len(before) :]
        self.text += piece
        return piece
