"""Asking a model, so that nothing is asked twice: each answer is kept by what was asked, and outlives a kill."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from augmentlm.augmenter import Augmenter
from augmentlm.distill import rows
from augmentlm.distill.samples import System
from augmentlm.engines.base import Completion, Finish
from augmentlm.engines.pool import EnginePool
from augmentlm.engines.refused import PLAIN, Refusal, made_or_refused
from augmentlm.errors import EngineError, StoppedError
from augmentlm.tasks import Message
from augmentlm.weights import Progress

Chat = Sequence[Message]
Told = Callable[[str, int, int], None]
"""Hears of a piece of work, how much of it is done and how much there is."""


@dataclass(frozen=True)
class Answer:
    """What a model wrote when asked. `refused` says why it took no part in the question; then there is no text."""

    text: str
    finish: Finish
    refused: str = ""


@dataclass
class Teacher:
    """A model that is asked in chats; `folder` keeps its answers, a file a piece of work."""

    system: System
    folder: Path
    pool: EnginePool | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Progress | None = None
    told: Told | None = None
    _loaded: Augmenter | None = None

    def ask(self, work: str, chats: Mapping[str, Chat], **sampling: Any) -> dict[str, Answer]:
        """An answer for each chat, by its name. Only what was never asked so, or with other sampling, is asked.

        A chat that the model takes no part in (too long, stopped by a content filter) has an answer without text, which
        is kept like the others. Raises `StoppedError` when `stop` is set, and what the engine raises when the fault is
        no chat's; answers that came before are kept.
        """
        if not chats:
            return {}
        path = self.folder / f"{work}.jsonl"
        asked = {name: self._digest(chat, sampling) for name, chat in chats.items()}
        known = {row["asked"]: Answer(row["text"], row["finish"], row.get("refused", "")) for row in rows.read(path)}
        missing = [name for name, digest in asked.items() if digest not in known]
        if self.told:
            self.told(work, len(chats) - len(missing), len(chats))
        if missing:
            # Two chats that are alike are one question.
            first = {asked[name]: name for name in reversed(missing)}
            wanted = {name: chats[name] for name in missing if first[asked[name]] == name}
            self._loaded = self._loaded or self.system.load("respond", self.pool, self.progress, "batch")
            with closing(self._answers(self._loaded, wanted, sampling)) as answers:
                for name, answer, details in answers:
                    known[asked[name]] = answer
                    made = {"model": self._loaded.model, "engine": self._loaded.engine, "sampling": sampling}
                    rows.append(path, {"id": name, "asked": asked[name], **details, **made})
                    if self.told:
                        self.told(work, sum(digest in known for digest in asked.values()), len(chats))
        if self.stop.is_set():
            raise StoppedError("Stopped. What was made so far is kept: run the same again to go on.")
        lost = sum(digest not in known for digest in asked.values())
        if lost:
            raise EngineError(f"{self.system.model} left {lost} of {len(chats)} unanswered.", hint="Run it again.")
        return {name: known[digest] for name, digest in asked.items()}

    def _answers(
        self, model: Augmenter, chats: Mapping[str, Chat], sampling: Mapping[str, Any]
    ) -> Generator[tuple[str, Answer, dict[str, Any]], None, None]:
        """Each chat's name and answer as it comes, with what its row says of it."""

        def make(names: Sequence[str]) -> Generator[tuple[str, Completion], None, None]:
            completions = model.converse([chats[name] for name in names], stop=self.stop, **sampling)
            with closing(completions):  # type: ignore[type-var]
                for place, completion in completions:
                    if completion.finish != "cancelled":
                        yield names[place], completion

        def plain(name: str) -> Iterable[object]:
            return model.converse([(*chats[name][:-1], Message("user", PLAIN))], stop=self.stop, **sampling)

        with closing(made_or_refused(list(chats), make, plain, self.stop)) as found:
            for name, each in found:
                if isinstance(each, Refusal):
                    answer = Answer("", "stop", each.reason)
                    yield name, answer, asdict(answer)
                else:
                    yield name, Answer(each.text, each.finish), asdict(each)

    def _digest(self, chat: Chat, sampling: Mapping[str, Any]) -> str:
        asked = [self.system.model, self.system.endpoint, [asdict(message) for message in chat], dict(sampling)]
        text = json.dumps(asked, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:20]
