"""The Pairs tab: a few examples of an instruction with its response grow into more of their kind, to edit and take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from augmentlm import formats
from augmentlm.errors import AugmentLMError, InputError
from augmentlm.results import Result
from augmentlm.tasks import Pair, check_input
from augmentlm.ui import markup, options
from augmentlm.ui.context import PRIVATE, Context, report
from augmentlm.ui.files import jsonl, provenance, save
from augmentlm.ui.rows import Row, editor, filled, pairs, row, rows
from augmentlm.ui.running import Runner, Shown
from augmentlm.ui.runs import follow
from augmentlm.ui.tally import Tally
from augmentlm.ui.texts import say
from augmentlm.weights import Progress

EXAMPLES: dict[str, list[Pair]] = {
    "pairs.example_1": [
        Pair("Is this review positive or negative? “The battery died after two days.”", "Negative"),
        Pair("Is this review positive or negative? “Light, quiet and worth every cent.”", "Positive"),
        Pair("Is this review positive or negative? “It arrived late, and the lid was cracked.”", "Negative"),
    ],
    "pairs.example_2": [
        Pair(
            "Define the word “harbour” in one sentence.", "A harbour is a sheltered place where ships can lie safely."
        ),
        Pair(
            "Define the word “orchard” in one sentence.", "An orchard is a piece of land where fruit trees are grown."
        ),
    ],
    "pairs.example_3": [
        Pair("用一句话解释什么是光合作用。", "光合作用是植物利用阳光把水和二氧化碳变成养分的过程。"),
        Pair("用一句话解释什么是月食。", "月食是地球挡住阳光、影子落在月球上的现象。"),
    ],
}
EACH = 5
"""New pairs, unless the visitor wants more or fewer."""

MOST_EXAMPLES = 20
"""A model takes them all in with every new pair; more would only make it slower."""


def build(context: Context, tab: gr.Tab) -> None:
    """Draw the tab and wire it."""
    _Pairs(context)


class _Pairs:
    def __init__(self, context: Context) -> None:
        self.context = context
        words = context.words
        context.lead("pairs.lead")
        with gr.Column(elem_classes="alm-panel"):
            context.title("pairs.examples")
            self.examples = editor("examples", elem_id="pairs-examples", value=rows([_EMPTY, _EMPTY]))
            self.problem = gr.HTML(elem_id="pairs-problem")
            with words(gr.Accordion, {"label": "pairs.paste"}, open=False, elem_classes="alm-more"):
                pasted = words(
                    gr.Textbox,
                    {"label": "pairs.paste_box", "placeholder": "pairs.paste_placeholder"},
                    lines=4,
                    max_lines=10,
                    value="",
                    elem_id="pairs-paste",
                )
                with gr.Row(elem_classes="alm-actions"):
                    paste = words(gr.Button, {"value": "pairs.paste_add"}, elem_classes="alm-quiet-button")
                    upload = words(
                        gr.UploadButton,
                        {"label": "pairs.upload"},
                        file_types=[".jsonl", ".json", ".csv", ".tsv"],
                        elem_classes="alm-quiet-button",
                    )
            with gr.Row(elem_classes="alm-actions"):
                runner = Runner(context, "pairs", "pairs.run")
                self.each = words(
                    gr.Slider,
                    {"label": "pairs.each"},
                    minimum=1,
                    maximum=30,
                    step=1,
                    value=EACH,
                    elem_classes="alm-each",
                )
            examples = context.examples(tuple(EXAMPLES))
        with gr.Column(elem_classes="alm-panel"):
            context.title("pairs.result")
            self.progress = gr.HTML(elem_id="pairs-progress")
            self.result = editor("results", elem_id="pairs-result")
            with gr.Row(elem_classes="alm-actions", visible=False) as self.after:
                download = words(gr.Button, {"value": "pairs.download"}, elem_classes="alm-quiet-button")
            self.notes = gr.HTML(elem_id="pairs-notes")
        settings = options.build(context, "pair")
        self.seen: gr.State = gr.State(())  # examples of ours that this page has shown results of
        file = gr.Textbox(visible="hidden", show_label=False)

        runner.on_run(
            self._begun,
            self._work,
            [self.examples, self.each, self.seen, *settings],
            live=[self.progress, self.result],
            final=[self.notes, self.problem, self.after, self.seen],
        )
        filled_in = [self.examples, self.problem]
        for button, key in zip(examples, EXAMPLES, strict=True):
            button.click(_example(key), None, filled_in, queue=False, **PRIVATE)
        upload.upload(_upload, [upload, self.examples, context.language], filled_in, queue=False, **PRIVATE)
        paste.click(_paste, [pasted, self.examples, context.language], [*filled_in, pasted], queue=False, **PRIVATE)
        download.click(_file, [self.result, context.language], [file, self.notes], queue=False, **PRIVATE).then(
            None, file, js=save("pairs.jsonl"), **PRIVATE
        )

    def _begun(self, language: str) -> Shown:
        return {
            self.progress: markup.waiting(language, None),
            self.result: [],
            self.notes: "",
            self.problem: "",
            self.after: gr.update(visible=False),
        }

    def _work(
        self, flag: threading.Event, language: str, examples: Any, each: float, seen: Collection[str], *values: Any
    ) -> Generator[Shown, None, Shown]:
        tally = Tally()
        example: str | None = None
        shown: list[Row] = []

        def work(progress: Progress) -> Iterator[Result]:
            nonlocal example
            chosen = options.read(self.context, values)
            given = check_input("pair", pairs(examples))  # before weights are fetched for nothing
            tally.seeds, tally.total = 1, int(each)
            ours = next((key for key, own in EXAMPLES.items() if own == given), None)
            example = ours if each == EACH and chosen.is_usual("pair") else None

            def make() -> Generator[Result, None, None]:
                augmenter = chosen.augmenter("pair", self.context.pool, progress)
                yield from augmenter.batch([given], int(each), stop=flag, **chosen.sampling)

            yield from self.context.kept.run(example, seen, tally.total, make)

        problem: BaseException | None = None
        try:
            for news in follow(work, flag):
                shown += [_row(result, language) for result in tally.add(news.items) if result.usable]
                yield {
                    self.progress: tally.bar(language) or markup.waiting(language, news.progress),
                    **({self.result: shown} if shown else {}),
                }
        except Exception as error:  # whatever it is, the page says it in a sentence and stays usable
            report(error)
            problem = error
        return {
            self.progress: "",
            self.notes: _unusable(tally.rows, language) + tally.notes(problem, language),
            self.after: gr.update(visible=bool(shown)),
            self.seen: (*seen, example) if example and tally.rows else seen,
        }


_EMPTY = Pair("", "")


def _row(result: Result, language: str) -> Row:
    """A new pair; one that a check speaks against says why and is left out of the download unless somebody wants it."""
    assert isinstance(result.output, Pair)
    note = "; ".join(markup.reasons(result.findings, language))
    return row(result.output, note=note, keep=result.accepted, made=provenance(result))


def _unusable(results: list[Result], language: str) -> str:
    """What is not in the form of a pair is not thrown away unseen."""
    odd = [result for result in results if not result.usable]
    if not odd:
        return ""
    texts = [(result.text, "; ".join(markup.reasons(result.findings, language))) for result in odd]
    return markup.folded(say(language, "pairs.unusable", count=len(odd)), texts)


def _example(key: str) -> Callable[[], tuple[list[Row], str]]:
    return lambda: (rows(EXAMPLES[key]), "")


def _upload(file: str, given: Any, language: str) -> tuple[Any, str]:
    return _added(Path(file), given, language)


def _paste(text: str, given: Any, language: str) -> tuple[Any, str, Any]:
    """Add what was pasted; it stays in the box if it can't be read."""
    examples, problem = _added(text, given, language)
    return examples, problem, gr.skip() if problem else ""


def _added(source: Path | str, given: Any, language: str) -> tuple[Any, str]:
    """The editor's rows with those of a source behind them, or what is wrong with it."""
    kept = [row for row in filled(given) if pairs([row])]
    try:
        found = formats.read_pairs(source)
        if len(kept) + len(found) > MOST_EXAMPLES:
            said = say(language, "pairs.too_many", count=len(kept) + len(found), most=MOST_EXAMPLES)
            raise InputError(said, hint=say(language, "pairs.too_many_hint"))
    except AugmentLMError as error:
        return gr.skip(), markup.error(error, language)
    return [*kept, *rows(found)], ""


def _file(value: Any, language: str) -> tuple[str, Any]:
    """The rows to take, as they stand in the editor now."""
    lines = []
    for one in filled(value):
        if not one.get("keep") or not pairs([one]):
            continue
        [pair] = pairs([one])
        made = one["made"] if isinstance(one.get("made"), dict) else {}
        lines.append({"instruction": pair.instruction, "response": pair.response, **made})
    if not lines:
        return "", markup.note(say(language, "pairs.nothing"), "warn")
    return jsonl(lines), gr.skip()
