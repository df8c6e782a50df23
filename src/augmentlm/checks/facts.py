"""The hard facts of a text: what a rewrite has to carry over unchanged, because guessing it back is impossible."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["link", "code", "placeholder", "quote", "number", "name"]


@dataclass(frozen=True)
class Fact:
    kind: Kind
    text: str


# In order: what an earlier pattern has taken, a later one does not see.
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("link", re.compile(r"https?://[^\s<>\"'）)\]，。]+|\b[\w.+-]+@[\w-]+\.[\w.]+\b|\bwww\.[^\s<>\"']+")),
    (
        "code",
        re.compile(
            r"```.+?```|`[^`\n]+`|\b[A-Za-z_]\w*\([^()\n]{0,60}\)|\b[a-z0-9]+(?:_[a-z0-9]+)+\b|\b[a-z]{2,}[A-Z]\w*",
            re.DOTALL | re.ASCII,
        ),
    ),
    ("placeholder", re.compile(r"\{\{?[\w .-]{1,40}\}\}?|\[[A-Z][\w .-]{0,40}\]|<[A-Za-z][\w -]{0,30}>|%[sd]\b")),
    ("quote", re.compile(r"\"[^\"\n\0]{2,200}\"|“[^”\n\0]{2,200}”|「[^」\n\0]{2,100}」|《[^》\n\0]{1,60}》")),
    ("number", re.compile(r"(?<![A-Za-z0-9_.])[$€£¥]?\d+(?:[.,:/]\d+)*%?(?![\d])")),
)
# Latin letters with accents belong to names: Köln, Málaga, Łukasz. Of the last block either case, told by `isupper`.
_UPPER, _LOWER = "A-ZÀ-ÖØ-ÞĀ-ɏ", "a-zß-öø-ÿĀ-ɏ"
_WORD = f"{_UPPER}{_LOWER}0-9_"
_NAME = re.compile(rf"(?<![{_UPPER}{_LOWER}0-9\0])[{_UPPER}][{_WORD}&+#]*(?:['’.-][{_UPPER}{_LOWER}][{_WORD}]*)*")
_INNER_CAPITAL = re.compile(r"^(?:[A-ZÀ-ÖØ-Þ]{2,}[\w+#]*|[A-Z]?[a-zß-öø-ÿ]+[A-ZÀ-ÖØ-Þ]\w*|[A-Z]\d\w*|[A-Z][+#]+)$")
_NOT_NAMES = frozenset(
    "I I'm I’m I'd I'll I've I’ve Im ASAP FYI OK TLDR PLS PLZ BTW THX Q A Please Thanks Hi Hello Hey Dear".split()
)
_DIGITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = {
    word: 10 * number for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_DIGITS + _TEENS)}
_NUMBER_WORDS |= {word: str(number) for word, number in _TENS.items()} | {"hundred": "100", "half": "1/2"}
_NUMBER_WORDS |= {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "once": "1", "twice": "2"}
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)})[- ]({'|'.join(_DIGITS[1:])})\b")
_CHINESE_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2}
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}
_CHINESE_NUMBER = re.compile("[零一二三四五六七八九十两百千]+")


def find(text: str) -> tuple[Fact, ...]:
    """Links, code, placeholders, quoted words, numbers and names, in the order they stand, each once.

    Names are told by their capitals, so a name in lower case or at the start of a sentence is not seen.
    """
    found: list[tuple[int, Fact]] = []
    rest = text
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(rest):
            found.append((match.start(), Fact(kind, match.group().rstrip(".,;:"))))
        rest = pattern.sub(lambda match: "\0" * len(match.group()), rest)
    found += [(start, Fact("name", name)) for start, name in _names(rest)]
    return tuple(dict.fromkeys(fact for _, fact in sorted(found, key=lambda item: item[0])))


def lost(source: str, output: str) -> tuple[Fact, ...]:
    """The facts of `source` that `output` no longer has. Case, spacing and "3" against "three" do not matter."""
    return tuple(fact for fact in find(source) if not _kept(fact, output))


def _names(text: str) -> list[tuple[int, str]]:
    names = []
    for match in _NAME.finditer(text):
        word = re.sub(r"['’]s$", "", match.group()).rstrip(".-")
        before = text[: match.start()].rstrip(" \t\"'“‘(*_-")
        starts_sentence = not before or before[-1] in ".!?:;\n。！？：；\0"
        if word in _NOT_NAMES or len(word) == 1 or not word[0].isupper():
            continue
        if not starts_sentence or _INNER_CAPITAL.match(word):
            names.append((match.start(), word))
    # A text in capitals says nothing about names.
    return names if any(char.islower() for char in text) else []


def _kept(fact: Fact, output: str) -> bool:
    if fact.kind == "number":
        return _number(fact.text) in _numbers(output)
    if fact.kind == "name":
        stem = re.escape(fact.text.casefold().rstrip("."))
        return re.search(rf"(?<![{_LOWER}0-9]){stem}", output.casefold()) is not None
    return _squeeze(fact.text.strip('"“”「」`')) in _squeeze(output)


def _numbers(text: str) -> set[str]:
    digits = {_number(match.group()) for match in re.finditer(r"\d+(?:[.,:/]\d+)*", text)}
    lower = text.lower()
    words = {_NUMBER_WORDS[word] for word in re.findall(r"[a-z]+", lower) if word in _NUMBER_WORDS}
    words |= {str(_TENS[ten] + _DIGITS.index(one)) for ten, one in _COMPOUND.findall(lower)}
    return digits | words | {number for run in _CHINESE_NUMBER.findall(text) for number in _chinese_numbers(run)}


def _chinese_numbers(run: str) -> set[str]:
    """The number that a run of Chinese numerals is, also digit by digit as in years, and what each of them is alone:
    二十五 holds 25, 2, 10 and 5."""
    each = {str(_CHINESE_DIGITS.get(char, _CHINESE_UNITS.get(char))) for char in run}
    if not any(char in _CHINESE_UNITS for char in run):
        return each | {"".join(str(_CHINESE_DIGITS[char]) for char in run)}
    total, digit = 0, None
    for char in run:
        if char in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[char]
        else:
            total += (1 if digit is None else digit) * _CHINESE_UNITS[char]
            digit = None
    return each | {str(total + (digit or 0))}


def _number(text: str) -> str:
    """Currency and percent signs and thousands separators taken off: "$1,200" is "1200"."""
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.strip("$€£¥%"))


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold().strip(".,;:!?。，；：！？")
