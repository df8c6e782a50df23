"""The Dataset tab: seeds are read and shown, a run makes the rows asked for, and stops and goes on at will."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from augmentlm import catalog, schemas, tables
from augmentlm.errors import AugmentLMError, InputError
from augmentlm.runs.estimate import Estimate, probe
from augmentlm.runs.run import Using, resume, run
from augmentlm.runs.runner import Progress
from augmentlm.runs.spec import check_steps
from augmentlm.tables import Table
from augmentlm.tasks import Task
from augmentlm.ui import dataset_view as view
from augmentlm.ui import markup
from augmentlm.ui.context import PRIVATE, Context, report
from augmentlm.ui.dataset_shelf import Shelf
from augmentlm.ui.options import Settings, permit
from augmentlm.ui.running import Runner, Shown
from augmentlm.ui.runs import follow
from augmentlm.ui.texts import Language, say
from augmentlm.weights import Progress as Downloaded
from augmentlm.weights import is_cached

RECIPES = ("expand,respond", "refine,expand,respond", "pair", "expand", "refine,respond", "refine", "respond")
"""The steps that the page offers, the usual ones first."""

MOST_OF_STRANGERS = 200
_LATEST = 8


def build(context: Context, tab: gr.Tab) -> None:
    """Draw the tab and wire it."""
    _Dataset(context, tab)


class _Dataset:
    def __init__(self, context: Context, tab: gr.Tab) -> None:
        self.context = context
        words = context.words
        context.lead("dataset.lead")
        self.table: gr.State = gr.State(None)
        with gr.Column(elem_classes="alm-panel"):
            context.title("dataset.seeds")
            text = words(
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
                    words(
                        gr.Dropdown,
                        {
                            "label": f"dataset.column_{name}",
                            "choices": lambda language: [(say(language, "dataset.automatic"), "")],
                        },
                        value="",
                        filterable=False,
                    )
                    for name in ("instruction", "response")
                ]
            self.preview = gr.HTML(elem_id="dataset-preview")
        with gr.Column(elem_classes="alm-panel"):
            context.title("dataset.what")
            with gr.Row():
                recipe = words(
                    gr.Dropdown,
                    {"label": "dataset.steps", "choices": _recipes},
                    value=RECIPES[0],
                    filterable=False,
                    scale=2,
                )
                n = words(gr.Number, {"label": "dataset.n"}, value=50, minimum=1, precision=0, elem_id="dataset-n")
            with words(gr.Accordion, {"label": "common.options"}, open=False, elem_classes="alm-options"):
                with gr.Row():
                    new = words(
                        gr.Dropdown,
                        {"label": "dataset.model_new", "choices": lambda language: _models("expand", language)},
                        value="",
                        filterable=False,
                    )
                    answers = words(
                        gr.Dropdown,
                        {"label": "dataset.model_respond", "choices": lambda language: _models("respond", language)},
                        value="",
                        filterable=False,
                    )
                with gr.Row():
                    variety = words(
                        gr.Slider,
                        {"label": "options.temperature", "info": "options.temperature_info"},
                        minimum=0,
                        maximum=1.5,
                        step=0.05,
                        value=catalog.default_sampling("expand").temperature,
                    )
                    longest = words(
                        gr.Slider,
                        {"label": "options.max_tokens", "info": "options.max_tokens_info"},
                        minimum=64,
                        maximum=2048,
                        step=64,
                        value=512,
                    )
            with gr.Row(elem_classes="alm-actions"):
                runner = Runner(context, "dataset", "dataset.run")
                estimate = Runner(context, "dataset-estimate", "dataset.estimate", quiet=True)
            self.estimated = gr.HTML(elem_id="dataset-estimated")
        with gr.Column(elem_classes="alm-panel"):
            self.progress = gr.HTML(elem_id="dataset-progress")
            self.latest = context.output("dataset.empty", elem_id="dataset-latest")
            self.notes = gr.HTML(elem_id="dataset-notes")
        self.shelf = Shelf(context, tab)

        settings = [self.table, *self.columns, recipe, n, new, answers, variety, longest]
        live, final = [self.progress, self.latest], [self.notes, *self.shelf.opened]
        runner.on_run(self._begun, self._run, settings, live=live, final=final)
        estimate.on_run(
            lambda language: {self.estimated: markup.waiting(language, None)},
            self._estimate,
            settings,
            live=[self.estimated],
            final=[],
        )
        self.shelf.more.on_run(self._begun, self._go_on, [self.shelf.chosen, self.shelf.wanted], live=live, final=final)
        read = [self.table, self.mapping, *self.columns, self.preview]
        language = context.language
        text.change(self._paste, [text, language], read, queue=False, trigger_mode="always_last", **PRIVATE)
        upload.upload(self._upload, [upload, language], read, queue=False, **PRIVATE)
        example.click(lambda language: say(language, "dataset.example_rows"), language, text, queue=False, **PRIVATE)
        for column in self.columns:
            column.input(self._mapped, [self.table, *self.columns, language], self.preview, queue=False, **PRIVATE)

    # ---- seeds ----

    def _paste(self, text: str, language: str) -> Shown:
        if not text.strip():
            return self._nothing()
        try:
            return self._shown(tables.parse(text), language)
        except AugmentLMError as error:
            return {**self._nothing(), self.preview: markup.error(error, language)}

    def _upload(self, file: str, language: str) -> Shown:
        """A file is read where it lies; the box is for what is typed."""
        try:
            return self._shown(tables.read(Path(file)), language)
        except AugmentLMError as error:
            return {**self._nothing(), self.preview: markup.error(error, language)}

    def _nothing(self) -> Shown:
        return {self.table: None, self.mapping: gr.update(visible=False), self.preview: ""}

    def _shown(self, table: Table, language: str) -> Shown:
        names = list(dict.fromkeys(name for _, row in table.rows[:100] for name in row))
        choices = [(say(language, "dataset.automatic"), ""), *((name, name) for name in names)]
        return {
            self.table: table,
            self.mapping: gr.update(visible=len(names) > 1 or schemas.recognise(dict.fromkeys(names)) is None),
            **{column: gr.update(choices=choices, value="") for column in self.columns},
            self.preview: self._mapped(table, "", "", language),
        }

    def _mapped(self, table: Table | None, instruction: str, response: str, language: str) -> str:
        """What is made of the table."""
        if table is None:
            return ""
        try:
            return view.preview(schemas.read(table, _columns(instruction, response)), language)
        except AugmentLMError as error:
            return markup.error(error, language)

    # ---- runs ----

    def _begun(self, language: str) -> Shown:
        return {self.progress: markup.waiting(language, None), self.latest: "", self.notes: ""}

    def _run(
        self, flag: threading.Event, language: str, table: Table | None, *values: Any
    ) -> Generator[Shown, None, Shown]:
        folder = self.shelf.root() / time.strftime("%Y-%m-%d-%H%M%S")

        def work(downloaded: Downloaded) -> Iterator[Progress]:
            seeds, steps, n, using = self._settings(table, *values)
            kinds = {"schema": seeds.schema} if seeds.schema in schemas.WRITES else {}
            yield from run(
                seeds.examples,
                folder,
                steps=steps,
                n=n,
                using=using,
                pool=self.context.pool,
                stop=flag,
                downloaded=downloaded,
                **kinds,  # type: ignore[arg-type]
            )

        return (yield from self._follow(work, folder, flag, language))

    def _go_on(
        self, flag: threading.Event, language: str, name: str | None, wanted: float | None
    ) -> Generator[Shown, None, Shown]:
        folder = self.shelf.find(name)

        def work(downloaded: Downloaded) -> Iterator[Progress]:
            if folder is None:
                raise InputError("No run is chosen.", hint="Choose one from the list.")
            n = self._number(wanted) if wanted else None
            yield from resume(folder, n=n, pool=self.context.pool, stop=flag, downloaded=downloaded)

        return (yield from self._follow(work, folder, flag, language))

    def _follow(
        self, work: Any, folder: Path | None, flag: threading.Event, language: str
    ) -> Generator[Shown, None, Shown]:
        last: Progress | None = None
        latest: list[Any] = []
        problem: BaseException | None = None
        try:
            for news in follow(work, flag):
                for progress in news.items:
                    last = progress
                    latest = [*progress.latest, *latest][:_LATEST]
                yield {
                    self.progress: view.bar(last, language) if last else markup.waiting(language, news.progress),
                    self.latest: view.rows(latest, language) if latest else "",
                }
        except Exception as error:  # whatever it is, the page says it in a sentence and stays usable
            report(error)
            problem = error
        return {
            self.progress: view.summary(last, language) if last else "",
            self.notes: view.ending(last, problem, language),
            **self.shelf.open(self.shelf.name(folder) if folder and last else None, language),
        }

    def _estimate(
        self, flag: threading.Event, language: str, table: Table | None, *values: Any
    ) -> Generator[Shown, None, Shown]:
        def work(downloaded: Downloaded) -> Iterator[Progress | Estimate]:
            seeds, steps, n, using = self._settings(table, *values)
            yield from probe(
                seeds.examples,
                n,
                steps=steps,
                using=using,
                pool=self.context.pool,
                stop=flag,
                downloaded=downloaded,
            )

        said = ""
        try:
            for news in follow(work, flag):
                for item in news.items:
                    said = view.estimate(item, language) if isinstance(item, Estimate) else view.bar(item, language)
                yield {self.estimated: said or markup.waiting(language, news.progress)}
        except Exception as error:
            report(error)
            said = view.ending(None, error, language)
        return {self.estimated: said}

    def _settings(
        self,
        table: Table | None,
        instruction: str,
        response: str,
        recipe: str,
        n: float | None,
        new: str,
        answers: str,
        variety: float,
        longest: float,
    ) -> tuple[schemas.Read, tuple[Task, ...], int, dict[str, Using]]:
        """What the visitor chose, or an `InputError`."""
        if table is None:
            raise InputError("There are no seeds yet.", hint="Paste or upload a few rows first.")
        seeds = schemas.read(table, _columns(instruction, response))
        steps = check_steps(recipe.split(","))
        using = {}
        for step in steps:
            model = (answers if step == "respond" else new if step == "expand" else "") or None
            permit(self.context, Settings(model=model or ""))
            sampling: dict[str, float | int | None] = {"max_tokens": int(longest)}
            if step in ("expand", "pair"):
                sampling["temperature"] = variety
            using[step] = Using(model, sampling=sampling)
        return seeds, steps, self._number(n), using

    def _number(self, n: float | None) -> int:
        if not n or n < 1 or n != int(n):
            raise InputError("The number of rows is missing.", hint="Give a whole number from 1 up.")
        if not self.context.local and n > MOST_OF_STRANGERS:
            raise InputError(
                f"This server makes at most {MOST_OF_STRANGERS} rows at once.",
                hint="Run AugmentLM on your own computer for more.",
            )
        return int(n)


def _columns(instruction: str, response: str) -> dict[str, str]:
    return {ours: theirs for ours, theirs in (("instruction", instruction), ("response", response)) if theirs}


def _recipes(language: Language) -> list[tuple[str, str]]:
    return [(say(language, f"dataset.recipe.{re.sub(',', '_', name)}"), name) for name in RECIPES]


def _models(task: Task, language: Language) -> list[tuple[str, str]]:
    found = [(say(language, "options.automatic"), "")]
    for entry in catalog.models_for(task):
        size = say(language, "options.to_download", size=markup.size(entry.download_bytes))
        found.append((entry.title if is_cached(entry.artifact) else f"{entry.title} – {size}", entry.name))
    return found
