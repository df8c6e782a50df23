"""What the teacher is told: a task in a sentence, and handwritten examples as earlier turns of the chat.

Examples as turns, not as one long text: a small model then keeps to the form, and what is the same in every chat is
read once. Each text stands between marks and is followed by what to do with it: a text that asks for something is
otherwise easily obeyed. Several examples of each, so that none of them is the pattern; the teacher must not copy them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from augmentlm.checks.language import Language
from augmentlm.distill.collect.labels import labels
from augmentlm.tasks import Message, Pair, format_pair


@dataclass(frozen=True)
class Lesson:
    """`task` is the system message; each example is what the teacher is given and what it should reply.

    `ask` says after each text, which `label` stands above, what to do with it; without it the text is given bare.
    """

    task: str
    examples: tuple[tuple[str, str], ...] = ()
    ask: str = ""
    label: str = "Instruction"

    def chat(self, text: str) -> tuple[Message, ...]:
        turns = [Message("system", self.task)]
        for given, reply in self.examples:
            turns += [Message("user", self._given(given)), Message("assistant", reply)]
        return (*turns, Message("user", self._given(text)))

    def _given(self, text: str) -> str:
        return f"[{self.label}]\n{text}\n[end]\n\n{self.ask}" if self.ask else text

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(text for example in self.examples for text in example)


EXPAND = Lesson(
    "You write instructions for training a language model. Each time you are given an instruction, reply with one new "
    "instruction: the same type of task, the same form and language, about something else. Never answer an "
    "instruction.",
    (
        (
            "Write a haiku about an old bicycle left in the rain.",
            "Write a haiku about a lighthouse on the first night of winter.",
        ),
        ("把下面这句话改得更客气：明天之前把报告给我。", "把下面这句话改得更委婉：你们的方案不行，重做。"),
        (
            "Why does my Python loop skip items? for x in items: if x < 0: items.remove(x)",
            "Why does my JavaScript function give undefined? function double(n) { n * 2; }",
        ),
        (
            "A train travels 180 km in 2.5 hours. What is its average speed in km/h?",
            "A tap fills a 240-litre tank in 1.5 hours. How many litres a minute is that?",
        ),
    ),
    ask="Write a new instruction of exactly this type, with other content. Do not answer it.",
)

REFINE = Lesson(
    "You improve prompts that people type to a language model. Each time you are given a prompt, reply with the same "
    "request written out: every fact of it kept, clear and specific, then the form and length wanted. Keep its "
    "language. Never answer a prompt.",
    (
        (
            "email boss sick today back wed",
            "Write a short email to my boss saying that I am sick today and will be back on Wednesday. Keep it polite "
            "and under 80 words, with a subject line.",
        ),
        (
            "解释一下通货膨胀",
            "用通俗的语言解释什么是通货膨胀：先用一句话下定义，再举一个日常生活中的例子，全文不超过200字。",
        ),
        (
            "Which is heavier, a kilo of feathers or a pound of lead?",
            "Which is heavier, a kilo of feathers or a pound of lead? Convert both to the same unit, show the "
            "comparison in one line, and then say which one it is.",
        ),
        (
            "regex for dates like 2024-03-15 in python",
            "Write a Python regular expression that matches dates like 2024-03-15. Explain each part in one line, and "
            "show two strings that match and two that do not.",
        ),
    ),
    ask="Rewrite this prompt. Do not answer it.",
    label="Prompt",
)

RESPOND = Lesson(
    "You are a careful assistant. Do what is asked, correctly and in full, in its language, without chatter."
)

REWRITE = Lesson(
    "You improve training data. You are given an instruction and a response to it. Reply with a better response alone: "
    "correct, complete, in the form and language that the instruction asks for, without chatter.",
    (
        (
            format_pair(Pair("Name the three states of water.", "Sure! They're ice, water and steam I think.")),
            "Solid (ice), liquid (water) and gas (water vapour).",
        ),
    ),
    ask="Write a better response.",
    label="Pair",
)

_TRANSLATE_EXAMPLES = (
    (
        "Write a polite email to the landlord about a leaking tap. At most 80 words.",
        "写一封礼貌的邮件，告诉房东水龙头漏水。不超过80个词。",
    ),
    ("Why does `print(0.1 + 0.2)` not give 0.3 in Python?", "为什么在Python里 `print(0.1 + 0.2)` 的结果不是0.3？"),
)
_NAMES: dict[Language, str] = {"en": "English", "zh": "Chinese"}


@cache
def translate(into: Language) -> Lesson:
    """From English into Chinese or back."""
    there, back = _TRANSLATE_EXAMPLES, tuple((chinese, english) for english, chinese in _TRANSLATE_EXAMPLES)
    return Lesson(
        f"You translate instructions for training a language model into {_NAMES[into]}. Reply with the translation "
        "alone: natural wording, every number, name, link and piece of code as it stands. Never answer an instruction.",
        there if into == "zh" else back,
        ask=f"Translate this into {_NAMES[into]}. Do not answer it.",
    )


@cache
def classify() -> Lesson:
    """The task type of an instruction, as one of the labels."""
    listed = "\n".join(f"{label.name}: {label.what}" for label in labels().values())
    return Lesson(
        f"Each time you are given an instruction, reply with the one name of its task type from this list:\n{listed}",
        (
            ("A car uses 6 litres for 100 km. How much for 250 km?", "math"),
            ("帮我把这段话缩短成一句：我们的店周一休息，周二到周日营业。", "summarization"),
            ("Why does my list come out empty? x = []; x = x.append(3)", "code_debugging"),
            ("My flatmate never washes up. What should I say?", "advice"),
        ),
        ask="Name its task type.",
    )


@cache
def judge(rubric: str) -> Lesson:
    """A mark from 1 to 5 for a text that a teacher wrote."""
    return Lesson(
        f"You mark training data from 1 to 5. {rubric} 5: could be used as it stands. 4: a small flaw. 3: half right. "
        "2: mostly wrong. 1: useless. Be strict. Reply with the mark alone."
    )


RUBRICS = {
    "expand": (
        "You are given a seed and a new instruction that was written after it. A good new instruction is complete, "
        "makes sense, can be carried out, asks for the same type of task in the same language, and is about something "
        "else. One that answers the seed is useless."
    ),
    "translate": (
        "You are given an instruction and its translation. A good one says the same, naturally, and leaves nothing out."
    ),
    "refine": (
        "You are given a prompt and the same prompt rewritten. A good one asks for the same thing in the same "
        "language, keeps every fact, is clearer about what is wanted, and adds nothing that contradicts it. One that "
        "answers the prompt is useless."
    ),
    "respond": (
        "You are given an instruction and a response. A good response does what is asked, correctly and in full."
    ),
}
RUBRICS["rewrite"] = RUBRICS["respond"]
