"""The lower half of the Dataset tab: a run's rows to read and strike, its files, its report, and going on with it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_file_to_cache

from augmentlm import schemas, tables
from augmentlm.errors import AugmentLMError
from augmentlm.runs import shelf
from augmentlm.runs.outputs import Output
from augmentlm.runs.rows import Record, Run, read_run
from augmentlm.runs.run import output_of
from augmentlm.ui import dataset_view as view
from augmentlm.ui import markup
from augmentlm.ui.context import PRIVATE, Context, report
from augmentlm.ui.dataset_push import Push, can_sign_in
from augmentlm.ui.run_folders import RunFolders
from augmentlm.ui.running import Runner, Shown
from augmentlm.ui.texts import Language, say
from augmentlm.weights import home

PAGE = 10
"""Rows that are shown at once."""


ENDING_SECONDS = 10.0
"""How long the file of a run that was stopped is waited for: the run ends after a step of the model, then writes it."""

_LONGEST = 1200
_REJECTS = 100


class Shelf:
    """`chosen` is the name of the run that is open, `wanted` how many rows it shall have, `more` goes on with it.

    Where strangers visit, there is no list of runs: a run's name can't be guessed, and the page alone knows its own.
    """

    def __init__(self, context: Context, tab: gr.Tab) -> None:
        self.context = context
        self.folders = RunFolders(context.local)
        words = context.words
        with gr.Column(elem_classes="alm-panel") as self.panel:
            context.title("dataset.runs")
            self.chosen = words(
                gr.Dropdown,
                {"label": "dataset.earlier"},
                choices=[],
                value=None,
                filterable=False,
                elem_id="dataset-runs",
            )
            with gr.Column(visible=False) as self.inside:
                self.funnel = gr.HTML(elem_id="dataset-funnel")
                with gr.Row(elem_classes="alm-actions"):
                    self.more = Runner(context, "dataset-more", "dataset.go_on", quiet=True)
                    self.wanted = words(gr.Number, {"label": "dataset.n"}, value=None, minimum=1, precision=0)
                with gr.Row(elem_classes="alm-actions"):
                    self.schema = words(
                        gr.Dropdown,
                        {"label": "dataset.format", "choices": _schemas},
                        value=schemas.WRITES[0],
                        filterable=False,
                    )
                    self.kind = words(
                        gr.Dropdown, {"label": "dataset.file", "choices": _kinds}, value="jsonl", filterable=False
                    )
                    self.with_seeds = words(gr.Checkbox, {"label": "dataset.with_seeds"}, elem_classes="alm-check")
                    self.provenance = words(
                        gr.Checkbox, {"label": "dataset.provenance"}, value=True, elem_classes="alm-check"
                    )
                with gr.Row(elem_classes="alm-actions"):
                    self.download = words(
                        gr.DownloadButton, {"label": "dataset.download"}, elem_classes="alm-quiet-button"
                    )
                    charts = words(gr.Button, {"value": "dataset.charts"}, elem_classes="alm-quiet-button")
                    self.report = words(gr.DownloadButton, {"label": "dataset.report"}, elem_classes="alm-quiet-button")
                self.problem = gr.HTML(elem_id="dataset-problem")
                self.charts = gr.HTML(elem_id="dataset-charts")
                Push(context, self.folders.find, self.chosen)
                with words(gr.Accordion, {"label": "dataset.read"}, open=False, elem_classes="alm-more"):
                    self.page = words(
                        gr.Slider,
                        {"label": "dataset.page"},
                        minimum=1,
                        maximum=2,
                        visible=False,
                        step=1,
                        value=1,
                        elem_id="dataset-page",
                    )
                    self.rows = words(
                        gr.CheckboxGroup,
                        {"label": "dataset.tick"},
                        choices=[],
                        elem_id="dataset-rows",
                        elem_classes="alm-readings",
                    )
                    with gr.Row(elem_classes="alm-actions"):
                        strike = words(gr.Button, {"value": "dataset.strike"}, elem_classes="alm-quiet-button")
                with words(gr.Accordion, {"label": "dataset.rejects"}, open=False, elem_classes="alm-more"):
                    self.rejects = gr.HTML(elem_id="dataset-rejects")
        form = [self.schema, self.kind, self.with_seeds, self.provenance]
        reading = [self.funnel, self.page, self.rows, self.rejects]
        self.opened = [
            *(self.chosen, self.inside, self.wanted, self.download, self.report, self.charts, self.problem),
            *reading,
            *form,
        ]
        language = context.language
        quick: dict[str, Any] = {"queue": False, **PRIVATE}
        if can_sign_in():
            mine = gr.BrowserState("", storage_key="augmentlm-run", secret=secrets.token_hex(16))
            self.chosen.change(lambda name: name or "", self.chosen, mine, **quick)
            tab.select(self._come_back, [self.chosen, mine, language], self.opened, **quick)
        else:
            tab.select(self._list, [self.chosen, language], self.chosen, **quick)
        self.chosen.input(self.open, [self.chosen, language], self.opened, **quick)
        turned, shown = [self.page.release, self.page.input], [self.rows, self.problem]  # arrow keys release nothing
        gr.on(turned, self._turn, [self.chosen, self.page, language], shown, trigger_mode="always_last", **quick)
        strike.click(self._strike, [self.chosen, self.rows, language], self.opened, **quick)
        drawn = [self.report, self.charts, self.problem]
        charts.click(self._report, [self.chosen, language], drawn, concurrency_limit=1, **PRIVATE).failure(
            markup.not_begun, language, self.problem, **quick
        )
        for one in form:
            one.input(self._rewrite, [self.chosen, *form, language], [self.download, self.problem], **quick)

    def open(self, name: Any, language: str) -> Shown:
        """Everything about a run; of none, nothing."""
        from augmentlm.reports.dataset import PAGE, is_current

        folder = self.folders.find(name)
        if folder is None:
            return {self.chosen: self._list(None, language), self.inside: gr.update(visible=False), self.problem: ""}
        data, behind = None, ""
        try:
            try:
                run, data = shelf.up_to_date(folder, ENDING_SECONDS)
            except AugmentLMError as error:  # being worked on: there are rows to read, and no file of them yet
                run, behind = read_run(folder), markup.error(error, language)
            output, told = output_of(folder), is_current(run)
        except AugmentLMError as error:
            return {self.problem: markup.error(error, language), self.inside: gr.update(visible=True)}
        page = self._handed_out(folder / PAGE) if told else None  # one of earlier rows is not handed out
        return {
            self.chosen: self._list(name, language),
            self.inside: gr.update(visible=True),
            self.funnel: view.funnel(run, language),
            self.wanted: max(run.spec.n, len(run.accepted)),
            self.page: gr.update(value=1, maximum=max(2, _pages(run)), visible=_pages(run) > 1),
            self.rows: _choices(run, 1),
            self.rejects: view.rows(run.rejected[:_REJECTS], language) if run.rejected else "",
            self.schema: output.schema,
            self.kind: output.file,
            self.with_seeds: output.with_seeds,
            self.provenance: output.provenance,
            self.download: gr.update(value=data and self._handed_out(data), interactive=data is not None),
            self.report: gr.update(value=page, visible=told),
            self.charts: "",
            self.problem: behind,
        }

    def _report(self, name: Any, language: str) -> Iterator[Shown]:
        """Write the report, show it, and offer it as a file."""
        from augmentlm.reports.dataset import run_report

        folder = self.folders.find(name)
        if folder is None:
            return
        yield {self.problem: markup.waiting(language, None)}
        try:
            page = run_report(folder)
        except Exception as error:  # the rows are there, with a report or without
            report(error)
            yield {self.problem: markup.error(error, language)}
            return
        yield {
            self.report: gr.update(value=self._handed_out(page), visible=True),
            self.charts: view.page(page),
            self.problem: "",
        }

    def _come_back(self, chosen: Any, mine: Any, language: str) -> Shown:
        """The run that the visitor made before signing in, which opens the page anew."""
        return {self.problem: gr.skip()} if chosen else self.open(mine, language)

    def _handed_out(self, path: Path) -> str | None:
        """A file of a run as the browser may have it: a copy among Gradio's own, because Gradio gives out no others. A
        folder goes out as a zip."""
        if not path.exists():
            return None
        file = shutil.make_archive(str(path), "zip", path) if path.is_dir() else path
        return save_file_to_cache(file, self.download.GRADIO_CACHE)

    def _list(self, chosen: Any, language: str) -> Any:
        if self.folders.thrown_away:
            return gr.update(visible=False, choices=[chosen] if chosen else [], value=chosen)
        found = [
            (
                say(
                    language,
                    "dataset.entry",
                    name=entry.folder.name,
                    steps=", ".join(say(language, f"dataset.step.{task}") for task in entry.steps),
                    done=entry.accepted,
                    total=entry.wanted,
                ),
                entry.folder.name,
            )
            for entry in shelf.runs(home() / "runs")
        ]
        names = [name for _, name in found]
        return gr.update(choices=found, value=chosen if chosen in names else None)

    def _turn(self, name: Any, page: float, language: str) -> Shown:
        folder = self.folders.find(name)
        if folder is None:
            return {self.problem: gr.skip()}
        try:
            return {self.rows: _choices(read_run(folder), int(page)), self.problem: ""}
        except AugmentLMError as error:
            return {self.problem: markup.error(error, language)}

    def _strike(self, name: Any, ticked: Any, language: str) -> Shown:
        folder = self.folders.find(name)
        if folder is None:
            return {self.problem: gr.skip()}
        try:
            shelf.strike(folder, [int(one) for one in ticked or []])
        except AugmentLMError as error:
            return {self.problem: markup.error(error, language)}
        return self.open(name, language)

    def _rewrite(self, name: Any, schema: Any, kind: Any, with_seeds: bool, provenance: bool, language: str) -> Shown:
        """The file to download, in the form that was chosen."""
        folder = self.folders.find(name)
        if folder is None:
            return {self.problem: gr.skip()}
        try:
            path = shelf.rewrite(folder, Output(schema, kind, bool(with_seeds), bool(provenance)))
        except AugmentLMError as error:
            return {self.problem: markup.error(error, language), self.download: gr.update(interactive=False)}
        return {self.download: gr.update(value=self._handed_out(path), interactive=True), self.problem: ""}


def _pages(run: Run) -> int:
    return max(1, -(-len(run.accepted) // PAGE))


def _choices(run: Run, page: int) -> Any:
    shown = run.accepted[(page - 1) * PAGE : page * PAGE]
    return gr.update(choices=[(_reading(record), record.candidate) for record in shown], value=[])


def _reading(record: Record) -> str:
    text = f"{record.instruction}\n→ {record.response}" if record.response else record.instruction
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"


def _schemas(language: Language) -> list[tuple[str, str]]:
    return [(say(language, f"dataset.schema.{name}"), name) for name in schemas.WRITES]


def _kinds(language: Language) -> list[tuple[str, str]]:
    return [(say(language, f"dataset.kind.{name}"), name) for name in tables.FILES]
