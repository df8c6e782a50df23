import threading

import pytest

from augmentlm.augmenter import load
from augmentlm.distill import rows
from augmentlm.distill.judge import Outcome, Verdict, answering, compare, outcome, read_winner, read_yes_no
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import Sample
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import EngineError
from augmentlm.tasks import Pair, format_pair
from scripted_cli import ScriptedPool
from scripted_refusals import RefusingEngine, filtered

STOP = threading.Event()
JUDGE = "qwen2.5-coder-1.5b-instruct"


def judging(script):
    """A judge on the scripted engine, and the questions it was asked."""
    asked = []

    def answer(request):
        asked.append(request)
        return script(request.messages[-1].content)

    return load("respond", JUDGE, pool=ScriptedPool(ScriptedEngine(answer))), asked


def texts(*written: str) -> list[Sample]:
    return [Sample("refine", Prompt(f"p-{n}", f"raw {n}"), 0, text, "stop") for n, text in enumerate(written)]


def prefers(word: str):
    """A judge that prefers the text with a word in it, wherever it stands."""
    return lambda question: "A" if word in question.split("[B]")[0] else "B" if word in question else "Tie"


GOOD, BAD = texts("A splendid prompt.", "A splendid prompt, too."), texts("Poor.", "Poorer.")


def test_the_better_text_wins_in_both_orders(tmp_path):
    judge, asked = judging(prefers("splendid"))
    assert compare(judge, GOOD, BAD, tmp_path / "v.jsonl", stop=STOP) == [
        Verdict("p-0", "left"),
        Verdict("p-1", "left"),
    ]
    assert len(asked) == 4 and {request.sampling.temperature for request in asked} == {0.0}
    other, _ = judging(prefers("splendid"))
    assert [each.winner for each in compare(other, BAD, GOOD, tmp_path / "w.jsonl", stop=STOP)] == ["right", "right"]


def test_a_judge_that_always_says_a_contradicts_itself(tmp_path):
    judge, _ = judging(lambda question: "A")
    assert compare(judge, GOOD[:1], BAD[:1], tmp_path / "v.jsonl", stop=STOP) == [
        Verdict("p-0", "tie", contradicted=True)
    ]


def test_a_win_in_one_order_and_a_tie_in_the_other_is_a_tie(tmp_path):
    replies = iter(["A", "Tie"])
    judge, _ = judging(lambda question: next(replies))
    assert compare(judge, GOOD[:1], BAD[:1], tmp_path / "v.jsonl", stop=STOP) == [Verdict("p-0", "tie")]


@pytest.mark.parametrize("nonsense", ["", "Both have merits.", "A good rewrite keeps the facts", "C", "42"])
def test_nonsense_is_a_tie_and_counted(tmp_path, nonsense):
    judge, _ = judging(lambda question: nonsense)
    found = compare(judge, GOOD, BAD, tmp_path / "v.jsonl", stop=STOP)
    assert Outcome.of(found) == Outcome(wins=0, ties=2, losses=0, contradicted=0, unreadable=2)


def test_equal_texts_are_a_tie_without_a_question(tmp_path):
    judge, asked = judging(lambda question: "A")
    assert compare(judge, GOOD, texts("A splendid prompt. \n"), tmp_path / "v.jsonl", stop=STOP) == [
        Verdict("p-0", "tie")
    ]
    assert asked == []


def test_a_rerun_asks_only_about_texts_that_changed(tmp_path):
    path = tmp_path / "v.jsonl"
    compare(judging(prefers("splendid"))[0], GOOD, BAD, path, stop=STOP)
    judge, asked = judging(prefers("splendid"))
    changed = [GOOD[0], *texts("x", "A very splendid prompt.")[1:]]
    assert [each.winner for each in compare(judge, changed, BAD, path, stop=STOP)] == ["left", "left"]
    assert len(asked) == 2
    assert [row["judge"] for row in rows.read(path)] == [JUDGE] * 3


def test_what_the_judge_reads_holds_the_prompt_and_both_texts_and_no_names(tmp_path):
    judge, asked = judging(lambda question: "Tie")
    compare(judge, GOOD[:1], BAD[:1], tmp_path / "v.jsonl", stop=STOP)
    first, second = (request.messages[-1].content for request in asked)
    assert first.index("raw 0") < first.index("A splendid prompt.") < first.index("Poor.")
    assert second.index("Poor.") < second.index("A splendid prompt.")
    assert "qwen" not in first.lower() and "left" not in first


