"""The words on the page, in English and Chinese, from `texts.toml`; and the switch between them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeVar, get_args

C = TypeVar("C")
Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

Word = str | Callable[[Language], Any]
"""A key of `texts.toml`, or a function that makes the value in a language."""


def say(language: str, key: str, **values: Any) -> str:
    """The text under a dotted key, with `{names}` filled in."""
    text = _texts()["zh" if language == "zh" else "en"][key]
    return text.format(**values) if values else text


def preferred(accept_language: str) -> Language:
    """The page's language for a browser's `Accept-Language`: Chinese if that is its first choice."""
    return "zh" if accept_language.strip().lower().startswith("zh") else "en"


@cache
def _texts() -> dict[str, dict[str, str]]:
    values = tomllib.loads(resources.files("augmentlm.ui").joinpath("texts.toml").read_text(encoding="utf-8"))
    return {language: _flat(values[language]) for language in LANGUAGES}


def _flat(table: dict[str, Any], above: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value.strip()}
    return flat


class Wording:
    """Which component shows which text, so that one switch changes the language of the whole page."""

    def __init__(self) -> None:
        self._shown: list[tuple[Any, dict[str, Word]]] = []

    def __call__(self, kind: Callable[..., C], words: dict[str, Word], **settings: Any) -> C:
        """Make a component with its English texts and remember them for the switch."""
        component = kind(**_values(words, "en"), **settings)
        self._shown.append((component, words))
        return component

    @property
    def components(self) -> list[Any]:
        return [component for component, _ in self._shown]

    def updates(self, language: Language) -> list[dict[str, Any]]:
        """What every component of `components` shows in a language."""
        import gradio as gr

        return [gr.update(**_values(words, language)) for _, words in self._shown]


def _values(words: dict[str, Word], language: Language) -> dict[str, Any]:
    return {prop: say(language, word) if isinstance(word, str) else word(language) for prop, word in words.items()}
