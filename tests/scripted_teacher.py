"""A teacher that does what it is told, told apart by the lesson it was given. As a process of its own, which collects:
python tests/scripted_teacher.py DELAY collect …"""

from __future__ import annotations

import random
import re
import sys

from augmentlm.cli import main
from augmentlm.engines.base import Request
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.measures import embed
from scripted_cli import ScriptedPool

MODEL = "qwen2.5-coder-1.5b-instruct"
PLACES = "Kyoto Lisbon Graz Oslo Quito Perth Lagos Turin Malmo Accra Lyon Cork Bern Riga Tunis Sofia".split()
DOINGS = (
    "castles rivers puppets trams soup chess moss bells kites ferries murals jazz wool orchards stamps caves "
    "gliders otters quilts looms vines geysers docks fables tiles marbles drums herons crypts mosaics mills fjords"
).split()


class Script:
    """Plays teacher, classifier and judge; counts what it was asked."""

    def __init__(self, mark: str = "5", label: str = "planning") -> None:
        self.mark, self.label = mark, label
        self.asked: list[str] = []

    def __call__(self, request: Request) -> str:
        task, text = request.messages[0].content, request.messages[-1].content
        text = re.sub(r"^\[\w+\]\n|\n\[end\]\n\n.*$", "", text)
        self.asked.append(task)
        if "task type from this list" in task:
            return self.label
        if "You mark training data" in task:
            return self.mark
        if "You write instructions" in task:
            pick = random.Random(f"{text} {request.sampling.seed}")
            place, other = pick.sample(PLACES, 2)
            first, second, third, fourth = pick.sample(DOINGS, 4)
            return f"Plan {first} and {second} near {place}, then {third} with {fourth} towards {other}."
        if "You improve prompts" in task:
            return f"{text}请分条列出，不超过80字。" if "请" in text else f"{text} Number the points; 80 words at most."
        if "into Chinese" in task:
            number = "".join(re.findall(r"[0-9]+", text))
            return f"请安排{number}天：" + "，".join(
                random.Random(text).sample("看城堡 听钟声 下象棋 坐渡船 画壁画 放风筝".split(), 4)
            )
        return "Day one: walk. Day two: rest."


if __name__ == "__main__":
    embed.find_spec = lambda name: None  # as on a machine without torch, where starting is quick
    sys.exit(main(sys.argv[2:], pool=ScriptedPool(ScriptedEngine(Script(), delay=float(sys.argv[1])))))
