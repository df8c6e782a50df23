import threading

import pytest

from augmentlm.distill import rows
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import System
from augmentlm.distill.self_instruct import Made, as_pair, bootstrap, read
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import StoppedError
from augmentlm.tasks import Pair
from scripted_cli import ScriptedPool

BASE = System("qwen2.5-coder-0.5b-instruct")
PROMPTS = [Prompt(f"p-{n}", f"Name {n} rivers of Europe and say where each begins") for n in range(12)]
PROMPTS.append(Prompt("zh-1", "写一首关于秋天的诗"))


class Script:
    def __init__(self):
        self.asked = []

    def __call__(self, request):
        self.asked.append(request.messages[-1].content)
        return f"Task 9: Draw owl number {len(self.asked)}.\nTask 10: Draw more."


def run(tmp_path, script, prompts=PROMPTS, task="expand", **options):
    return bootstrap(task, BASE, prompts, tmp_path, pool=ScriptedPool(ScriptedEngine(script)), **options)


def test_each_prompt_shows_eight_seeds_in_its_language_and_gets_one_new_instruction(tmp_path):
    script = Script()
    made = run(tmp_path, script)
    assert [each.id for each in made] == [prompt.id for prompt in PROMPTS]
    assert made[0] == Made("p-0", "Draw owl number 1.")
    assert script.asked[0].startswith("Come up with a series of tasks:")
    assert script.asked[0].count("rivers of Europe") == 8 and script.asked[0].endswith("Task 9:")
    assert "写一首" in script.asked[-1] and "rivers" not in script.asked[-1]


def test_a_rerun_asks_nothing_and_finds_the_same(tmp_path):
    first, again = run(tmp_path, Script()), Script()
    assert run(tmp_path, again) == first and again.asked == []


def test_other_seeds_are_other_questions(tmp_path):
    run(tmp_path, Script())
    again = Script()
    run(tmp_path, again, prompts=[*PROMPTS[:4], Prompt("p-x", "Sing")])
    assert len(again.asked) == 5


def test_a_reply_ends_where_the_next_instruction_begins(tmp_path):
    def script(request):
        return f"Task 9: Draw an owl.\nTask 10: {'Draw more. ' * 40}"

    run(tmp_path, script, prompts=PROMPTS[:1])
    [row] = rows.read(next(tmp_path.glob("*.jsonl")))
    assert row["text"].startswith("Task 9: Draw an owl.") and row["text"].count("Draw more") <= 1


def test_it_may_write_as_much_as_the_systems_that_it_is_held_against(tmp_path):
    run(tmp_path, lambda request: "word " * 30, prompts=PROMPTS[:1], max_tokens=7)
    [row] = rows.read(next(tmp_path.glob("*.jsonl")))
    assert len(row["text"].split()) == row["sampling"]["max_tokens"] == 7


def test_for_pairs_the_base_answers_its_own_instructions(tmp_path):
    pairs = [Prompt("f-1", [Pair("Name a river", "Rhine"), Pair("Name a lake", "Garda")])]
    script = Script()
    (made,) = run(tmp_path, script, prompts=pairs, task="pair")
    assert script.asked[1] == "Draw owl number 1."
    assert as_pair(made) == Pair("Draw owl number 1.", "Task 9: Draw owl number 2.\nTask 10: Draw more.")


def test_a_stopped_run_keeps_what_was_made(tmp_path):
    stop, script = threading.Event(), Script()

    def told(name, done, total):
        if done == 3:
            stop.set()

    with pytest.raises(StoppedError):
        run(tmp_path, script, stop=stop, told=told)
    again = Script()
    run(tmp_path, again)
    assert len(again.asked) == len(PROMPTS) - 3


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        ("Task 9: Sort the list.", "Sort the list."),
        ("9. Sort the list.\n10. Stop", "Sort the list."),
        ("Sort the list\nof names.\n\nTask 10: x", "Sort the list\nof names."),
        ("Task 9:", None),
        ("  \n", None),
    ],
)
def test_the_first_instruction_of_a_reply_is_read(text, instruction):
    assert read(text) == instruction
