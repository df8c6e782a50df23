"""A model as judge, on the scripted engine."""

import threading

import pytest
from made_votes import entry, vote

from augmentlm.arena.judged import agreement, compare
from augmentlm.arena.votes import PEOPLE, Votes
from augmentlm.augmenter import load
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import System
from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.errors import InputError
from scripted_cli import ScriptedPool

SMALL, LARGE = System("augmentlm-0.5b-refine"), System("qwen2.5-coder-1.5b-instruct")
PROMPTS = [Prompt(f"p-{number}", f"write about {name}") for number, name in enumerate(("dogs", "cats", "owls", "rain"))]


def answers(request):
    """Small writes "splendid" about dogs and cats, large about owls, nobody about rain; a judge likes it."""
    asked = request.messages[-1].content
    if "[A]" in asked:
        first, second = ("splendid" in part for part in asked.split("[A]")[1].split("[B]"))
        return "A" if first > second else "B" if second > first else "Tie"
    small = request.adapter is not None
    liked = ("dogs", "cats") if small else ("owls",)
    return f"Write a {'splendid' if any(name in asked for name in liked) else 'plain'} text by {small}."


@pytest.fixture
def judge(tmp_path):
    """Compare on the scripted engine; gives what came of it, and counts what the engine was asked."""
    asked = []

    def script(request):
        asked.append(request)
        return answers(request)

    pool = ScriptedPool(ScriptedEngine(script))
    votes = Votes(tmp_path / "votes.sqlite")

    def run(systems=(SMALL, LARGE)):
        before = len(asked)
        found = compare("refine", PROMPTS, systems, LARGE, tmp_path / "out", votes=votes, pool=pool)
        return found, len(asked) - before

    run.votes, run.pool = votes, pool
    return run


def test_wins_ties_and_losses_are_counted_and_kept_as_votes_of_the_judge(judge):
    found, asked = judge()
    assert (found.standing.wins, found.standing.ties, found.standing.losses) == (2, 1, 1)
    assert asked == 8 + 8  # four texts each, four pairs in both orders
    assert found.judges_itself and found.people is None and found.agreement is None
    kept = judge.votes.all()
    assert {each.judge for each in kept} == {LARGE.model} and len(kept) == 4
    assert {each.order for each in kept} == {"both"}
    assert kept[0].left.weights["adapter"].startswith("sha256:") and kept[0].left.seed is not None


def test_again_asks_nothing_and_counts_no_vote_twice(judge):
    judge()
    found, asked = judge()
    assert asked == 0 and found.standing.votes == 4
    assert len(judge.votes.all()) == 4


def test_agreement_with_what_people_said_of_the_same_two(judge):
    judge()
    small, large = (getattr(judge.votes.all()[0], side) for side in ("left", "right"))

    def said(winner, left, right):
        sides = entry(small.model, left, weights=small.weights), entry(large.model, right, weights=large.weights)
        judge.votes.add(vote(winner, *sides))

    said("left", "A splendid text.", "A text.")
    said("right", "A splendid text.", "A text, too.")
    said("both_bad", "Poor.", "Poorer.")
    judge.votes.add(vote("left", entry("another"), entry("large")))
    found, _ = judge()
    assert (found.agreement.same, found.agreement.votes) == (2, 3)
    assert found.people.judge == PEOPLE and found.people.votes == 3
    assert found.as_json()["agreement"]["same"] == 2


def test_a_vote_with_the_sides_exchanged_agrees_all_the_same(judge, tmp_path):
    asked = load("respond", LARGE.model, pool=judge.pool)
    votes = [vote("right", entry("b", "Dull."), entry("a", "A splendid text."))]
    assert agreement(asked, votes, tmp_path / "v.jsonl", stop=threading.Event()).same == 1


def test_a_model_is_not_held_against_itself(judge):
    with pytest.raises(InputError, match="Both sides are the same model"):
        judge((SMALL, SMALL))
