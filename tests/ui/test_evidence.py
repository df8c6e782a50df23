"""What the checks found, in the language of the page."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import augmentlm
from augmentlm.checks import Finding
from augmentlm.examples import Example
from augmentlm.runs.rows import Record
from augmentlm.ui import dataset_view, faults, markup

SOURCE = Path(augmentlm.__file__).parent
CHINESE = tomllib.loads((SOURCE / "ui" / "evidence_zh.toml").read_text(encoding="utf-8"))
ROOMS = [*sorted((SOURCE / "checks").glob("*.py")), SOURCE / "runs" / "judging.py", SOURCE / "runs" / "shelf.py"]
ENGLISH = re.compile(r"(?<![A-Za-z])(?!ROUGE|Instruction|Response)[A-Za-z]{2,}")


def found_in(path: Path) -> Iterator[str]:
    """What findings and verdicts are made with, `{}` where something is filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="Finding"), args=[_, evidence]):
                yield from texts(evidence)
            case ast.Call(func=ast.Name(id="Verdict"), args=[*_, evidence]):
                yield from texts(evidence)
            case ast.keyword(arg="evidence", value=evidence):
                yield from texts(evidence)
            case ast.Assign(
                targets=[ast.Tuple(elts=[_, ast.Name(id="evidence")])], value=ast.Tuple(elts=[_, evidence])
            ):
                yield from texts(evidence)
            case ast.Assign(targets=[ast.Name(id="_REASONS" | "names")], value=ast.Dict(values=values)):
                yield from (text for value in values for text in texts(value))


def texts(value: ast.expr) -> list[str]:
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return [f"{first}{(texts(right) or ['{}'])[0]}" for first in texts(left)]
    return []


FOUND = sorted({text for path in ROOMS for text in found_in(path) if re.search("[A-Za-z]{2}", text)})


def test_the_findings_are_found() -> None:
    assert {"nothing was written", "by hand", "missing: {}", "{} ROUGE-L with {}", "Latin script"} <= set(FOUND)


@pytest.mark.parametrize("text", FOUND)
def test_all_evidence_has_its_chinese(text) -> None:
    said = faults.evidence(text.replace("{}", "7"), "zh")
    assert re.search(r"[\u4e00-\u9fff]", said) and not ENGLISH.search(said)
    assert faults.evidence(text, "en") == text


def test_every_translation_of_evidence_is_chinese_and_fills_in_what_there_is() -> None:
    assert [english for english, chinese in CHINESE.items() if chinese.isascii()] == []
    for pattern, chinese, _ in faults._patterns("evidence"):
        chinese.format(*map(str, range(pattern.groups)))


@pytest.mark.parametrize(
    ("found", "chinese"),
    [
        ("0.92 ROUGE-L with seed 3", "与 种子 3 的 ROUGE-L 为 0.92"),
        ("the response: 0.90 ROUGE-L with example 2", "回答：与 例子 2 的 ROUGE-L 为 0.90"),
        ("1 word, at least 3 are wanted", "1 个词，至少需要 3 个"),
        ("went from Latin script to Chinese", "从拉丁字母变成了中文"),
        ("missing: 14:30, B12; asks for nothing", "缺少 14:30, B12; 没有提出要求"),
        ("says “Sure. Here it is; the seed”", "写着 “Sure. Here it is; the seed”"),
        (
            "The text has 7 tokens; 6 fit the model's window. Shorten it.",
            "文字有 7 个词元，模型的窗口容纳 6 个。请缩短。",
        ),
        ("Nobody has thought of this.", "Nobody has thought of this."),
    ],
)
def test_evidence_is_told_in_chinese_and_words_of_others_stay_as_they_are(found, chinese) -> None:
    assert faults.evidence(found, "zh") == chinese


def test_the_pages_tell_it() -> None:
    finding = Finding("form", "there is no '### Instruction' line at the start")
    assert markup.reasons([finding], "zh") == ["格式不对: 开头没有“### Instruction”这一行"]
    bird = Example("Name a bird")
    record = Record(7, "expand", "rejected", "too_short", "3 words, at least 5 are wanted", bird, bird, 0, ())
    assert dataset_view.reason(record, "zh") == "太短: 3 个词，至少需要 5 个"
    assert dataset_view.reason(record, "en") == "too short: 3 words, at least 5 are wanted"


def test_words_of_the_user_stay_as_they_are_even_where_they_are_like_ours() -> None:
    assert faults.evidence("missing: Chinese, the seed", "zh") == "缺少 Chinese, the seed"
    assert faults.evidence("missing: contains eggs", "zh") == "缺少 contains eggs"
    assert faults.evidence("went from Chinese to Latin script", "zh") == "从中文变成了拉丁字母"
    [reason] = markup.reasons([Finding("facts_lost", "missing: Chinese")], "zh")
    assert "Chinese" in reason
