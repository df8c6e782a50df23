"""Does a response decline the task, speak of being a program, or ask for what it should work on? Nobody wants to train
that by accident."""

from __future__ import annotations

import re

from augmentlm.checks.finding import Finding

_START = 240
"""Characters in which a refusal shows. Further on, a text may quote one."""

_I_CAN_NOT = (
    r"i(?:'m| am)? (?:can(?:'t|not)(?! (?:wait|help but|believe|imagine|thank))"
    r"|unable|not able|don't have|do not have|won't|will not)\b"
)
_REFUSAL = re.compile(
    r"\bas an? (?:large )?(?:ai|artificial intelligence|language model)\b"
    rf"|^\W{{0,3}}(?:(?:i(?:'m| am) )?(?:very |really )?sorry|(?:my )?apologies|unfortunately)\b[,.]?(?: but)? "
    rf"{_I_CAN_NOT}"
    r"|^\W{0,3}i (?:can(?:'t|not)|am unable to|am not able to) (?:assist|help|fulfil|comply|provide|do that|answer)\b"
    r"|作为(?:一个|一名|一款)?(?:人工智能|AI|语言模型|大模型|机器人)"
    r"|^\W{0,3}(?:很|非常)?(?:抱歉|对不起)[，,。]?(?:但)?我(?:不能|无法|没有|不会)",
    re.IGNORECASE,
)
_MATERIAL = (
    r"(?:text|passage|paragraph|sentence|article|code|function|snippet|document|list|table|data|story|poem|review|question"
    r"|problem|input|content|context|instruction|prompt|image|file)s?\b"
)
_HELPING = r"i(?:'d| would|'m| am) (?:be )?(?:happy|glad|ready|here) to \w+[^.!,]{0,40}[.!,]\W{0,3}(?:but )?"
_ASKS_BACK = re.compile(
    rf"^\W{{0,3}}(?:(?:sorry|apologies|i(?:'m| am) sorry|sure|of course|certainly)\W+(?:but )?)?(?:{_HELPING})?"
    r"(?:(?:it )?(?:seems|appears|looks)(?: like| that)? )?(?:but )?"
    r"(?:you (?:haven't|have not|didn't|did not|forgot to) (?:yet )?"
    r"(?:provided?|given?|included?|specified|specify|mention(?:ed)?|attach(?:ed)?|shared?|pasted?) "
    rf"(?:the|your|a|an|any|me)\b[^.?!]{{0,30}}?{_MATERIAL}"
    rf"|(?:there is|there's) no {_MATERIAL}(?: \w+)? (?:provided|given|attached|included)\b"
    rf"|(?:please|(?:could|can|would) you(?: please)?) (?:provide|share|give|paste|enter|supply)(?: me)?(?: with)? "
    rf"(?:the|your|an?|some|more|any)\b[^.?!]{{0,40}}?{_MATERIAL}"
    r"|(?:to|i(?:'d| would| will|'ll)) [^.?!]{0,60}\b(?:i(?:'ll)? need (?!to\b)|please provide|provide me)"
    rf"[^.?!]{{0,40}}?{_MATERIAL})"
    r"|^\W{0,3}(?:请(?:您|你)?(?:先)?(?:提供|给出|发送|粘贴)|(?:您|你)(?:还)?(?:没有|未)(?:提供|给出)).{0,20}"
    r"(?:文本|文字|段落|句子|文章|代码|内容|信息|数据|表格|材料|原文|问题)",
    re.IGNORECASE,
)
_WANTS_A_REQUEST = re.compile(
    r"\b(?:ask|asks|asking|request|customer|support|polite\w*|translat\w+|message|e-?mails?|prompt|placeholder|haiku|poem"
    r"|(?:write|draft)\b.{0,30}\b(?:form|reply|note|letter))\b|询问|请求|客服|回复|顾客|客户|礼貌|翻译|提示",
    re.IGNORECASE,
)


def refusal(instruction: str, response: str) -> Finding | None:
    """The words that decline, or that ask for what to work on.

    An instruction that speaks of AI itself may be answered in such words.
    """
    start = " ".join(response[:_START].replace("’", "'").split())
    match = _REFUSAL.search(start)
    if match and not _REFUSAL.search(instruction.replace("’", "'")):
        return Finding("refused", f"says “{match.group().strip()}”")
    match = _ASKS_BACK.match(start)
    # A message that was asked for, or its translation, may begin so.
    if match and not _WANTS_A_REQUEST.search(instruction):
        return Finding("refused", f"asks back: “{match.group().strip()}”")
    return None
