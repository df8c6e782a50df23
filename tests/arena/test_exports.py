"""Votes to take away."""

import json

import pytest
from made_votes import entry, vote

from augmentlm.arena.exports import preference_rows, vote_rows
from augmentlm.distill.sets import family_of
from augmentlm.tasks import Pair, format_pair, parse


def test_the_text_that_won_is_chosen_whichever_side_it_stood_on():
    a, b = entry("a", " A text. \n"), entry("b", "B text.")
    first, second = preference_rows([vote("left", a, b), vote("right", a, b)])
    assert (first["prompt"], first["chosen"], first["rejected"]) == ("write about dogs", "A text.", "B text.")
    assert (second["chosen"], second["rejected"], second["chosen_model"]) == ("B text.", "A text.", "b")


@pytest.mark.parametrize(
    "useless",
    [
        vote("tie"),
        vote("both_bad"),
        vote("left", entry("a", "Cut o", finish="cancelled")),
        vote("left", right=entry("b", "Cut o", finish="cancelled")),
        vote("left", right=entry("b", " ")),
        vote("left", entry("a", "Same."), entry("b", "Same. ")),
    ],
)
def test_what_would_teach_nothing_or_the_wrong_thing_is_left_out(useless):
    assert list(preference_rows([useless])) == []
    assert len(list(vote_rows([useless]))) == 1


def test_votes_on_one_prompt_are_one_family_and_each_has_its_own_id():
    ids = [row["id"] for row in preference_rows([vote(), vote(id="another"), vote(prompt="write about cats")])]
    assert len(set(ids)) == 3 and [family_of(each) == family_of(ids[0]) for each in ids] == [True, True, False]


def test_pairs_come_in_the_form_that_a_model_is_trained_on():
    pairs = [{"instruction": "Say hi.", "response": "Hi."}, {"instruction": "Say bye.", "response": "Bye."}]
    [row] = preference_rows([vote(task="pair", prompt=pairs)])
    assert row["prompt"].startswith("### Instruction\n\nSay hi.\n\n### Response\n\nHi.\n\n### Instruction")
    assert parse("pair", row["prompt"]).value.instruction == "Say hi."


def test_a_model_is_not_taught_to_run_on_from_a_pair_into_another():
    pairs = [{"instruction": "Say hi.", "response": "Hi."}, {"instruction": "Say bye.", "response": "Bye."}]
    won, lost = (format_pair(Pair(f"Say {word}.", "Well.")) for word in ("yes", "no"))
    ran_on = entry("a", f"{won}\n\n### Instruction\n\n")
    [row] = preference_rows([vote("left", ran_on, entry("b", lost), task="pair", prompt=pairs)])
    assert (row["chosen"], row["rejected"]) == (won, lost)


def test_a_vote_row_is_json_with_all_that_is_needed_to_repeat_it():
    row = json.loads(json.dumps(next(vote_rows([vote()]))))
    assert {"prompt", "left", "right", "order", "winner", "judge", "sampling", "prompt_version", "at"} <= row.keys()
    assert {"model", "quantization", "engine", "weights", "text", "seed", "seconds"} <= row["left"].keys()
