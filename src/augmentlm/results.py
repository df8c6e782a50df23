"""What comes back to the user: one row of work, with everything that is needed to judge and repeat it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from augmentlm.checks import Finding
from augmentlm.engines.base import Finish
from augmentlm.tasks import Pair, Task, TaskInput


@dataclass(frozen=True)
class Result:
    """One candidate with the findings of the checks. `ttft_s` (time to first token) and `seconds` are seconds.

    `output` is the parsed value, or None when the text is not in the task's form. `index` is the place of the
    input in a batch, and `tries` how often the model was asked until the checks found nothing or it was enough.
    `kept` says that it was made before, for somebody else, and is shown again.
    """

    task: Task
    model: str
    engine: str
    quantization: str
    input: TaskInput
    output: str | Pair | None
    text: str
    finish: Finish
    findings: tuple[Finding, ...]
    prompt_tokens: int
    completion_tokens: int
    ttft_s: float
    seconds: float
    seed: int | None
    index: int = 0
    tries: int = 1
    kept: bool = False

    @property
    def accepted(self) -> bool:
        """No check speaks against it."""
        return self.output is not None and not self.findings

    @property
    def usable(self) -> bool:
        """There is something to show, be it with findings."""
        return self.output is not None

    @property
    def unchanged(self) -> bool:
        """The input came back as it was: for `refine`, it was already good."""
        return isinstance(self.input, str) and self.text.strip() == self.input.strip()

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed after the first token."""
        decoding = self.seconds - self.ttft_s
        return (self.completion_tokens - 1) / decoding if self.completion_tokens > 1 and decoding > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """The row that `--json` prints."""
        given = self.input if isinstance(self.input, str) else [asdict(pair) for pair in self.input]
        return {
            "task": self.task,
            "model": self.model,
            "engine": self.engine,
            "quantization": self.quantization,
            "input": given,
            "output": asdict(self.output) if isinstance(self.output, Pair) else self.output,
            "accepted": self.accepted,
            "reasons": [asdict(finding) for finding in self.findings],
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "ttft_s": round(self.ttft_s, 3),
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "tries": self.tries,
        }


class TextStream:
    """Pieces of text as they are written; `result` once they are all out. Closing it stops the model."""

    def __init__(self, pieces: Iterator[str | Result], close: Callable[[], None]) -> None:
        self._pieces = pieces
        self._close = close
        self._result: Result | None = None

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            if isinstance(piece, Result):
                self._result = piece
            else:
                yield piece

    @property
    def result(self) -> Result:
        """The finished row. Raises RuntimeError while the stream has not been read to its end."""
        if self._result is None:
            raise RuntimeError("The stream is not finished: read it to its end first.")
        return self._result

    def close(self) -> None:
        """Stop the model; what was written so far stays with the reader."""
        self._close()
