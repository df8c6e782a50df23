"""Did a model answer a prompt where it should have written one? A rule about form: prompts ask, answers state.

A text passes when it asks for something (a question, "please", an imperative such as "Write" or "Compare", a limit
such as "in two sentences") or repeats the prompt's own words. It fails when it states, asks back, apologises, or holds
code or a letter where the prompt has none.

How far to trust it, measured on this project's data: of the held-out refinements and prompts it fails none, of
expansions 2 to 5 in 100; of responses it finds 80 to 86 in 100. It misses answers that are questions or instructions
themselves (dialogues, quizzes, "Find the chance of no six first"), and takes a noun phrase in words of its own
("Query for the best sellers") for an answer. Outputs read by eye: of 44 of the prompted 0.5B base 7 were answers, of
which it found 5, and it failed 3 others; of 40 of the prompted 1.5B reference it found all 13 answers, refusals and
questions back, and failed no other, but the wordings of asking back were collected there. A text that keeps the form
and loses the meaning passes.
"""

from __future__ import annotations

import re
from collections import Counter

from augmentlm.checks.finding import Finding
from augmentlm.checks.novelty import tokens

ECHO = 0.7
"""A text no longer than a prompt is that holds this share of its words repeats it."""

ASKING_SHARE = 0.25
"""Of a text that does not open with a request, this share of its sentences has to ask."""

# Asking for a text or a thought: an imperative of these is a request wherever it stands.
_ASKS_ALWAYS = frozenset(
    "adapt advise analyse analyze answer argue assess brainstorm calculate caption categorise categorize clarify "
    "classify compare compose compute condense contrast convert correct cover create debug decide define demonstrate "
    "derive describe design determine develop devise diagnose discuss document draft edit ensure estimate evaluate "
    "explain express extract find format formulate generate give guide identify illustrate imagine implement include "
    "infer interpret interview invent justify label list make mention name negate outline paraphrase plan point "
    "produce proofread propose prove provide quiz rank recast recommend refactor render rephrase respond retell "
    "rewrite roleplay say script shorten show simplify sketch solve specify spot state suggest summarise summarize "
    "supply tabulate tell think tone translate write".split()
)
# Also the language of how-to answers: these count half.
_ASKS_OFTEN = frozenset(
    "act add apply arrange assign assume avoid balance be begin break bring build change check choose come complete "
    "consider count cut do draw end expand fill finish fix focus group help highlight hold improve introduce judge "
    "keep lay lead limit localise look mark match order organise organize output pick play prepare present pull put "
    "quote rate read reduce rehearse reply return review run search separate set settle simulate soften sort split "
    "start sum tag take teach test tidy trace treat triage turn use walk work".split()
)
_LEAD = r"(?:please|kindly|first|then|also|finally|next|now|instead|and|but|or|briefly|quickly|always|\w+ly)"
_IMPERATIVE = re.compile(rf"^[\W\d_]*(?:{_LEAD},? +){{0,3}}(?P<verb>[a-z]+)\b(?! *[:=(])", re.IGNORECASE)
_CLAUSES = re.compile(r"(?<=[,;:.!?–—(])\s+|\s+(?=and [a-z]+ |then )|\n+|(?<=[。！？，；：])")
_REQUEST = re.compile(
    r"[?？]\W*$|\bplease\b|\bi(?:'d| would) like (?!to (?:thank|apolog|invite|introduce))|\bi(?: also)? (?:need|want) "
    r"|\bi(?:'m| am) looking for\b|\bhelp me\b|\b(?:tell|give|show|ask|send|write|teach|make|find) me\b"
    r"|\b(?:can|could|would|will) you\b|\byour (?:task|job|answer|reply|response)\b|^\W*you are (?:an?|the|my)\b"
    r"|\bact as\b|\blet's\b|\b\d+(?: to |-|–)\d+ words\b"
    r"|\b(?:under|at most|no more than|within|maximum|max|up to|exactly|fewer than|less than) [\w-]+(?: short)? "
    r"(?:words|characters|sentences|lines)\b",
    re.IGNORECASE,
)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_CHINESE_REQUEST = re.compile(
    r"请|帮我|帮忙|我想|我要|我需要|希望你|告诉我|怎么|如何|为什么|多少|字以内|字左右|吗|几"
    r"|^\W*(?:给|为|替|从|以)[^。！？]{1,30}?(?:写|想|取|拟|起|设计|出|提取|抽取)"
    r"|(?:^|[，；：])[^\w，；：]*(?:写|撰写|起草|查询|查找|统计|整理|制作|准备|挑选|出|补充|修改|检查|指出|归纳|讲|说|列|给出|给我|用|把|将|解释|说明|介绍|分析|比较|对比|翻译|改写|润色|总结|概括|推荐|设计"
    r"|制定|计算|求|证明|判断|找出|生成|创作|编写|描述|提供|回答|不要|不超过|分条|语气|语言)"
)
_SENTENCES = re.compile(r"(?<=[.!?。！？])[\"'”’」)]*\s+|(?<=[。！？])|\n+")
_CODE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_QUOTED = re.compile(r"\"[^\"\n]{15,}\"|“[^”\n]{15,}”|(?<!\w)'[^'\n]{15,}'(?!\w)")
_LABEL = re.compile(
    r"^\W*(?:(?:sure|certainly|of course|okay|ok|great)\b[^\n:]{0,80}[:!.]\s*|here(?:'s| is| are)\b[^\n:]{0,80}:\s*"
    r"|(?:the )?(?:\w+ )?(?:prompt|instruction|version)\W{0,3}[:：]\s*"
    r"|(?:改写|优化|新)后?的?(?:提示词?|指令|版本)?[：:]\s*)+",
    re.IGNORECASE,
)
_ASKS_BACK = re.compile(
    r"^\W*(?:(?:(?:i'm|i am) sorry|sorry|i apologi[sz]e|as an ai|(?:however, )?i (?:can't|cannot|am unable to) "
    r"(?:help|assist|answer|provide|fulfil|comply|do that))\b"
    r"|(?:(?:can|could|would) you )?(?:please )?(?:provide|share|clarify|specify|paste) (?:me )?(?:with )?"
    r"(?:(?:some )?more|the text|your|additional|further) "
    r"|抱歉|对不起|很抱歉|请提供(?:更多|您|你|具体)|作为一个?(?:ai|人工智能))"
    r"|\b(?:would you like (?:me )?to|you(?:'d| would) like me to|(?:provide|share) the necessary|to help you with)\b"
    r"|以便我(?:为|帮|给|能)",
    re.IGNORECASE,
)
_LETTER = re.compile(r"^\W*(?:subject:|dear [\w\[]|主题[：:]|尊敬的)", re.IGNORECASE | re.MULTILINE)


