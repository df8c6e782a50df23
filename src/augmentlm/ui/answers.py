"""What the prompts of a duel lead to: one model answers the raw prompt and both refined ones, side by side."""

from __future__ import annotations

import threading
from collections.abc import Generator

import gradio as gr

from augmentlm.arena.answers import Answers, who_answers
from augmentlm.arena.duel import PLACES, Duel
from augmentlm.errors import InputError
from augmentlm.tasks import clean
from augmentlm.ui import markup, versus
from augmentlm.ui.context import Context, report
from augmentlm.ui.running import Runner, Shown
from augmentlm.ui.texts import say

_LOOK_SECONDS = 0.1


def build(context: Context, duel: gr.State, compare: gr.Button) -> None:
    """For refine: what the prompts of a duel lead to, answered by one model; gone when `compare` begins another."""
    words = context.words
    with words(gr.Accordion, {"label": "compare.answers"}, open=False, elem_classes="alm-options alm-answers"):
        words(gr.HTML, {"value": lambda language: markup.hint(say(language, "compare.answers_info"))})
        with gr.Row(elem_classes="alm-actions"):
            runner = Runner(context, "answers", "compare.answer", quiet=True)
        boxes = []
        with gr.Row(elem_classes="alm-desk"):
            for name in ("raw", *PLACES):
                with gr.Column(elem_classes="alm-panel"):
                    context.title(f"compare.answer_{name}")
                    boxes.append(context.output("compare.answer_empty", elem_id=f"compare-answer-{name}"))
        notes = gr.HTML(elem_id="compare-answers-notes")

    def begun(language: str) -> Shown:
        return {**dict.fromkeys(boxes, markup.waiting(language, None)), notes: ""}

    def work(flag: threading.Event, language: str, asked: Duel | None) -> Generator[Shown, None, Shown]:
        try:
            answers = answers_to(asked, context)
            answers.start(flag)
        except Exception as error:  # whatever it is, the page says it in a sentence and stays usable
            report(error)
            return {**dict.fromkeys(boxes, ""), notes: markup.error(error, language)}
        shown: Shown = {}
        while not answers.over and not flag.wait(_LOOK_SECONDS):
            now = {
                box: markup.writing(answer.text) if answer.text else markup.waiting(language, answers.progress)
                for box, answer in zip(boxes, answers.answers, strict=True)
            }
            if now != shown:
                yield now
                shown = now
        said = markup.note(say(language, "common.stopped")) if flag.is_set() else ""
        by = say(language, "compare.answered_by", name=versus.title(answers.by.model))
        return {
            **{
                box: markup.error(answer.problem, language)
                if answer.problem
                else markup.compared("", clean(answer.text), "plain")
                for box, answer in zip(boxes, answers.answers, strict=True)
            },
            notes: f'{said}<p class="alm-meta">{markup.escape(by)}</p>',
        }

    runner.on_run(begun, work, [duel], live=boxes, final=[notes])
    runner.drop_when(compare, [*boxes, notes])


def answers_to(duel: Duel | None, context: Context) -> Answers:
    """The answers to be written for a duel. Raises `InputError` when it has no two prompts."""
    if duel is None or duel.task != "refine" or duel.failed:
        raise InputError("There are no refined prompts to answer.", hint="Compare two models at refining first.")
    if not duel.over:
        raise InputError("The prompts are still being written.", hint="Wait for them, or stop.")
    texts = [clean(text) for text in duel.shown()]
    if not all(texts):
        raise InputError("One of the prompts is empty.", hint="Compare again.")
    return Answers([str(duel.value), *texts], who_answers(duel.right.contender), context.pool)
