"""`build_app`: the page with its tabs. `launch` serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal, get_args

import gradio as gr

from augmentlm import catalog
from augmentlm.augmenter import load
from augmentlm.engines.pool import EnginePool, default_pool
from augmentlm.errors import AugmentLMError
from augmentlm.tasks import Task
from augmentlm.ui import api, compare, dataset, expand, markup, models, pairs, refine, results
from augmentlm.ui.context import PRIVATE, Context, session
from augmentlm.ui.kept import Kept
from augmentlm.ui.readiness import Readiness
from augmentlm.ui.texts import Language, preferred, say
from augmentlm.weights import Progress

Tab = Literal["refine", "expand", "pairs", "dataset", "compare", "results", "models"]
TABS: tuple[Tab, ...] = get_args(Tab)
_BUILDERS: dict[Tab, Callable[[Context, gr.Tab], None]] = {
    "refine": refine.build,
    "expand": expand.build,
    "pairs": pairs.build,
    "dataset": dataset.build,
    "compare": compare.build,
    "results": results.build,
    "models": models.build,
}
_TASKS: dict[Tab, Task] = {"refine": "refine", "expand": "expand", "pairs": "pair"}


def build_app(
    tabs: Sequence[Tab] = TABS,
    *,
    pool: EnginePool | None = None,
    model: str | None = None,
    local: bool = True,
    keep_examples: bool = False,
) -> gr.Blocks:
    """The app as Gradio blocks; nothing is loaded until a visitor comes.

    `tabs` says which tabs there are, in order. `model` is what the first tab's task warms up, by default the best for
    this machine. Set `local` to False where strangers visit: then nobody can send requests to other servers from this
    one, or fill its disk with downloads. With `keep_examples` a finished run of one of the page's own examples is shown
    to the next visitors instead of being made again.
    """
    engines = pool or default_pool()
    first = next((_TASKS[tab] for tab in tabs if tab in _TASKS), "refine")

    def warm_up(progress: Progress) -> None:
        load(first, model, pool=engines, progress=progress).warm_up()

    def is_loaded() -> bool:
        try:
            entry = catalog.model(load(first, model, pool=engines).model)
        except AugmentLMError:
            return False
        return any(plan.model.artifact == entry.artifact for plan in engines.loaded())

    # Files that visitors upload are deleted within two hours, and when the app ends.
    with gr.Blocks(title="AugmentLM", analytics_enabled=False, delete_cache=(3600, 3600)) as app:
        language = gr.BrowserState("", storage_key="augmentlm-language", secret="augmentlm")
        context = Context(
            engines, language, Readiness(warm_up, is_loaded=is_loaded, local=local), local, Kept(keep_examples)
        )
        words = context.words
        with gr.Row(elem_classes="alm-head"):
            words(gr.HTML, {"value": _masthead})
            switch = words(gr.Button, {"value": "language_switch"}, size="sm", elem_classes="alm-switch")
        status = words(gr.HTML, {"value": context.readiness.html}, elem_id="status")
        with gr.Tabs(elem_classes="alm-tabs"):
            for tab in tabs:
                with words(gr.Tab, {"label": f"tab.{tab}"}, id=tab, elem_id=f"tab-{tab}") as page:
                    _BUILDERS[tab](context, page)
        api.add(context, [_TASKS[tab] for tab in tabs if tab in _TASKS])
        _wire(app, context, switch, status)
    return app.queue(max_size=64)


def _wire(app: gr.Blocks, context: Context, switch: gr.Button, status: gr.HTML) -> None:
    """What happens when a visitor comes, changes the language and leaves."""
    language = context.language
    spoken: gr.State = gr.State("en")  # what the page shows; `language` is what the browser remembers

    speaking: dict[str, str] = {}  # the same by session, for a status line that outlives a change of language

    def arrive(request: gr.Request, chosen: str) -> tuple[str, str]:
        """The page is up: begin to load the weights, and speak the visitor's language."""
        context.readiness.start()
        speaks = chosen or preferred(request.headers.get("accept-language", ""))
        speaking[session(request)] = speaks
        return speaks, speaks

    def change(request: gr.Request, current: str) -> tuple[str, str]:
        other: Language = "en" if current == "zh" else "zh"
        speaking[session(request)] = other
        return other, other

    async def watch(request: gr.Request) -> AsyncIterator[str]:
        """The status line until the model is there, or the visitor has left."""
        shown = ""
        while speaks := speaking.get(session(request)):
            state = context.readiness.look()
            line = context.readiness.html(speaks)
            if line != shown:
                shown = line
                yield line
            if state == "ready":
                return
            await asyncio.sleep(2 if state == "failed" else 0.25)

    def leave(request: gr.Request) -> None:
        context.leave(session(request))
        speaking.pop(session(request), None)

    def turned_away(request: gr.Request, chosen: str) -> str:
        """The queue is full, so the page hears nothing of the model. It is asked to come again."""
        return markup.not_begun(chosen or preferred(request.headers.get("accept-language", "")))

    # Gradio tells of a changed state to events in the queue alone.
    arriving = app.load(arrive, language, [language, spoken], concurrency_limit=None, **PRIVATE)
    watching = arriving.then(watch, None, status, concurrency_limit=None, **PRIVATE)
    for event in (arriving, watching):
        event.failure(turned_away, language, status, queue=False, **PRIVATE)
    switch.click(change, language, [language, spoken], concurrency_limit=None, **PRIVATE)
    # Only when it really changes: a page works for every component that is named here.
    spoken.change(context.words.updates, spoken, context.words.components, queue=False, **PRIVATE).then(
        None, language, js=_SET_LANGUAGE, **PRIVATE
    )
    app.unload(leave)


_SET_LANGUAGE = "(language) => { document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'; }"


def _masthead(language: Language) -> str:
    return (
        f'<h1 class="alm-name">{markup.escape(say(language, "app.title"))}</h1>'
        f'<p class="alm-tagline">{markup.escape(say(language, "app.tagline"))}</p>'
    )
