"""What went wrong, in the language of the page. Errors are raised in English; `errors_zh.toml` has them in Chinese."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources

from augmentlm.errors import AugmentLMError
from augmentlm.ui.texts import say

_HOLES = {"{}": "(.*?)", "{n}": r"(-?\d[\d.,]*(?:e[+-]\d+)?)"}
"""What may be filled in: anything, or a number."""

_HOLE = re.compile(r"(\{n?\})")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?]) (?=\S)")


def words(problem: BaseException, language: str) -> tuple[str, str]:
    """The sentence and the hint of an error; one sentence alone for what nobody foresaw."""
    if not isinstance(problem, AugmentLMError):
        return say(language, "common.unexpected"), ""
    return said(problem.message, language), said(problem.hint, language)


def said(sentence: str, language: str) -> str:
    """An English sentence of an error in a language; what has no translation stays as it is."""
    if language != "zh" or not sentence:
        return sentence
    for pattern, translation in _patterns():
        if match := pattern.fullmatch(sentence):
            # What is filled in may be a sentence itself, such as why a download failed.
            return translation.format(*(said(value, language) for value in match.groups()))
    parts = _BETWEEN_SENTENCES.split(sentence)
    return "".join(said(part, language) for part in parts) if len(parts) > 1 else sentence


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Those with the most words of their own first: `{} has no {}.` would fit nearly everything."""
    text = resources.files("augmentlm.ui").joinpath("errors_zh.toml").read_text(encoding="utf-8")
    pairs = sorted(tomllib.loads(text).items(), key=lambda pair: -len(_HOLE.sub("", pair[0])))
    return [
        (re.compile("".join(_HOLES.get(part, re.escape(part)) for part in _HOLE.split(english)), re.DOTALL), chinese)
        for english, chinese in pairs
    ]
