"""What went wrong, in the language of the page. Errors are raised and findings made in English; `errors_zh.toml` and
`evidence_zh.toml` have them in Chinese."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources

from augmentlm.errors import AugmentLMError
from augmentlm.ui.texts import say

_HOLES = {"{}": "(.*?)", "{n}": r"(-?\d[\d.,]*(?:e[+-]\d+)?)", "{s}": "(.*?)"}
"""What may be filled in: anything, a number, or in evidence something that is said in our words and has its Chinese."""

_HOLE = re.compile(r"(\{[ns]?\})")
_BETWEEN_FINDINGS = "; "
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
    for pattern, translation, _ in _patterns():
        if match := pattern.fullmatch(sentence):
            # What is filled in may be a sentence itself, such as why a download failed.
            return translation.format(*(said(value, language) for value in match.groups()))
    parts = _BETWEEN_SENTENCES.split(sentence)
    return "".join(said(part, language) for part in parts) if len(parts) > 1 else sentence


def evidence(found: str, language: str) -> str:
    """What checks found in a text, one finding behind the other, in a language. Of a row that could not be worked on it
    is an error's sentence."""
    if language != "zh":
        return found
    parts = found.split(_BETWEEN_FINDINGS)
    told = [_evident(part) for part in parts]
    return _BETWEEN_FINDINGS.join(told) if told != parts else said(found, language)


def _evident(part: str) -> str:
    """Words of a user or a model that are filled in stay as they are, even where they are like ours: "Chinese"."""
    for pattern, translation, holes in _patterns("evidence"):
        if match := pattern.fullmatch(part):
            filled = zip(holes, match.groups(), strict=True)
            return translation.format(*(_evident(value) if hole == "{s}" else value for hole, value in filled))
    return part


@cache
def _patterns(kind: str = "errors") -> list[tuple[re.Pattern[str], str, list[str]]]:
    """English, Chinese and the holes of each sentence, those with the most words of their own first: `{} has no {}.`
    would fit nearly everything."""
    text = resources.files("augmentlm.ui").joinpath(f"{kind}_zh.toml").read_text(encoding="utf-8")
    pairs = sorted(tomllib.loads(text).items(), key=lambda pair: -len(_HOLE.sub("", pair[0])))
    return [
        (
            re.compile("".join(_HOLES.get(part, re.escape(part)) for part in _HOLE.split(english)), re.DOTALL),
            chinese,
            _HOLE.findall(english),
        )
        for english, chinese in pairs
    ]
