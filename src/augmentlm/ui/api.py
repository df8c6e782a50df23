"""The public endpoints `/refine`, `/expand` and `/pair`, which are the tools of the MCP server too.

The docstrings of the three functions are what the API page and the tools say. Gradio reads their annotations at run
time, so they are not put off with `from __future__ import annotations`, and it takes what is annotated as returned for
what each `yield` gives.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from secrets import token_hex
from threading import Event
from typing import Any

import gradio as gr
from gradio.context import get_blocks_context
from gradio.utils import get_function_description

from augmentlm.errors import AugmentLMError, InputError
from augmentlm.results import Result
from augmentlm.tasks import Pair, Task, TaskInput, check_input
from augmentlm.ui.context import GENERATING, Context, report, session
from augmentlm.ui.options import Settings, permit
from augmentlm.ui.runs import News, follow
from augmentlm.ui.texts import say
from augmentlm.weights import Progress

MOST = 200
"""Results of one call: some minutes of work. More is work for `augmentlm … --file` in a terminal."""


def add(context: Context, tasks: Sequence[Task]) -> None:
    """Give the app an endpoint for each task."""

    def refine(
        request: gr.Request,
        prompt: str,
        model: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Make a prompt clear and specific, keeping its intent, its language and every fact in it. Does not answer it.

        Args:
            prompt: The prompt to improve.
            model: A name that `augmentlm models` lists. Empty: the best one for the machine that serves this.
            temperature: 0 gives the likeliest words; higher is more varied. Empty: the usual value.
            max_tokens: The longest result, in tokens. Empty: the usual value.
            seed: The same number gives the same result. Empty: a new one each time.
        Returns:
            The refined prompt, growing while it is written.
            The finished row: task, model, engine, quantization, input, output, accepted, reasons (what the checks found), prompt_tokens, completion_tokens, ttft_s, seconds, seed, tries. Empty until the end.
        """  # noqa: E501
        settings = Settings(model=model, temperature=temperature, max_tokens=max_tokens, seed=seed)

        def work(stop: Event, progress: Progress) -> Iterator[str | Result]:
            augmenter = settings.augmenter("refine", context.pool, progress)
            with closing(augmenter.stream(prompt, stop=stop, **settings.sampling)) as stream:
                yield from stream
                yield stream.result

        text = ""
        for news in _run(context, request, settings, work):
            for item in news.items:
                if isinstance(item, Result):
                    yield item.text.strip(), item.as_json()
                else:
                    text += item
            if text.strip() and not isinstance(news.items[-1], Result):
                yield text.lstrip(), {}

    def expand(
        request: gr.Request,
        instructions: list[str],
        n: int = 1,
        model: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
    ) -> list[dict[str, Any]]:
        """Write new instructions of the same kind of task as the ones given, about other things, as training data.

        Args:
            instructions: The instructions to start from.
            n: How many new ones for each.
            model: A name that `augmentlm models` lists. Empty: the best one for the machine that serves this.
            temperature: 0 gives the likeliest words; higher is more varied. Empty: the usual value.
            max_tokens: The longest result, in tokens. Empty: the usual value.
            seed: The same number gives the same results for one row at a time; among several, rounding may tip a word. Empty: a new one each time.
        Returns:
            The rows so far, one for each new instruction: task, model, engine, quantization, input, output (the new instruction), accepted (whether it passed every check), reasons (what the checks found, such as near_copy), prompt_tokens, completion_tokens, ttft_s, seconds, seed, tries.
        """  # noqa: E501
        settings = Settings(model=model, temperature=temperature, max_tokens=max_tokens, seed=seed)
        yield from _rows(context, request, "expand", _texts(instructions), n, settings)

    def pair(
        request: gr.Request,
        examples: list[dict[str, str]],
        n: int = 1,
        model: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
    ) -> list[dict[str, Any]]:
        """Write new instruction-response pairs of the same kind as the examples, as training data.

        Args:
            examples: Two or more pairs, each an object with `instruction` and `response`.
            n: How many new pairs.
            model: A name that `augmentlm models` lists. Empty: the best one for the machine that serves this.
            temperature: 0 gives the likeliest words; higher is more varied. Empty: the usual value.
            max_tokens: The longest result, in tokens. Empty: the usual value.
            seed: The same number gives the same results for one row at a time; among several, rounding may tip a word. Empty: a new one each time.
        Returns:
            The rows so far, one for each new pair: task, model, engine, quantization, input, output (an object with instruction and response), accepted (whether it passed every check), reasons (what the checks found), prompt_tokens, completion_tokens, ttft_s, seconds, seed, tries.
        """  # noqa: E501
        settings = Settings(model=model, temperature=temperature, max_tokens=max_tokens, seed=seed)
        yield from _rows(context, request, "pair", [_pairs(examples)], n, settings)

    endpoints: dict[Task, Callable[..., Any]] = {"refine": refine, "expand": expand, "pair": pair}
    for task in tasks:
        _document(endpoints[task], gr.api(endpoints[task], api_name=task, **GENERATING))


def _document(function: Callable[..., Any], event: dict[str, Any]) -> None:
    """Put what the docstring says of arguments and results on the API page, which would only number them."""
    endpoint = get_blocks_context().fns[event["id"]]
    _, arguments, results = get_function_description(function)
    del arguments["request"]
    for place, (name, text) in zip(endpoint.inputs, arguments.items(), strict=True):
        place.label = name
        place._api_info["additional_description"] = text
    for place, text in zip(endpoint.outputs, results, strict=True):
        place._api_info["description"] = text


def _rows(
    context: Context, request: gr.Request, task: Task, values: Sequence[TaskInput], n: int, settings: Settings
) -> Iterator[list[dict[str, Any]]]:
    def work(stop: Event, progress: Progress) -> Iterator[Result]:
        if len(values) < 2:  # with more, what can't be worked on comes back as a row with its reason
            check_input(task, values[0] if values else "")
        if not isinstance(n, int) or not 0 < n * len(values) <= MOST:
            raise InputError(f"One call makes 1 to {MOST} results.", hint="Ask for fewer.")
        augmenter = settings.augmenter(task, context.pool, progress)
        yield from augmenter.batch(values, n, stop=stop, **settings.sampling)

    rows: list[dict[str, Any]] = []
    for news in _run(context, request, settings, work):
        rows += [result.as_json() for result in news.items]
        if rows:
            yield rows


def _run(
    context: Context, request: gr.Request, settings: Settings, work: Callable[[Event, Progress], Iterator[Any]]
) -> Iterator[News[Any]]:
    """Follow the work of one call. What goes wrong is told to the caller in a sentence."""
    # A client may make several calls at once, and over MCP all callers are one session: each call is its own place.
    visitor, place = session(request), f"api:{token_hex(8)}"
    context.stops.begin(visitor, place)
    flag = context.stops.take(visitor, place)
    try:
        permit(context, settings)
        yield from follow(lambda progress: work(flag, progress), flag)
    except AugmentLMError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        report(error)
        raise gr.Error(say("en", "common.unexpected"), print_exception=False) from error
    finally:
        context.stops.end(visitor, place, flag)


def _texts(value: Any) -> list[str]:
    """One text is taken for a list of one."""
    return [value] if isinstance(value, str) else list(value) if isinstance(value, list) else []


def _pairs(value: Any) -> list[Pair]:
    rows = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    return [Pair(str(row.get("instruction", "")), str(row.get("response", ""))) for row in rows]
