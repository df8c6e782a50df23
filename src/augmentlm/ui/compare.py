"""The Compare tab: two models answer one prompt, unnamed and side by side, until somebody votes."""

from __future__ import annotations

import random
import threading
from collections.abc import Generator
from typing import Any

import gradio as gr

from augmentlm.arena import prompts
from augmentlm.arena.contenders import takes_turns
from augmentlm.arena.duel import PLACES, Choice, Duel, Place
from augmentlm.arena.standing import Standing, between
from augmentlm.arena.votes import PEOPLE, PassingVotes, Vote, Votes
from augmentlm.hardware import cores
from augmentlm.tasks import Task, clean, given_out
from augmentlm.ui import answers, entrants, markup, versus
from augmentlm.ui.context import PRIVATE, Context, report, session
from augmentlm.ui.running import Runner, Shown
from augmentlm.ui.texts import Language, say
from augmentlm.weights import Told

TASKS: tuple[Task, ...] = ("refine", "expand", "pair")
CHOICES: tuple[Choice, ...] = ("a", "b", "tie", "both_bad")
_LOOK_SECONDS = 0.1


def build(context: Context, tab: gr.Tab) -> None:
    """Draw the tab and wire it."""
    _Compare(context)


class _Compare:
    def __init__(self, context: Context) -> None:
        self.context = context
        words = context.words
        context.lead("compare.lead")
        with gr.Column(elem_classes="alm-panel"):
            task = words(
                gr.Radio,
                {"label": "compare.task", "choices": _tasks},
                value="refine",
                elem_classes="alm-view alm-task",
                elem_id="compare-task",
            )
            self.prompt = words(
                gr.Textbox,
                {"label": "compare.prompt", "placeholder": "compare.placeholder", "info": "compare.info"},
                lines=3,
                max_lines=12,
                value="",
                elem_id="compare-prompt",
            )
            with gr.Row(elem_classes="alm-actions"):
                runner = Runner(context, "compare", "compare.run")
                another = words(gr.Button, {"value": "compare.another"}, elem_classes="alm-quiet-button")
            settings = entrants.build(context)
        with gr.Row(elem_classes="alm-desk"):
            self.texts = [self._side(place) for place in PLACES]
        self.notes = gr.HTML(elem_id="compare-notes")
        with gr.Row(elem_classes="alm-actions alm-votes", visible=False, elem_id="compare-votes") as self.votes:
            buttons = [
                words(gr.Button, {"value": f"compare.vote_{choice}"}, elem_classes="alm-quiet-button alm-vote")
                for choice in CHOICES
            ]
            words(gr.HTML, {"value": lambda language: markup.key_hint(say(language, "compare.vote_keys"))})
        with gr.Row(elem_classes="alm-actions", visible=False) as self.after:
            following = words(gr.Button, {"value": "compare.next"}, variant="primary", elem_id="compare-next")
        with gr.Row(elem_classes="alm-actions alm-looks", visible=False) as self.looks:
            view = words(gr.Radio, {"label": "refine.view", "choices": _views}, value="plain", elem_classes="alm-view")
        self.verdict = gr.HTML(elem_id="compare-verdict")
        self.standing = gr.HTML(elem_id="compare-standing")
        self.duel: gr.State = gr.State(None)
        place: gr.State = gr.State(None)  # where in the built-in prompts the visitor is

        runner.on_run(
            self._begun,
            self._work,
            [view, task, self.prompt, *settings],
            live=[*self.texts, self.duel, self.votes],
            final=[self.notes, self.after, self.looks, self.verdict, self.standing],
        )
        voted = [self.votes, self.after, self.verdict, self.standing]
        for choice, button in zip(CHOICES, buttons, strict=True):
            button.click(self._voter(choice), [self.duel, context.language], voted, queue=False, **PRIVATE)
        view.change(self._look, [self.duel, view, context.language], self.texts, queue=False, **PRIVATE)
        chosen = [self.prompt, place]
        another.click(_next_prompt, [task, place], chosen, queue=False, **PRIVATE)
        following.click(_next_prompt, [task, place], chosen, queue=False, **PRIVATE).then(None, js=_RUN, **PRIVATE)
        task.change(lambda: ("", None), None, chosen, queue=False, **PRIVATE)
        answers.build(context, self.duel, runner.button)

    def _side(self, place: Place) -> gr.HTML:
        with gr.Column(elem_classes="alm-panel"):
            gr.HTML(markup.panel_title(place.upper()))
            return self.context.output("compare.empty", elem_id=f"compare-{place}")

    def _begun(self, language: str) -> Shown:
        waiting = markup.waiting(language, None)
        hidden = gr.update(visible=False)
        return {
            **dict.fromkeys(self.texts, waiting),
            self.duel: None,
            **dict.fromkeys([self.votes, self.after, self.looks], hidden),
            **dict.fromkeys([self.notes, self.verdict, self.standing], ""),
        }

    def _work(self, flag: threading.Event, language: str, view: str, *values: Any) -> Generator[Shown, None, Shown]:
        wanted = entrants.Wanted(*values)
        try:
            left, right = wanted.contenders(self.context)
            duel = Duel(
                wanted.task,
                prompts.read(wanted.task, wanted.prompt or ""),
                left,
                right,
                pool=self.context.pool,
                blind=wanted.blind,
                max_tokens=int(wanted.longest) if wanted.longest else None,
            )
            duel.start(flag)
        except Exception as error:  # whatever it is, the page says it in a sentence and stays usable
            report(error)
            return {**dict.fromkeys(self.texts, ""), self.notes: markup.error(error, language)}
        yield {self.duel: duel, self.votes: gr.update(visible=True)}
        shown: Shown = {}
        while not duel.over and not flag.wait(_LOOK_SECONDS):
            now = self._writing(duel, language)
            if now != shown:
                yield now
                shown = now
        if flag.is_set():
            with duel.voting:  # a vote stops both before it is kept
                duel.freeze()
        stopped = flag.is_set() and duel.vote is None
        for side in duel.sides.values():
            if side.problem:
                report(side.problem)
        some = any(text.strip() for text in duel.shown())
        return {
            **self._written(duel, view, language),
            self.notes: self._notes(duel, stopped, language),
            self.looks: gr.update(visible=some and duel.task == "refine"),
            # What the vote shows belongs to the vote.
            **({} if duel.vote else {self.votes: gr.update(visible=some and not duel.failed)}),
        }

    def _writing(self, duel: Duel, language: str) -> Shown:
        """Both texts while they grow. Until the vote nothing here may differ by which model it is."""
        found = {}
        for place, box, text in zip(PLACES, self.texts, duel.shown(), strict=True):
            side = duel.sides[place]
            if side.problem:
                found[box] = markup.error(side.problem, language)
            elif text:
                found[box] = markup.writing(text)
            else:
                found[box] = markup.waiting(language, _coming(duel))
        return found

    def _written(self, duel: Duel, view: str, language: str) -> Shown:
        found = {}
        for place, box, text in zip(PLACES, self.texts, duel.shown(), strict=True):
            side = duel.sides[place]
            plain = "plain" if duel.task != "refine" else view
            if side.problem:
                found[box] = markup.error(side.problem, language)
            elif clean(text):
                found[box] = markup.compared(str(duel.value), clean(given_out(duel.task, text)), plain)
            else:
                found[box] = markup.note(say(language, "compare.nothing")) if side.result else ""
        return found

    def _notes(self, duel: Duel, stopped: bool, language: str) -> str:
        if duel.failed:
            return markup.note(say(language, "compare.failed"), "warn")
        left, right = duel.left.contender, duel.right.contender
        said = [say(language, "common.stopped")] if stopped else []
        if takes_turns(left, right):
            said.append(say(language, "compare.turns"))
        elif not (left.endpoint or right.endpoint):
            said.append(say(language, "compare.shares", cores=cores()))
        if duel.blind:
            said.append(say(language, "compare.level"))
        return f'<p class="alm-meta">{markup.escape(" ".join(said))}</p>' if said else ""

    def _voter(self, choice: Choice) -> Any:
        def vote(request: gr.Request, duel: Duel | None, language: str) -> Shown:
            return self._vote(choice, duel, language, session(request))

        return vote

    def _vote(self, choice: Choice, duel: Duel | None, language: str, visitor: str = "") -> Shown:
        """Keep the vote, then tell who was who. When it can't be kept, nothing is told and it can be tried again."""
        if duel is None:
            return {self.verdict: ""}
        try:
            with duel.voting:
                before, vote, after = _keep(duel, choice, self.context.votes(visitor))
        except Exception as error:  # whatever it is, the page says it in a sentence and stays usable
            report(error)
            return {self.verdict: markup.error(error, language)}
        privacy = say(language, "compare.kept_here" if self.context.local else "compare.kept_there")
        return {
            self.votes: gr.update(visible=False),
            self.after: gr.update(visible=True),
            self.verdict: versus.reveal(duel, vote, language),
            self.standing: versus.standing(after, language, before)
            + f'<p class="alm-meta">{markup.escape(privacy)}</p>',
        }

    def _look(self, duel: Duel | None, view: str, language: str) -> Shown:
        if duel is None or not duel.over:
            return {box: gr.skip() for box in self.texts}
        return self._written(duel, view, language)


