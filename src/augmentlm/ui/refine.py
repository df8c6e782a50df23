"""The Refine tab: a rough prompt on the left, the refined one beside it, streaming, with what was added marked."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Generator, Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from augmentlm.errors import StoppedError
from augmentlm.results import Result
from augmentlm.tasks import check_input, clean
from augmentlm.ui import kept, markup, options
from augmentlm.ui.context import PRIVATE, Context, report
from augmentlm.ui.running import Runner, Shown
from augmentlm.ui.runs import follow
from augmentlm.ui.texts import LANGUAGES, Language, say
from augmentlm.weights import Progress

EXAMPLES = ("refine.example_1", "refine.example_2", "refine.example_3", "refine.example_4")


def build(context: Context, tab: gr.Tab) -> None:
    """Draw the tab and wire it."""
    _Refine(context)


class _Refine:
    def __init__(self, context: Context) -> None:
        self.context = context
        words = context.words
        context.lead("refine.lead")
        with gr.Row(elem_classes="alm-desk"):
            with gr.Column(elem_classes="alm-panel"):
                self.prompt = words(
                    gr.Textbox,
                    {"label": "refine.prompt", "placeholder": "refine.placeholder"},
                    lines=7,
                    max_lines=18,
                    value="",
                    elem_id="refine-prompt",
                    autofocus=True,
                )
                with gr.Row(elem_classes="alm-actions"):
                    runner = Runner(context, "refine", "refine.run")
                    self.undo = words(
                        gr.Button, {"value": "refine.undo"}, visible=False, elem_classes="alm-quiet-button"
                    )
                examples = context.examples(EXAMPLES)
            with gr.Column(elem_classes="alm-panel"):
                context.title("refine.result")
                self.result = context.output("refine.empty", elem_id="refine-result")
                with gr.Row(elem_classes="alm-actions", visible=False) as self.after:
                    copy = words(gr.Button, {"value": "common.copy"}, elem_classes="alm-quiet-button alm-copy")
                    use = words(gr.Button, {"value": "refine.use"}, elem_classes="alm-quiet-button")
                    self.view = words(
                        gr.Radio, {"label": "refine.view", "choices": _views}, value="added", elem_classes="alm-view"
                    )
                self.notes = gr.HTML(elem_id="refine-notes")
        settings = options.build(context, "refine")
        self.plain = gr.Textbox(visible="hidden", show_label=False)
        self.compared = gr.State(("", ""))  # what was given and what came of it
        earlier: gr.State = gr.State([])  # prompts that were replaced
        self.seen: gr.State = gr.State(())  # examples that this page has shown a result of

        runner.on_run(
            self._begun,
            self._work,
            [self.prompt, self.view, self.seen, *settings],
            live=[self.result],
            final=[self.notes, self.plain, self.compared, self.after, self.seen],
        )
        copy.click(None, [self.plain, context.language], js=_COPY, **PRIVATE)
        replaced = [self.prompt, earlier, self.undo]
        use.click(_replace, [self.plain, self.prompt, earlier], replaced, queue=False, **PRIVATE)
        self.undo.click(_undo, [earlier], replaced, queue=False, **PRIVATE)
        for example in examples:
            example.click(_replace, [example, self.prompt, earlier], replaced, queue=False, **PRIVATE)
        self.view.change(_compared, [self.compared, self.view], self.result, queue=False, **PRIVATE)

    def _begun(self, language: str) -> Shown:
        return {
            self.result: markup.waiting(language, None),
            self.notes: "",
            self.plain: "",
            self.compared: ("", ""),
            self.after: gr.update(visible=False),
        }

    def _work(
        self, flag: threading.Event, language: str, prompt: str, view: str, seen: Collection[str], *values: Any
    ) -> Generator[Shown, None, Shown]:
        written, finished = "", None
        problem: BaseException | None = None
        example: str | None = None

        def work(progress: Progress) -> Iterator[str | Result]:
            nonlocal example
            chosen = options.read(self.context, values)
            check_input("refine", prompt)  # before weights are fetched for nothing
            example = kept.named(prompt, EXAMPLES) if chosen.is_usual("refine") else None

            def make() -> Generator[str | Result, None, None]:
                augmenter = chosen.augmenter("refine", self.context.pool, progress)
                with closing(augmenter.stream(prompt, stop=flag, **chosen.sampling)) as stream:
                    yield from stream
                    yield stream.result

            yield from self.context.kept.run(example, seen, 1, make)

        try:
            for news in follow(work, flag):
                for item in news.items:
                    written, finished = (written, item) if isinstance(item, Result) else (written + item, finished)
                yield {self.result: markup.writing(written) if written else markup.waiting(language, news.progress)}
        except Exception as error:  # whatever it is, the page says it in a sentence and stays usable
            report(error)
            problem = error
        text = clean(finished.text if finished else written)
        return {
            self.result: markup.compared(prompt, text, view) if text else "",
            self.notes: _notes(finished, problem, prompt, text, language),
            self.plain: text,
            self.compared: (prompt, text),
            self.after: gr.update(visible=bool(text)),
            self.seen: (*seen, example) if example and finished else seen,
        }


_COPY = f"""(text, language) => {{
  const said = {json.dumps({language: say(language, "common.copied") for language in LANGUAGES})};
  window.augmentlm.copy(text, ".alm-copy", said[language] || said.en);
}}"""


def _views(language: Language) -> list[tuple[str, str]]:
    return [(say(language, f"refine.view_{name}"), name) for name in ("plain", "added", "all")]


def _notes(finished: Result | None, problem: BaseException | None, prompt: str, text: str, language: str) -> str:
    """What there is to say about a result: facts, a warning, speed."""
    if problem and not isinstance(problem, StoppedError):
        return markup.error(problem, language)
    if finished is None or finished.finish == "cancelled":
        return markup.note(say(language, "common.stopped")) + markup.meta(
            [finished] if finished else [], None, language
        )
    if not text:
        return markup.note(say(language, "refine.nothing"), "warn")
    # The chips show already which facts were lost.
    said = [finding for finding in finished.findings if finding.code != "facts_lost"]
    notes = [markup.note(why, "warn") for why in markup.reasons(said, language)]
    if finished.unchanged:
        notes.append(markup.note(say(language, "refine.unchanged"), "good"))
    return "".join([markup.chips(prompt, text, language), *notes, markup.meta([finished], None, language)])


def _compared(pair: tuple[str, str], view: str) -> str:
    prompt, text = pair
    return markup.compared(prompt, text, view) if text else gr.skip()


def _replace(text: str, prompt: str, earlier: list[str]) -> tuple[str, list[str], Any]:
    """Put another prompt into the box; the one that stood there can be had back."""
    kept = [*earlier, prompt] if prompt.strip() and prompt != text else earlier
    return text, kept, gr.update(visible=bool(kept))


def _undo(earlier: list[str]) -> tuple[str, list[str], Any]:
    return earlier[-1], earlier[:-1], gr.update(visible=len(earlier) > 1)
