"""Who stands against whom in the Compare tab: two models of the catalog, or one on another server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from augmentlm import catalog
from augmentlm.arena.contenders import Contender, resolve
from augmentlm.errors import InputError
from augmentlm.tasks import Task
from augmentlm.ui import options
from augmentlm.ui.context import Context
from augmentlm.ui.texts import Language, say

SERVER = "server"


@dataclass(frozen=True)
class Wanted:
    """What the visitor set, in the order of the components."""

    task: Task
    prompt: str
    left: str
    left_form: str
    right: str
    right_form: str
    blind: bool
    longest: float | None
    endpoint: str
    endpoint_model: str
    api_key: str
    price_in: str
    price_out: str

    def contenders(self, context: Context) -> tuple[Contender, Contender]:
        return self._contender(context, self.left, self.left_form), self._contender(
            context, self.right, self.right_form
        )

    def _contender(self, context: Context, model: str, form: str) -> Contender:
        if not model:
            raise InputError("One side has no model.", hint="Choose one under “Who writes”.")
        if model == SERVER:
            endpoint, name = (self.endpoint or "").strip(), (self.endpoint_model or "").strip()
            if not endpoint:
                raise InputError("The server has no address.", hint="Type it under “Another server”.")
            options.permit(context, options.Settings(endpoint=endpoint))
            price = _price(self.price_in), _price(self.price_out)
            known = None if None in price else price
            return Contender(name, None, endpoint, (self.api_key or "").strip() or None, known)  # type: ignore[arg-type]
        chosen = resolve(model, self.task)
        options.permit(context, options.Settings(model=chosen))
        return Contender(chosen, form or None)


def build(context: Context) -> list[Any]:
    """Draw the accordion; the components come back in the order of `Wanted`, after the task and the prompt."""
    words, models = context.words, partial(_models, context)
    with words(gr.Accordion, {"label": "compare.who"}, open=False, elem_classes="alm-options"):
        sides = []
        for side, usual in (("left", "embedded"), ("right", "reference")):
            with gr.Row():
                sides.append(
                    words(
                        gr.Dropdown,
                        {"label": f"compare.{side}", "choices": models},
                        value=usual,
                        filterable=False,
                        elem_id=f"compare-{side}",
                    )
                )
                sides.append(
                    words(
                        gr.Dropdown,
                        {
                            "label": "options.precision",
                            "choices": lambda language: options.precisions("refine", language),
                        },
                        value="",
                        filterable=False,
                    )
                )
        blind = words(
            gr.Checkbox,
            {"label": "compare.blind", "info": "compare.blind_info"},
            value=True,
            elem_classes="alm-check",
        )
        longest = words(
            gr.Slider,
            {"label": "options.max_tokens", "info": "options.max_tokens_info"},
            minimum=16,
            maximum=2048,
            step=16,
            value=catalog.default_sampling("refine").max_tokens,
            elem_id="compare-longest",
        )
        with words(gr.Accordion, {"label": "compare.server"}, open=False, visible=context.local):
            with gr.Row():
                endpoint = words(gr.Textbox, {"label": "options.endpoint"}, placeholder="http://127.0.0.1:8000/v1")
                name = words(gr.Textbox, {"label": "options.endpoint_model"}, placeholder="qwen-max")
                key = words(gr.Textbox, {"label": "options.api_key", "info": "options.api_key_info"}, type="password")
            with gr.Row():
                read = words(gr.Textbox, {"label": "compare.price_in", "info": "compare.price_info"}, max_lines=1)
                written = words(gr.Textbox, {"label": "compare.price_out"}, max_lines=1)
    return [*sides, blind, longest, endpoint, name, key, read, written]


def _models(context: Context, language: Language) -> list[tuple[str, str]]:
    found = [(say(language, f"compare.{alias}"), alias) for alias in ("embedded", "reference")]
    found += [
        (entry.title, entry.name)
        for entry in catalog.models().values()
        if entry.family not in ("embedded", "reference", "embedder")
    ]
    found += [(entry.title, entry.name) for entry in options.pulled_adapters(context)]
    return [*found, *([(say(language, "compare.a_server"), SERVER)] if context.local else [])]


def _price(text: str | None) -> float | None:
    """A price as typed; nothing typed is none."""
    typed = (text or "").strip().replace(",", ".")
    try:
        value = float(typed) if typed else None
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value < 1e6:
        raise InputError(f"“{typed}” is not a price.", hint="Give a number, or leave it empty.")
    return value
