"""Errors in the language of the page."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import augmentlm
from augmentlm import catalog
from augmentlm.errors import DoesNotFitError, InputError, WeightsError
from augmentlm.machine import Machine, plan
from augmentlm.tasks import Pair, check_input
from augmentlm.ui import faults, markup
from augmentlm.ui.texts import say

SOURCE = Path(augmentlm.__file__).parent
ROOMS = [
    "augmenter.py",
    "catalog.py",
    "machine.py",
    "tasks.py",
    *(
        f"engines/{name}.py"
        for name in (
            "convert",
            "endpoint",
            "chat_api",
            "limits",
            "llama_server",
            "llamacpp",
            "loading",
            "pool",
            "torch_model",
            "transformers",
            "zerogpu",
        )
    ),
    *(f"ui/{name}.py" for name in ("answers", "api", "entrants", "expand", "options")),
    "hub/release.py",
    "runs/push.py",
    *(f"weights/{path.name}" for path in (SOURCE / "weights").glob("*.py")),
]
"""The modules whose errors a page shows."""


def sentences(path: Path) -> Iterator[str]:
    """What errors are raised with, `{}` where something is filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        if name.endswith("Error") and not name.startswith("_") and name not in ("ValueError", "gr.Error", "TypeError"):
            for value in [*node.args, *(word.value for word in node.keywords if word.arg == "hint")]:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
                elif isinstance(value, ast.JoinedStr):
                    yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in value.values)


OUT_OF_PIECES = {
    "{} {} ({}).",
    "The server at {} {}{}",
    "{}{}",
    "{}This one needs {}.",
    "{} needs {} GB{} in {}; this machine has {}.",
    "{} needs {}, which {} not installed.",
    "{} doesn't run in {}{} here.",
    "Example {} has no {}.",
    "{} can't be used: {}",
}
"""Sentences put together from pieces, whose whole forms have their translations."""


@pytest.mark.parametrize("room", ROOMS)
def test_every_sentence_that_a_page_can_show_has_its_chinese(room) -> None:
    missing = [
        sentence
        for sentence in sentences(SOURCE / room)
        if sentence and sentence not in OUT_OF_PIECES and faults.said(sentence.replace("{}", "7"), "zh").isascii()
    ]
    assert missing == []


def test_the_holes_of_a_translation_are_those_of_the_sentence() -> None:
    for pattern, chinese in faults._patterns():
        chinese.format(*map(str, range(pattern.groups)))


@pytest.mark.parametrize(
    ("value", "chinese"),
    [
        ("", "没有可处理的文字。"),
        ("x" * 200_000, "文字有 200,000 个字符，模型的窗口最多容纳 24,000 个。"),
    ],
)
def test_a_fault_is_told_in_the_language_of_the_page(value, chinese) -> None:
    with pytest.raises(InputError) as caught:
        check_input("refine", value)
    assert chinese in markup.error(caught.value, "zh")
    assert markup.escape(caught.value.message) in markup.error(caught.value, "en")


def test_one_pair_where_two_are_needed_is_told_in_chinese() -> None:
    with pytest.raises(InputError) as caught:
        check_input("pair", [Pair("Name a bird.", "Wren.")])
    assert faults.words(caught.value, "zh") == ("至少需要 2 组示例，现在有 1 组。", "请再添加一条指令及其回答。")


def test_why_a_download_fails_is_told_in_chinese_too() -> None:
    why = "What came has a wrong digest (sha256 12… instead of 34…) and was deleted."
    sentence = f"model.gguf can't be downloaded. hf.co can't be reached (no answer). {why}"
    error = WeightsError(sentence, hint="Try again: the other files are kept.")
    assert faults.words(error, "zh") == (
        "无法下载 model.gguf。无法连接 hf.co（没有响应）。收到的文件校验值不对（sha256 是 12…，应为 34…），已删除。",
        "请重试，其余文件已保留。",
    )


def test_what_does_not_fit_is_told_in_chinese_too() -> None:
    small = Machine(4 * 2**30, 3 * 2**30, 80 * 2**30, 2, frozenset())
    with pytest.raises(DoesNotFitError) as caught:
        plan(catalog.model("qwen2-7b-instruct-refine"), small)
    message, hint = faults.words(caught.value, "zh")
    assert "这台电脑有 4 GB 内存，没有显卡" in message
    assert hint.startswith("请选择 ") and "显卡或" in hint


def test_what_has_no_translation_stays_as_it_is() -> None:
    assert faults.said("Nobody has thought of this.", "zh") == "Nobody has thought of this."
    assert faults.words(ValueError("a secret"), "zh") == (say("zh", "common.unexpected"), "")
