"""The app in the browser. `build_app` makes the page; `launch` serves it.

Holds no logic that the command line would need too: it wires components to `augmenter`, `formats` and `machine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augmentlm.ui.build import build_app

__all__ = ["build_app"]


def __getattr__(name: str) -> Any:
    # Gradio takes seconds to import, so it waits until a page is really wanted.
    if name == "build_app":
        from augmentlm.ui.build import build_app

        return build_app
    raise AttributeError(f"module 'augmentlm.ui' has no attribute {name!r}")
