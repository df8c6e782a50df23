"""The Dataset tab: what shall be made of the seeds; a run makes it, and stops and goes on at will."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from augmentlm import catalog, schemas
from augmentlm.errors import InputError
from augmentlm.runs.estimate import Estimate, probe
from augmentlm.runs.run import Using, resume, run
from augmentlm.runs.runner import Progress
from augmentlm.runs.spec import check_steps
from augmentlm.tasks import Task
from augmentlm.ui import dataset_view as view
from augmentlm.ui import markup
from augmentlm.ui.context import Context, report
from augmentlm.ui.dataset_seeds import Seeds
from augmentlm.ui.dataset_shelf import Shelf
from augmentlm.ui.options import Settings, model_list, permit
from augmentlm.ui.running import Runner, Shown
from augmentlm.ui.runs import follow
from augmentlm.ui.texts import Language, say
from augmentlm.weights import Progress as Downloaded

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
        self.seeds = Seeds(context)
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
                    new = model_list(context, "expand", "dataset.model_new")
                    answers = model_list(context, "respond", "dataset.model_respond")
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

        settings = [*self.seeds.inputs, recipe, n, new, answers, variety, longest]
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

    def _begun(self, language: str) -> Shown:
        return {self.progress: markup.waiting(language, None), self.latest: "", self.notes: ""}

    def _run(self, flag: threading.Event, language: str, *values: Any) -> Generator[Shown, None, Shown]:
        folder = self.shelf.folders.root() / time.strftime("%Y-%m-%d-%H%M%S")

        def work(downloaded: Downloaded) -> Iterator[Progress]:
            seeds, steps, n, using = self._settings(*values)
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
        folder = self.shelf.folders.find(name)

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
            # Of what never began there is nothing to open: the run that stands there stays, and its name with it.
            **(self.shelf.open(self.shelf.folders.name(folder), language) if folder and last else {}),
        }

    def _estimate(self, flag: threading.Event, language: str, *values: Any) -> Generator[Shown, None, Shown]:
        def work(downloaded: Downloaded) -> Iterator[Progress | Estimate]:
            seeds, steps, n, using = self._settings(*values)
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
        table: Any,
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
        seeds = self.seeds.read(table, instruction, response)
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


def _recipes(language: Language) -> list[tuple[str, str]]:
    return [(say(language, f"dataset.recipe.{re.sub(',', '_', name)}"), name) for name in RECIPES]
