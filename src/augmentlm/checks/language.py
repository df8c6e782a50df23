"""Which language a text is in, told by its script: enough for the two languages of the family."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "zh", "other"]

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
_OTHER_LETTER = re.compile(r"[\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]")
_CODE = re.compile(r"```.*?```|`[^`]*`|https?://\S+", re.DOTALL)


def language(text: str) -> Language:
    """`zh` for Chinese characters, `en` for Latin script (French counts as `en`), else `other`.

    Code and links are left out. Where two scripts meet, a Latin word weighs as much as two Chinese characters.
    """
    weights = _weights(text)
    best = max(weights, key=lambda name: weights[name])
    return best if weights[best] else "other"


def languages(text: str) -> frozenset[Language]:
    """Every language that has a word in the text: a question in Chinese about an English error has both, a sum none."""
    return frozenset(name for name, weight in _weights(text).items() if weight)


def _weights(text: str) -> dict[Language, float]:
    prose = _CODE.sub(" ", text)
    prose = prose if prose.strip() else text
    return {
        "zh": len(_HAN.findall(prose)) / 2,
        "en": len(_LATIN_WORD.findall(prose)),
        "other": len(_OTHER_LETTER.findall(prose)) / 4,
    }
