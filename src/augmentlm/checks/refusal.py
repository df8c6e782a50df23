"""Does a response decline the task, or speak of being a program? Nobody wants to train that by accident."""

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


def refusal(instruction: str, response: str) -> Finding | None:
    """The words that decline. An instruction that speaks of AI itself may be answered in such words."""
    start = " ".join(response[:_START].replace("’", "'").split())
    match = _REFUSAL.search(start)
    if not match or _REFUSAL.search(instruction.replace("’", "'")):
        return None
    return Finding("refused", f"says “{match.group().strip()}”")
