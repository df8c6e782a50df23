"""The words on the page."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import gradio as gr
import pytest

from augmentlm.ui.texts import Wording, _texts, preferred, say

FOLDER = Path(__file__).parents[2] / "src" / "augmentlm" / "ui"


def test_both_languages_have_the_same_keys() -> None:
    assert _texts()["en"].keys() == _texts()["zh"].keys()


@pytest.mark.parametrize("key", _texts()["en"])
def test_both_languages_fill_in_the_same_values(key) -> None:
    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    english, chinese = _texts()["en"][key], _texts()["zh"][key]
    if "{" not in english or key == "pairs.paste_placeholder":  # an example of JSON, shown as it is
        assert english.count("{") == chinese.count("{")
    else:
        assert names(english) == names(chinese)


def test_chinese_texts_are_chinese() -> None:
    may_be_the_same = {"language_switch", "app.title", "common.key_hint", "pairs.paste_placeholder"}
    odd = [key for key, text in _texts()["zh"].items() if not re.search(r"[\u4e00-\u9fff]", text)]
    names = ("dataset.kind.", "dataset.schema.")  # of file formats and of schemas, which are said alike
    odd = [key for key in odd if not key.startswith(names)]
    assert set(odd) - may_be_the_same - {"common.progress", "dataset.entry", "dataset.placeholder"} == set()


def test_every_text_is_used_and_every_key_exists() -> None:
    """A key stands in the code whole, or as a beginning whose end is put in."""
    strings: list[str] = []
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.append(node.value)
    beginnings = {text for text in strings if re.fullmatch(r"[a-z]+\.(?:[a-z]+[._])?", text)}
    unused = [key for key in _texts()["en"] if key not in strings and not any(map(key.startswith, beginnings))]
    assert unused == []
    groups = {key.split(".")[0] for key in _texts()["en"]}
    keys = {text for text in strings if re.fullmatch(r"[a-z]+\.[a-z0-9_]+[a-z0-9]", text)}
    keys = {key for key in keys if key.split(".")[0] in groups and not key.endswith(".jsonl")}
    assert keys - _texts()["en"].keys() == set()


@pytest.mark.parametrize(
    ("header", "language"), [("zh-CN,zh;q=0.9", "zh"), ("en-US,en;q=0.9,zh;q=0.8", "en"), ("", "en"), ("de", "en")]
)
def test_the_browser_says_which_language(header, language) -> None:
    assert preferred(header) == language


def test_one_switch_changes_every_component() -> None:
    words = Wording()
    with gr.Blocks():
        button = words(gr.Button, {"value": "refine.run"})
        words(gr.HTML, {"value": lambda language: say(language, "status.ready")})
    assert button.value == "Refine"
    assert [update["value"] for update in words.updates("zh")] == ["优化", "已就绪。"]
