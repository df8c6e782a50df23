"""Errors in the language of the page."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import augmentlm
from augmentlm import catalog, formats, schemas, tables
from augmentlm.errors import DoesNotFitError, InputError, WeightsError
from augmentlm.examples import Example
from augmentlm.hub.contents import refusals
from augmentlm.machine import Machine, plan
from augmentlm.runs.spec import check_seeds
from augmentlm.tasks import Pair, check_input
from augmentlm.ui import faults, markup
from augmentlm.ui.texts import say

SOURCE = Path(augmentlm.__file__).parent
CHINESE = tomllib.loads((SOURCE / "ui" / "errors_zh.toml").read_text(encoding="utf-8"))
CHARACTERS = re.compile(r"[\u4e00-\u9fff]")

IN_A_TERMINAL = (
    "__init__.py",
    "arena/judged.py",
    "cli/",
    "distill/",
    "hub/bundles.py",
    "hub/cards.py",
    "hub/spaces.py",
    "reports/comparison",
    "reports/speed.py",
    "results.py",
    "ui/__init__.py",
    "ui/launch.py",
)
"""The modules whose errors no page shows."""

ROOMS = [
    room
    for path in sorted(SOURCE.rglob("*.py"))
    if not (room := path.relative_to(SOURCE).as_posix()).startswith(IN_A_TERMINAL)
]


ENDS = ("_NotJsonError", "_UnusableError")
"""Errors that are raised with the end of a sentence, whose beginning says where in a file it is."""


def sentences(path: Path) -> Iterator[str]:
    """What errors are raised with, `{}` where something is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = assigned(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if re.fullmatch(r"_?[A-Z][a-z]\w*Error", name) and name not in ("ValueError", "TypeError"):
            for value in [*node.args, *(word.value for word in node.keywords if word.arg == "hint")]:
                yield from (f"{{}} {text}." if name in ENDS else text for text in texts(value, named))
        elif ast.unparse(node.func) == "problems.append":
            yield from texts(node.args[0], named)


def assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What names are set to, as by `hint = "…"` and `message, hint = "…", "…"`."""
    found = defaultdict(list)
    for node in ast.walk(tree):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            both = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            for one, value in zip(target.elts, node.value.elts, strict=True) if both else [(target, node.value)]:
                if isinstance(one, ast.Name):
                    found[one.id].append(value)
    return found


def texts(value: ast.expr, named: Mapping[str, Sequence[ast.expr]]) -> list[str]:
    """The texts that an expression may be; none when that can't be told from it."""
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)]
        case ast.IfExp(body=one, orelse=other):
            return [*texts(one, named), *texts(other, named)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return [
                first + second for first in texts(left, named) or ["{}"] for second in texts(right, named) or ["{}"]
            ]
        case ast.Name(id=name):
            return [text for each in named.get(name, ()) for text in texts(each, {})]
    return []


OUT_OF_PIECES = {
    "The server at {} {}{}",
    "The server at {} has no model {}{}",
    "The hub refused {} with {}{}.",
    "The votes in {} can't be {}: {}.",
    "{}This one needs {}.",
    "{} needs {} GB{} in {}; this machine has {}.",
    "{} needs {}, which {} not installed.",
    "{} doesn't run in {}{} here.",
    "Example {} has no {}.",
    "The list {}.",
    "There is {} of rows in {}.",
    "{}{} need {}.",
}
"""Sentences put together from pieces, whose whole forms have their translations."""


def translation(sentence: str) -> str | None:
    """What is written for this very sentence, filled with sevens; None when nothing is."""
    for english, chinese in CHINESE.items():
        if re.sub(r"\{n?\}", "{}", english) == sentence:
            return chinese.format(*"7777777")
    parts = faults._BETWEEN_SENTENCES.split(sentence)
    found = [translation(part) for part in parts] if len(parts) > 1 else [None]
    return None if None in found else "".join(map(str, found))


@pytest.mark.parametrize("room", ROOMS)
def test_every_sentence_that_a_page_can_show_has_a_chinese_of_its_own(room) -> None:
    """Its own: a pattern of a few words, such as `{} has no {}.`, fits much that it was not written for."""
    shown = [text for text in sentences(SOURCE / room) if re.search("[A-Za-z]{2}", text) and text not in OUT_OF_PIECES]
    assert [text for text in shown if faults.said(text.replace("{}", "7"), "zh") != translation(text)] == []


def test_every_translation_is_chinese() -> None:
    assert [english for english, chinese in CHINESE.items() if chinese.isascii()] == []


@pytest.mark.parametrize(
    ("sentence", "chinese"),
    [
        ("The number of rows is missing.", "没有填写行数。"),
        ("No column is known here: there are query, reply.", "没有可识别的列：这里有 query, reply。"),
        ("seed is 1.5.", "seed 是 1.5。"),
        ("max_tokens is -3e+06.", "max_tokens 是 -3e+06。"),
        ("Nobody has thought that this is so.", "Nobody has thought that this is so."),
        ("The hub refused ada/set with 418.", "hub 以 418 拒绝了 ada/set。"),
        ("The hub refused ada/set with 418: a teapot.", "hub 以 418 拒绝了 ada/set：a teapot。"),
        ("Parquet files need pyarrow.", "Parquet 文件需要 pyarrow。"),
        ("The votes in v.sqlite can't be written: Permission denied.", "无法把投票写入 v.sqlite：没有权限。"),
    ],
)
def test_a_sentence_is_told_in_chinese_as_a_whole_or_not_at_all(sentence, chinese) -> None:
    assert faults.said(sentence, "zh") == chinese


@pytest.mark.parametrize(
    ("row", "chinese"),
    [
        ('{"instruction": ""}', "第 2 行的 instruction 为空。"),
        ('{"instruction": 3}', "第 2 行的 instruction 不是文字。"),
        ('{"instruction": "\\ud800"}', "第 2 行的 instruction 里有半个字符。"),
        ('{"instruction": "a"', "第 2 行中途断开。"),
        ('{"instruction" "a"}', "第 2 行不是 JSON：缺少冒号。"),
        ('{"x": NaN}', "第 2 行含有 NaN，它不是 JSON。"),
        ('{"a": 1, "a": 2}', "第 2 行中 a 出现了两次。"),
        ('{"a": 1}', "第 2 行没有指令。"),
        ("[]", "第 2 行不是带列名的对象。"),
        ('{"messages": 1}', "第 2 行的 messages 不是列表。"),
        ('{"messages": [{"role": "x"}]}', "第 2 行中有一轮对话的 role 无法识别。"),
        ('{"messages": []}', "第 2 行中没有可处理的用户发言。"),
        ('{"prompt": [], "completion": 1}', "第 2 行的 prompt 是多轮对话，而 completion 不是。"),
        ('{"instruction": "a", "instances": []}', "第 2 行没有实例。"),
        (f'{{"instruction": "{"x" * 25_000}"}}', "第 2 行有 25,000 个字符，模型的窗口最多容纳 24,000 个。"),
    ],
)
def test_why_a_row_of_seeds_is_left_out_is_told_in_chinese(row, chinese) -> None:
    read = schemas.read(tables.parse(f'{{"instruction": "Name a bird."}}\n{row}'))
    assert [faults.said(problem, "zh") for problem in read.problems] == [chinese]


def test_how_many_more_rows_can_not_be_used_is_told_in_chinese_too() -> None:
    with pytest.raises(InputError) as caught:
        schemas.read(tables.parse('{"instruction": ""}\n' * 3))
    assert faults.words(caught.value, "zh") == (
        "第 1 行的 instruction 为空。（另有 2 处类似。）",
        "请补全这些行，或指定其他列。",
    )


@pytest.mark.parametrize(
    ("read", "text", "chinese"),
    [
        (formats.read_pairs, '[{"instruction": "a"}]', "第 1 行没有 response。"),
        (formats.read_pairs, "[3]", "第 1 行是数字，而不是带列名的对象。"),
        (formats.read_instructions, "[[1]]", "第 1 行是列表，而不是带列名的对象。"),
        (formats.read_instructions, '[{"', "这个列表中途断开。"),
        (formats.read_instructions, '{"instruction": 1}', "第 1 行：instruction 不是文字。"),
    ],
)
def test_why_pasted_examples_can_not_be_read_is_told_in_chinese(read, text, chinese) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    message, hint = faults.words(caught.value, "zh")
    assert message == chinese and CHARACTERS.search(hint)


def test_what_seeds_lack_is_told_in_chinese() -> None:
    with pytest.raises(InputError) as caught:
        check_seeds(["pair"], [Example("Name a bird.")])
    assert faults.words(caught.value, "zh") == (
        "生成新问答对需要带有回答的种子；第 1 条没有回答。",
        "请改用“新指令，并生成回答”（expand,respond）。",
    )


def test_why_a_run_gave_up_is_told_in_chinese() -> None:
    tree = ast.parse((SOURCE / "runs" / "runner.py").read_text(encoding="utf-8"))
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value]
    [sentence] = [text for value in returned for text in texts(value, {})]
    assert translation(sentence)
    said = "Exhausted after 100 candidates: 3 of 50 accepted, 97 rejected (90 near_copy, 7 echo)."
    assert faults.said(said, "zh") == "试过 100 个候选后仍然不够：需要 50 行，通过了 3 行，未通过 97 个。"


def test_why_a_data_set_may_not_go_up_is_told_in_chinese() -> None:
    text = b"hf_" + b"a" * 34 + b" /home/ada/notes "
    found = refusals({"data.jsonl": b"\x80\x04", "README.md": text, "../data.pkl": b""}, "dataset")
    assert len(found) == 5
    assert all(CHARACTERS.search(faults.said(sentence, "zh")) for sentence in found)
    assert not re.search("machine|token|key|code|path", faults.said(" ".join(found), "zh"))  # as they are raised


def test_the_holes_of_a_translation_are_those_of_the_sentence() -> None:
    for pattern, chinese, _ in faults._patterns():
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
