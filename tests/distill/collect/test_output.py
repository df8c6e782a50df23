from augmentlm.checks import Finding
from augmentlm.distill import rows
from augmentlm.distill.collect.output import families, passed, write
from augmentlm.distill.collect.seeds import Seed
from augmentlm.distill.collect.teach import Candidate

SEED = Seed("c-1/0", "Name a bird.", "en", "mine", category="open_qa")


def expansions(count, **more):
    return [Candidate(f"c-1/0/expand-{n}", "expand", SEED, f"Name thing {n}.", "stop", **more) for n in range(count)]


def answers(seeds):
    return [Candidate(f"{seed.id}/respond", "respond", seed, f"To {seed.id}", "stop") for seed in seeds]


def test_a_family_is_a_seed_and_three_expansions_that_passed():
    bad = Candidate("c-1/0/expand-9", "expand", SEED, "Bad", "stop", (Finding("length", "too long"),))
    (siblings,) = families([SEED], [bad, *expansions(5)]).values()
    assert [each.instruction for each in siblings] == [
        "Name a bird.",
        "Name thing 0.",
        "Name thing 1.",
        "Name thing 2.",
    ]
    assert families([SEED], [bad, *expansions(2)]) == {}
    assert bad not in passed([bad, *expansions(1)])


def test_a_family_is_written_only_when_all_four_have_responses(tmp_path):
    candidates = expansions(3)
    (siblings,) = families([SEED], candidates).values()
    assert write(tmp_path, [SEED], candidates, answers(siblings[:3]))["families"] == 0
    assert write(tmp_path, [SEED], candidates, answers(siblings)) == {"refine": 0, "expand": 1, "families": 1}
    (row,) = rows.read(tmp_path / "families" / "collected.jsonl")
    assert row["items"][1] == {"instruction": "Name thing 0.", "response": "To c-1/0/expand-0"}


def test_a_seed_without_expansions_is_not_in_the_expand_set(tmp_path):
    refined = Candidate("c-1/0/refine", "refine", SEED, "Name one bird of your own garden.", "stop")
    assert write(tmp_path, [SEED], [refined], []) == {"refine": 1, "expand": 0, "families": 0}
    (row,) = rows.read(tmp_path / "refine" / "collected.jsonl")
    assert row == {
        "id": "c-1/0",
        "category": "open_qa",
        "lang": "en",
        "raw": "Name a bird.",
        "refined": "Name one bird of your own garden.",
    }
