"""Checks over candidates: pure functions, each giving None or a `Finding` with its evidence."""

from __future__ import annotations

from collections.abc import Mapping

from augmentlm.checks import facts, form, novelty
from augmentlm.checks.answered import answered
from augmentlm.checks.finding import Finding
from augmentlm.checks.language import language, languages
from augmentlm.checks.refusal import refusal
from augmentlm.engines.base import Finish
from augmentlm.tasks import Pair, Parsed, Task, TaskInput

__all__ = ["Finding", "assess"]

SHORT = 8
"""Words (Chinese: characters) up to which a text without a request is not taken for an answer."""


def assess(
    task: Task,
    value: TaskInput,
    parsed: Parsed,
    finish: Finish,
    earlier: Mapping[str, str] | None = None,
    near_copy: float = novelty.NEAR_COPY,
) -> tuple[Finding, ...]:
    """Everything that speaks against a candidate; nothing means it is accepted.

    `earlier` are further texts (label → text) it must not repeat, such as the results so far of the same seed;
    `near_copy` is the highest ROUGE-L with one of them or with the input.
    """
    if parsed.value is None:
        return tuple(
            finding for finding in (form.cut_off(finish), Finding("form", _REASONS[parsed.reason or ""])) if finding
        )
    text, response = (
        (parsed.value.instruction, parsed.value.response) if isinstance(parsed.value, Pair) else (parsed.value, "")
    )
    source = value if isinstance(value, str) else "\n".join(f"{p.instruction}\n{p.response}" for p in value)
    findings = [form.cut_off(finish), form.loop(f"{text}\n{response}")]
    if task != "respond":
        findings += [
            form.preamble(text, value if isinstance(value, str) else ""),
            form.leak(f"{text}\n{response}", source),
            _language(source, text),
        ]
    if task == "respond":
        findings += [refusal(source, text), form.repeats(text)]
    if task == "pair":
        responses = {label: pair.response for label, pair in _examples(value).items()}
        findings += [
            refusal(text, response),
            form.repeats(response),
            novelty.copied_response(response, responses),
        ]
    if task in ("refine", "expand"):
        findings.append(_answered(source, text))
    if task == "refine":
        findings.append(_facts(source, text))
    if task in ("expand", "pair"):
        findings.append(novelty.near_copy(text, {**_context(value), **(earlier or {})}, near_copy))
    return tuple(finding for finding in findings if finding)


_REASONS = {
    "empty": "nothing was written",
    "no_instruction_heading": "there is no '### Instruction' line at the start",
    "no_response_heading": "there is no '### Response' line after the instruction",
    "preamble": "there is text before the first '### Instruction' line",
    "two_responses": "there are two '### Response' lines for one instruction",
    "empty_instruction": "the instruction is empty",
    "empty_response": "the response is empty",
}


def _context(value: TaskInput) -> dict[str, str]:
    if isinstance(value, str):
        return {"the seed": value}
    return {label: pair.instruction for label, pair in _examples(value).items()}


def _examples(value: TaskInput) -> dict[str, Pair]:
    return {} if isinstance(value, str) else {f"example {number}": pair for number, pair in enumerate(value, 1)}


def _answered(source: str, text: str) -> Finding | None:
    """Short texts have the benefit of the doubt: "Paint a boat" asks with a verb that no list holds."""
    return answered(source, text) if len(novelty.tokens(text)) > SHORT or "\n" in text else None


def _language(source: str, text: str) -> Finding | None:
    before, after = languages(source), language(text)
    names = {"en": "Latin script", "zh": "Chinese", "other": "another script"}
    if not before or after in before:
        return None
    return Finding("language", f"went from {names[language(source)]} to {names[after]}")


def _facts(source: str, text: str) -> Finding | None:
    missing = facts.lost(source, text)
    return Finding("facts_lost", "missing: " + ", ".join(fact.text for fact in missing)) if missing else None
