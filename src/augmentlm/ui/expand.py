"""The Expand tab: instructions go in, new ones of their kind stream into a table, near-copies marked."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from augmentlm import formats
from augmentlm.errors import AugmentLMError, InputError
from augmentlm.results import Result
from augmentlm.ui import faults, kept, markup, options
from augmentlm.ui.context import PRIVATE, Context, report
from augmentlm.ui.files import jsonl, provenance, save
from augmentlm.ui.running import Runner, Shown
from augmentlm.ui.runs import follow
from augmentlm.ui.tally import Tally
from augmentlm.ui.texts import say
from augmentlm.weights import Progress

EXAMPLES = ("expand.example_1", "expand.example_2", "expand.example_3", "expand.example_4")
EACH = 4
"""New instructions for each one, unless the visitor wants more or fewer."""

MOST = 200
"""New instructions in one run of the page: some minutes of work. More is work for a terminal."""


def build(context: Context, tab: gr.Tab) -> None:
    """Draw the tab and wire it."""
    _Expand(context)


class _Expand:
    def __init__(self, context: Context) -> None:
        self.context = context
        words = context.words
        context.lead("expand.lead")
        with gr.Column(elem_classes="alm-panel"):
            with gr.Row(elem_classes="alm-form"):
                self.text = words(
                    gr.Textbox,
                    {"label": "expand.instructions", "placeholder": "expand.placeholder", "info": "expand.info"},
                    lines=6,
                    max_lines=16,
                    value="",
                    elem_id="expand-text",
                    scale=3,
                )
                with gr.Column(scale=2, min_width=260):
                    self.each = words(gr.Slider, {"label": "expand.each"}, minimum=1, maximum=20, step=1, value=EACH)
                    self.blocks = words(gr.Checkbox, {"label": "expand.blocks"}, value=False, elem_classes="alm-check")
                    upload = words(
                        gr.UploadButton,
                        {"label": "expand.upload"},
                        file_types=[".jsonl", ".json", ".csv", ".tsv", ".txt"],
                        elem_classes="alm-quiet-button",
                    )
            with gr.Row(elem_classes="alm-actions"):
                runner = Runner(context, "expand", "expand.run")
                count = gr.HTML(elem_id="expand-count")
            examples = context.examples(EXAMPLES)
        with gr.Column(elem_classes="alm-panel"):
            self.progress = gr.HTML(elem_id="expand-progress")
            self.result = context.output("expand.empty", elem_id="expand-result")
            with gr.Row(elem_classes="alm-actions", visible=False) as self.after:
                self.download = words(gr.Button, {"value": "expand.download"}, elem_classes="alm-quiet-button")
                # The style sheet hides the rows, so no event reads the box, and Gradio would not let anybody tick it.
                words(
                    gr.Checkbox,
                    {"label": "expand.only_good"},
                    interactive=True,
                    elem_classes="alm-check",
                    elem_id="expand-only-good",
                )
            self.notes = gr.HTML(elem_id="expand-notes")
        settings = options.build(context, "expand")
        self.made: gr.State = gr.State([])
        self.seen: gr.State = gr.State(())  # examples that this page has shown results of
        file = gr.Textbox(visible="hidden", show_label=False)

        runner.on_run(
            self._begun,
            self._work,
            [self.text, self.each, self.blocks, self.seen, *settings],
            live=[self.progress, self.result],
            final=[self.notes, self.made, self.after, self.download, self.seen],
        )
        counted = [self.text, self.blocks, self.each, context.language]
        for changed in (self.text, self.blocks, self.each):
            changed.change(_count, counted, count, queue=False, **PRIVATE)
        upload.upload(_upload, [upload, context.language], [self.text, self.blocks, self.notes], queue=False, **PRIVATE)
        self.download.click(_file, self.made, file, queue=False, **PRIVATE).then(
            None, file, js=save("instructions.jsonl"), **PRIVATE
        )
        for example in examples:
            example.click(lambda text: (text, False), example, [self.text, self.blocks], queue=False, **PRIVATE)

    def _begun(self, language: str) -> Shown:
        return {
            self.progress: markup.waiting(language, None),
            self.result: "",
            self.notes: "",
            self.made: [],
            self.after: gr.update(visible=False),
        }

    def _work(
        self,
        flag: threading.Event,
        language: str,
        text: str,
        each: float,
        blocks: bool,
        seen: Collection[str],
        *values: Any,
    ) -> Generator[Shown, None, Shown]:
        tally = Tally()
        example: str | None = None

        def work(progress: Progress) -> Iterator[Result]:
            nonlocal example
            chosen = options.read(self.context, values)
            seeds = _instructions(text, blocks)
            tally.seeds, tally.total = len(seeds), len(seeds) * int(each)
            if tally.total > MOST:
                said = say(language, "expand.too_many", total=f"{tally.total:,}", most=MOST)
                raise InputError(said, hint=say(language, "expand.too_many_hint"))
            usual = each == EACH and not blocks and chosen.is_usual("expand")
            example = kept.named(text, EXAMPLES) if usual else None

            def make() -> Generator[Result, None, None]:
                augmenter = chosen.augmenter("expand", self.context.pool, progress)
                yield from augmenter.batch(seeds, int(each), stop=flag, **chosen.sampling)

            yield from self.context.kept.run(example, seen, tally.total, make)

        problem: BaseException | None = None
        try:
            for news in follow(work, flag):
                tally.add(news.items)
                yield {
                    self.progress: tally.bar(language) or markup.waiting(language, news.progress),
                    **self._table(tally, language),
                }
        except Exception as error:  # whatever it is, the page says it in a sentence and stays usable
            report(error)
            problem = error
        good = sum(row.accepted for row in tally.rows)
        advice = markup.note(say(language, "expand.none_good"), "warn") if tally.rows and not good else ""
        return {
            self.progress: _summary(good, len(tally.rows) - good, language),
            **self._table(tally, language),
            self.notes: advice + tally.notes(problem, language),
            self.made: tally.rows,
            self.after: gr.update(visible=bool(tally.rows)),
            self.download: gr.update(visible=bool(good)),
            self.seen: (*seen, example) if example and tally.rows else seen,
        }

    def _table(self, tally: Tally, language: str) -> Shown:
        """The rows so far, once there are any."""
        return {self.result: markup.table(tally.rows, language, show_seed=tally.seeds > 1)} if tally.rows else {}


def _instructions(text: str, blocks: bool) -> list[str]:
    """The instructions in the box: one a line, JSONL or CSV; with `blocks`, those that blank lines part."""
    if not text.strip():
        raise InputError("There is no instruction to work on.", hint="Type one or more first.")
    if not blocks:
        return formats.read_instructions(text)
    return [block.strip() for block in re.split(r"\n[ \t]*\n", text) if block.strip()]


def _count(text: str, blocks: bool, each: float, language: str) -> str:
    """What pressing the button would make."""
    if not text.strip():
        return ""
    try:
        seeds = len(_instructions(text, blocks))
    except AugmentLMError as error:
        return markup.hint(faults.words(error, language)[0])
    return markup.hint(say(language, "expand.count", seeds=seeds, each=int(each), total=seeds * int(each)))


def _upload(file: str, language: str) -> tuple[Any, Any, str]:
    """Put a file's instructions into the box, as lines where lines can hold them."""
    try:
        found = formats.read_instructions(Path(file))
    except AugmentLMError as error:
        return gr.skip(), gr.skip(), markup.error(error, language)
    if len(found) > MOST:
        said = say(language, "expand.too_many", total=f"{len(found):,}", most=MOST)
        return (
            gr.skip(),
            gr.skip(),
            markup.error(InputError(said, hint=say(language, "expand.too_many_hint")), language),
        )
    lines = "\n".join(found)
    try:
        plain = formats.read_instructions(lines) == found
    except AugmentLMError:  # a line that looks like data
        plain = False
    return lines if plain else jsonl({"instruction": text} for text in found), False, ""


def _summary(good: int, marked: int, language: str) -> str:
    return markup.summary(say(language, "expand.summary", good=good, marked=marked)) if good or marked else ""


def _file(rows: list[Result]) -> str:
    return jsonl({"instruction": row.output, "made_from": row.input, **provenance(row)} for row in rows if row.accepted)