def _keep(duel: Duel, choice: Choice, votes: Votes | PassingVotes) -> tuple[Standing | None, Vote, Standing]:
    """The vote in its place, and people's votes on these two before and after it."""
    fresh = duel.vote is None
    vote = duel.vote or duel.decide(choice)
    theirs = [
        each
        for each in between(votes.all(), duel.task, vote.left.key, vote.right.key)
        if each.judge == PEOPLE and each.id != vote.id
    ]
    if fresh:
        votes.add(vote)
        duel.vote = vote
    return Standing.of(theirs) if theirs else None, vote, Standing.of([*theirs, vote])


def _coming(duel: Duel) -> Told | None:
    """How far the weights of both sides are together: apart, it would tell which is the larger model."""
    told = [side.progress for side in duel.sides.values() if side.progress]
    work = "convert" if told and all(each.work == "convert" for each in told) else "download"
    same = [each for each in told if each.work == work]
    return Told(sum(each.done for each in same), sum(each.total for each in same), work) if told else None


def _next_prompt(task: Task, place: int | None) -> tuple[str, int]:
    """The next of the built-in prompts, from anywhere at first."""
    known = prompts.built_in(task)
    after = random.randrange(len(known)) if place is None else (place + 1) % len(known)
    return known[after], after


def _tasks(language: Language) -> list[tuple[str, str]]:
    return [(say(language, f"tab.{'pairs' if task == 'pair' else task}"), task) for task in TASKS]


def _views(language: Language) -> list[tuple[str, str]]:
    return [(say(language, f"refine.view_{name}"), name) for name in ("plain", "added", "all")]


_RUN = '() => setTimeout(() => document.querySelector("#tab-compare .alm-run")?.click(), 60)'