@pytest.mark.parametrize(
    ("reply", "winner"),
    [
        ("A", "A"),
        (" b. ", "B"),
        ("**B**", "B"),
        ("Tie", "Tie"),
        ("Answer: A", "A"),
        ("The better one is B.", "B"),
        ("Option A is better", "A"),
        ("Both are fine, but the second is clearer.\n\nVerdict: B", "B"),
        ("A is a copy. B is better.", None),
        ("Neither", None),
    ],
)
def test_a_verdict_is_read_where_it_stands_alone(reply, winner):
    assert read_winner(reply) == winner


@pytest.mark.parametrize(
    ("reply", "answer"),
    [("Yes", True), ("no.", False), ("Yes, it does.", True), ("Answer: No", False), ("Maybe", None)],
)
def test_yes_and_no_are_read(reply, answer):
    assert read_yes_no(reply) is answer


def test_the_share_is_of_the_decided():
    verdicts = [Verdict("p", winner) for winner in ["left"] * 39 + ["tie"] * 3 + ["right"] * 14]
    decided = Outcome.of(verdicts).as_json()["decided"]
    assert (decided["share"], round(decided["low"], 2), round(decided["high"], 2)) == (0.7358, 0.60, 0.84)
    assert Outcome.of([Verdict("p", "tie")]).as_json()["decided"]["share"] is None


def test_of_a_text_that_runs_on_the_judge_sees_what_is_given_out(tmp_path):
    context = [Pair("Name a fruit.", "Apple."), Pair("Name a bird.", "Wren.")]
    left, right = (format_pair(Pair(f"Name a {kind}.", "Iron.")) for kind in ("metal", "tree"))
    made = [
        [Sample("pair", Prompt("p", context), 0, text, "stop")]
        for text in (f"{left}\n\n### Instruction\n\nName a river.", right)
    ]
    judge, asked = judging(lambda question: "A")
    compare(judge, *made, tmp_path / "v.jsonl", stop=STOP)
    assert asked and all(left in (question := each.messages[-1].content) and "river" not in question for each in asked)


def test_responses_are_asked_about_one_by_one(tmp_path):
    context = [Pair("Name a fruit.", "Apple."), Pair("Name a bird.", "Wren.")]
    written = [format_pair(Pair("Name a metal.", "Iron.")), format_pair(Pair("Name a tree.", "Iron.")), "no pair"]
    samples = [Sample("pair", Prompt(f"p-{n}", context), 0, text, "stop") for n, text in enumerate(written)]
    judge, asked = judging(lambda question: "Yes" if "metal" in question else "No")
    path = tmp_path / "v.jsonl"
    assert answering(judge, samples, path, stop=STOP) == [("p-0", True), ("p-1", False)]
    assert answering(judge, samples, path, stop=STOP) == [("p-0", True), ("p-1", False)]
    assert len(asked) == 2 and "Name a fruit" not in asked[0].messages[-1].content


def test_what_the_judge_takes_no_part_in_is_unreadable_and_not_asked_again(tmp_path):
    engine = RefusingEngine(
        lambda request: prefers("splendid")(request.messages[-1].content),
        lambda request: "Poorer." in request.messages[-1].content,
    )
    judge = load("respond", JUDGE, pool=ScriptedPool(engine))
    path = tmp_path / "v.jsonl"
    found = compare(judge, GOOD, BAD, path, stop=STOP)
    assert found == [Verdict("p-0", "left"), Verdict("p-1", "tie", unreadable=True)]
    assert [row.get("refused") for row in rows.read(path)] == [None, [str(filtered())] * 2]
    count = len(engine.asked)
    assert compare(judge, GOOD, BAD, path, stop=STOP) == found and len(engine.asked) == count


def test_a_judge_that_refuses_everything_ends_the_run(tmp_path):
    judge = load("respond", JUDGE, pool=ScriptedPool(RefusingEngine(lambda request: "A", lambda request: True)))
    with pytest.raises(EngineError, match="content filter"):
        compare(judge, GOOD, BAD, tmp_path / "v.jsonl", stop=STOP)
    assert rows.read(tmp_path / "v.jsonl") == []


def test_what_length_alone_won_is_taken_away():
    numbers = range(200)
    longer = [number % 4 != 0 for number in numbers]  # the left text is, three times of four
    wins = [long != (number % 5 == 0) for number, long in enumerate(longer)]  # and the longer one four times of five

    def texts(lengths):
        return [Sample("refine", Prompt(f"p-{n}", "x"), 0, "a" * length, "stop") for n, length in enumerate(lengths)]

    left, right = texts(90 if long else 30 for long in longer), texts(60 for _ in numbers)
    verdicts = [Verdict(f"p-{number}", "left" if won else "right") for number, won in enumerate(wins)]
    found = outcome(verdicts, left, right)
    alike = found["length_controlled"]
    assert found["decided"]["low"] > 0.5 and alike["low"] < 0.5 < alike["high"] and alike["phi"] > 0
    assert outcome(verdicts[:20], left, right)["length_controlled"] is None