def answered(prompt: str, text: str) -> Finding | None:
    """What shows that `text` is an answer (or a refusal, or a statement) and no prompt; None when it is a prompt."""
    body = _LABEL.sub("", text, count=1).strip(" \n\t\"“”'「」*`")
    if match := _ASKS_BACK.search(body):
        return Finding("answered", f"says {match.group().strip()!r}")
    if "```" in text and "```" not in prompt:
        return Finding("answered", "holds code")
    if _LETTER.search(body) and not _LETTER.search(prompt):
        return Finding("answered", "is a letter")
    if asks(body) or _repeats(prompt, body):
        return None
    return Finding("answered", "asks for nothing")


def asks(text: str) -> bool:
    """Whether a text asks for something: in its first sentence, in enough of the others, or at the end of a short one.

    Code and longer quotations are left out: they are what the request is about.
    """
    prose = _QUOTED.sub("'…'", _CODE.sub("\n", text))
    weights = _weights(prose)
    if not weights:
        return False
    # The end of the first paragraph counts as an end too: what follows may be the code or the text it is about.
    opening = _weights(prose.split("\n\n", 1)[0])
    ends_asking = any(part[-1] == 1 and len(part) <= 4 for part in (weights, opening) if part)
    return weights[0] == 1 or ends_asking or sum(weights) / len(weights) >= ASKING_SHARE


def _weights(prose: str) -> list[float]:
    return [_weight(part) for part in _SENTENCES.split(prose) if re.search(r"\w", part)]


def _weight(sentence: str) -> float:
    """1 for a request, a half for an imperative that may as well be advice, else 0."""
    if _REQUEST.search(sentence):
        return 1
    if _HAN.search(sentence):
        return 1 if _CHINESE_REQUEST.search(sentence) else 0
    verbs = [match.group("verb").lower() for part in _CLAUSES.split(sentence) if (match := _IMPERATIVE.match(part))]
    if not _ASKS_ALWAYS.isdisjoint(verbs):
        return 1
    return 0 if _ASKS_OFTEN.isdisjoint(verbs) else 0.5


def _repeats(prompt: str, text: str) -> bool:
    if re.search("[?？]", prompt) and not re.search("[?？]", text):
        return False  # a question said again without its mark is mostly its answer
    wanted, found = Counter(tokens(prompt)), Counter(tokens(text))
    if not wanted or found.total() > 1.5 * wanted.total() + 8:
        return False
    return (wanted & found).total() >= ECHO * wanted.total()
