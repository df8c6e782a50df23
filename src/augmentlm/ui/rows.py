"""An editor for instruction-response rows, one text box a cell; `rows.js` is its half in the browser.

A row is a dictionary: `id`, `instruction`, `response`, and for results `note` (why it is marked), `keep` (whether it
goes into the download) and whatever else stands with it. The editor hands back what it was given, with its edits.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any, Literal

import gradio as gr

from augmentlm.tasks import Pair
from augmentlm.ui import markup
from augmentlm.ui.texts import LANGUAGES, Language, say

Row = dict[str, Any]
Kind = Literal["examples", "results"]


def editor(kind: Kind, *, elem_id: str, value: list[Row] | None = None) -> gr.HTML:
    """Examples have a button to add a row and one in each row to remove it; results have a box to leave one out."""
    labels = json.dumps({language: _labels(language) for language in LANGUAGES}, ensure_ascii=False)
    # Nothing here is one of Gradio's placeholders: a frame that is drawn again would lose its rows.
    frame = (
        f'<ol class="alm-rows" data-kind="{kind}" data-labels="{markup.escape(labels)}"></ol>'
        '<p class="alm-empty"></p><button type="button" class="alm-add"></button>'
    )
    return gr.HTML(value or [], html_template=frame, js_on_load=_script(), elem_id=elem_id)


def row(pair: Pair, **more: Any) -> Row:
    """A row that the editor has not seen before."""
    return {"id": secrets.token_hex(6), "instruction": pair.instruction, "response": pair.response, **more}


def rows(pairs: Iterable[Pair]) -> list[Row]:
    return [row(pair) for pair in pairs]


def pairs(value: Any) -> list[Pair]:
    """The rows of an editor that hold something; what comes from a browser may be anything, so it is made text."""
    found = [Pair(str(row.get("instruction", "")), str(row.get("response", ""))) for row in filled(value)]
    return [pair for pair in found if pair.instruction.strip() or pair.response.strip()]


def filled(value: Any) -> list[Row]:
    """The rows of an editor as dictionaries."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _labels(language: Language) -> dict[str, str]:
    names = {"instruction": "instruction", "response": "response", "add": "add_row", "keep": "keep", "empty": "empty"}
    labels = {name: say(language, f"pairs.{key}") for name, key in names.items()}
    return {**labels, "remove": say(language, "pairs.remove_row", n="{n}")}


@cache
def _script() -> str:
    return resources.files("augmentlm.ui").joinpath("rows.js").read_text(encoding="utf-8")
