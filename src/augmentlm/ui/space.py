"""The app on a Hugging Face Space: for strangers, with limits, on the hardware that is there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from augmentlm.engines.limits import LimitedPool, Limits
from augmentlm.engines.loading import load
from augmentlm.engines.pool import EnginePool

if TYPE_CHECKING:
    from augmentlm.ui.build import Tab

VISITORS = Limits()
"""For a Space of one tab."""

SLOTS = 2
"""Rows at once on the two processors of a free Space: with four, the 1.5B model would take more than 2 GB."""

STUDIO = Limits(rows=200)
"""For all tabs: a data set is made in calls of many rows."""


def serve(tabs: Sequence[Tab] | None = None, *, pool: EnginePool | None = None, keep_examples: bool = False) -> None:
    """Serve these tabs, or all, to visitors: no other servers, no large downloads, nothing kept, limits.

    `keep_examples` is for where a run costs the visitor: see `build_app`.

    Address and port are the platform's (`GRADIO_SERVER_NAME`, `GRADIO_SERVER_PORT`).
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    from augmentlm.ui.build import TABS, build_app
    from augmentlm.ui.launch import page_settings

    usual = LimitedPool(VISITORS if tabs else STUDIO, make=partial(load, slots=SLOTS))
    app = build_app(tabs or TABS, pool=pool or usual, local=False, keep_examples=keep_examples)
    app.launch(**{**page_settings(), "prevent_thread_lock": False})
