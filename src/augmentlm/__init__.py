"""AugmentLM: small models that make fine-tuning data and prompts better.

from augmentlm import load
refine = load("refine")
print(refine("write about dogs").text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augmentlm.augmenter import Augmenter, load
    from augmentlm.runs.run import run

__version__ = "0.1.0"
__all__ = ["Augmenter", "__version__", "load", "run"]


def __getattr__(name: str) -> Any:
    # Imported when first used, so that `import augmentlm` stays instant.
    if name in {"Augmenter", "load"}:
        from augmentlm import augmenter

        return getattr(augmenter, name)
    if name == "run":
        from augmentlm.runs.run import run

        return run
    raise AttributeError(f"module 'augmentlm' has no attribute {name!r}")
