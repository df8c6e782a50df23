"""The page on the scripted engine, its tabs to call."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr
import pytest

from augmentlm.engines.scripted import Script, ScriptedEngine
from augmentlm.ui.context import Context
from augmentlm.ui.readiness import Readiness
from scripted_cli import ScriptedPool, novel


@pytest.fixture
def context() -> Callable[..., Context]:
    """A page's context, with what the model says."""

    def make(script: Script | None = None, *, delay: float = 0.0, local: bool = True) -> Context:
        pool = ScriptedPool(ScriptedEngine(script or novel(), delay=delay))
        return Context(pool, gr.BrowserState(""), Readiness(lambda progress: None), local)

    with gr.Blocks():
        yield make
