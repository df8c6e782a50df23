"""The upper part of the Dataset tab: seeds are pasted or uploaded, mapped to what they are, and shown as read."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from augmentlm import schemas, tables
from augmentlm.errors import AugmentLMError, InputError
from augmentlm.tables import Table
from augmentlm.ui import dataset_view as view
from augmentlm.ui import markup
from augmentlm.ui.context import PRIVATE, Context
from augmentlm.ui.running import Shown
from augmentlm.ui.texts import say


class Seeds:
    """`inputs` are the components whose values `read` takes."""

    def __init__(self, context: Context) -> None:
        words = context.words
        self.table: gr.State = gr.State(None)
        self.uploaded: gr.State = gr.State(False)
        with gr.Column(elem_classes="alm-panel"):
            context.title("dataset.seeds")
            self.text = words(
                gr.Textbox,
                {"label": "dataset.paste", "placeholder": "dataset.placeholder", "info": "dataset.info"},
                lines=4,
                max_lines=12,
                value="",
                elem_id="dataset-text",
            )
            with gr.Row(elem_classes="alm-actions"):
                upload = words(
                    gr.UploadButton,
                    {"label": "dataset.upload"},
                    file_types=[*tables.SUFFIXES, ".txt"],
                    elem_classes="alm-quiet-button",
                )
                example = words(gr.Button, {"value": "dataset.example"}, elem_classes="alm-quiet-button")
            with gr.Row(visible=False) as self.mapping:
                self.columns = [
                    words(gr.Dropdown, {"label": f"dataset.column_{name}"}, choices=[""], value="", filterable=False)
                    for name in ("instruction", "response")
                ]
            self.preview = gr.HTML(elem_id="dataset-preview")
        self.inputs = [self.table, *self.columns]
        shown = [self.table, self.uploaded, self.mapping, *self.columns, self.preview]
        language = context.language
        given = [self.text, self.uploaded, language]
        self.text.change(self.paste, given, shown, queue=False, trigger_mode="always_last", **PRIVATE)
        upload.upload(self._upload, [upload, language], [*shown, self.text], queue=False, **PRIVATE)
        example.click(_example, language, self.text, queue=False, **PRIVATE)
        for column in self.columns:
            column.input(self.mapped, [*self.inputs, language], self.preview, queue=False, **PRIVATE)

    def read(self, table: Table | None, instruction: str, response: str) -> schemas.Read:
        """The seeds, from the values of `inputs`. Raises `InputError`."""
        if table is None:
            raise InputError("There are no seeds yet.", hint="Paste or upload a few rows first.")
        columns = {"instruction": instruction, "response": response}
        return schemas.read(table, {ours: theirs for ours, theirs in columns.items() if theirs})

    def paste(self, text: str, uploaded: bool, language: str) -> Shown:
        if not text.strip():
            # An upload empties the box, and the seeds are its rows then.
            return {self.uploaded: gr.skip()} if uploaded else self._nothing()
        try:
            return self._shown(tables.parse(text), language)
        except AugmentLMError as error:
            return {**self._nothing(), self.preview: markup.error(error, language)}

    def _upload(self, file: str, language: str) -> Shown:
        """A file is read where it lies; the box is for what is typed."""
        try:
            return {**self._shown(tables.read(Path(file)), language), self.uploaded: True, self.text: ""}
        except AugmentLMError as error:
            return {**self._nothing(), self.preview: markup.error(error, language)}

    def _nothing(self) -> Shown:
        return {self.table: None, self.uploaded: False, self.mapping: gr.update(visible=False), self.preview: ""}

    def _shown(self, table: Table, language: str) -> Shown:
        names = list(dict.fromkeys(name for _, row in table.rows[:100] for name in row))
        choices = [(say(language, "dataset.automatic"), ""), *((name, name) for name in names)]
        return {
            self.table: table,
            self.uploaded: False,
            self.mapping: gr.update(visible=len(names) > 1 or schemas.recognise(dict.fromkeys(names)) is None),
            **{column: gr.update(choices=choices, value="") for column in self.columns},
            self.preview: self.mapped(table, "", "", language),
        }

    def mapped(self, table: Table | None, instruction: str, response: str, language: str) -> str:
        """What is made of the table."""
        if table is None:
            return ""
        try:
            return view.preview(self.read(table, instruction, response), language)
        except AugmentLMError as error:
            return markup.error(error, language)


def _example(language: str) -> str:
    return say(language, "dataset.example_rows")
