"""One tree of errors. Each is a sentence for a person, with a hint what to do next."""

from __future__ import annotations

import errno
from pathlib import Path


class AugmentLMError(Exception):
    """Something foreseeable went wrong. `message` says what, `hint` what to do; `str()` gives both."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class InputError(AugmentLMError):
    """What the user gave can't be worked on."""


class UnknownModelError(AugmentLMError):
    """No model of that name is in the catalog."""


class DoesNotFitError(AugmentLMError):
    """The model needs more memory than this machine has."""


class MissingExtraError(AugmentLMError):
    """An optional package is not installed."""


class WeightsError(AugmentLMError):
    """The weights can't be had: no network, a refused download, a wrong digest, a full disk."""


class EngineError(AugmentLMError):
    """A model could not be loaded or stopped working. `retryable` says whether trying again can help."""

    def __init__(self, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


class StoppedError(AugmentLMError):
    """The person pressed Stop."""

    def __init__(self, message: str = "Stopped.") -> None:
        super().__init__(message)


class PublishError(AugmentLMError):
    """Something can't go up to the hub: it may not be published, or the hub refuses or can't be reached."""


def unwritable(path: Path, error: OSError) -> InputError:
    """The error for a file that the system doesn't write."""
    hint = "Free some space and try again." if error.errno == errno.ENOSPC else "Choose another place."
    return InputError(f"{path} can't be written: {error.strerror or error}.", hint=hint)
