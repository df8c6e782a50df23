import numpy as np
import pytest

from augmentlm.distill.kinds import Kinds
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import Sample
from augmentlm.distill.scores import outcomes, score
from augmentlm.tasks import Pair, format_pair

KINDS = Kinds(np.eye(2), ["trip-1", "poem-1"], ["trip", "poem"])
SEED = "Plan a three-day trip to Kyoto for two people who like temples."
PAIRS = [Pair("Name a fruit that grows on trees.", "Apple."), Pair("Name a bird that can't fly.", "Emu.")]


def embed(texts):
    """Trips lie on one axis and everything else on the other."""
    return np.array([[1.0, 0.0] if "trip" in text else [0.0, 1.0] for text in texts]).reshape(-1, 2)


def refined(raw: str, text: str, finish="stop") -> Sample:
    return Sample("refine", Prompt(raw, raw), 0, text, finish)


def expanded(text: str, number: int = 0, seed: str = SEED) -> Sample:
    return Sample("expand", Prompt(seed, seed, "trip-1"), number, text, "stop")


def holds(sample: Sample, **options) -> dict[str, bool]:
    return outcomes([sample], **options)[0].holds


def test_a_good_refinement_holds_everything():
    found = outcomes([refined("3 facts about mars", "List 3 facts about Mars in simple words.")])[0]
    assert found.holds == dict.fromkeys(
        ("valid", "no_preamble", "language_kept", "not_answered", "reworked", "facts_kept"), True
    )
    assert found.failed == []


@pytest.mark.parametrize(
    ("raw", "text", "finish", "failed"),
    [
        ("3 facts about mars", "List some facts about Mars for children.", "stop", ["facts_kept"]),
        ("facts about mars", "Mars is the fourth planet.", "stop", ["not_answered"]),
        ("facts about mars", "Sure, here is the prompt: List ten facts about Mars.", "stop", ["no_preamble"]),
        ("facts about mars", "请列出关于火星的事实。", "stop", ["language_kept"]),
        ("facts about mars", "Facts about Mars", "stop", ["reworked"]),
        ("facts about mars", "List ten facts about Mars for children and", "length", ["valid"]),
        ("facts about mars", "", "stop", ["valid", "no_preamble", "language_kept", "not_answered", "reworked"]),
    ],
)
def test_what_failed_of_a_refinement_is_named(raw, text, finish, failed):
    assert outcomes([refined(raw, text, finish)])[0].failed == failed


def test_facts_are_asked_of_prompts_that_have_some():
    assert "facts_kept" not in holds(refined("facts about mars", "List facts about Mars."))


def test_an_expansion_has_to_be_novel_and_of_its_kind_to_be_good():
    good = holds(expanded("Organise a weekend trip by train for a school choir."), embed=embed, kinds=KINDS)
    assert good["novel"] and good["same_kind"] and good["good"]
    copy = holds(expanded("Plan a three-day trip to Osaka for two people who like temples."), embed=embed, kinds=KINDS)
    assert copy["same_kind"] and not copy["novel"] and not copy["good"]
    drift = holds(expanded("Write a poem about an old bicycle."), embed=embed, kinds=KINDS)
    assert drift["novel"] and not drift["same_kind"] and not drift["good"]
    answer = holds(expanded("Day 1 of the trip: Fushimi Inari in the morning."), embed=embed, kinds=KINDS)
    assert answer["same_kind"] and not answer["not_answered"] and not answer["good"]


def test_without_families_kinds_are_not_told():
    text = "Organise a weekend trip by train for a school choir."
    stranger = Sample("expand", Prompt("mine-0001", SEED), 0, text, "stop")
    for found in (holds(expanded(text)), holds(stranger, embed=embed, kinds=KINDS)):
        assert "same_kind" not in found and "good" not in found


def test_a_pair_that_does_not_parse_fails_everything():
    context = Prompt("p", PAIRS, "poem-1")
    parsed = Sample("pair", context, 0, format_pair(Pair("Which metal is liquid at 20 degrees?", "Mercury.")), "stop")
    chatter = Sample("pair", context, 0, "Here are some ideas for you.", "stop")
    found = outcomes([parsed, chatter], embed, KINDS)
    assert found[0].failed == []
    assert not any(found[1].holds.values())
    assert "not_answered" not in found[0].holds  # its response is an answer, and should be


def test_the_score_counts_rates_over_samples_and_texts_once():
    first, second = "Organise a weekend trip by train for a choir.", "Suggest a hiking trip in Norway in May."
    samples = [expanded(first), expanded(second, 1), expanded(first, 2), expanded(first, 0, "Another seed about tea.")]
    found = score(outcomes(samples, embed, KINDS), embed)
    assert found["rates"]["good"] == {
        "share": 1.0,
        "low": 0.3424,  # two prompts: 2 of 2
        "high": 1.0,
        "passed": 4,
        "rows": 4,
        "prompts": 2,
    }
    # Of three samples two differ; the prompt with one sample does not count.
    assert found["distinct_samples"]["of"] == 3 and found["distinct_samples"]["mean"] == 2
    assert found["distinct_samples"]["rate"]["passed"] == 1
    assert found["length"] == {"en": {"texts": 2, "mean": 9, "median": 9}}
    assert (found["self_bleu"], found["spread"]) == (1.0, 0.0)


def test_single_samples_have_no_distinctness_and_no_embedder_no_spread():
    found = score(outcomes([refined("mars", "List facts about Mars.")]))
    assert found["distinct_samples"] is None and found["spread"] is None


def test_eight_samples_may_have_one_repeat():
    ideas = "tea owls rivers trains chess snow bread".split()
    texts = [f"Write about {idea} {idea} {idea} {idea}." for idea in ideas]
    one = score(outcomes([expanded(text, n) for n, text in enumerate([*texts, texts[0]])]))["distinct_samples"]
    two = score(outcomes([expanded(text, n) for n, text in enumerate([*texts[:6], texts[0], texts[1]])]))
    assert (one["mean"], one["at_least"], one["rate"]["share"]) == (7, 7, 1)
    assert two["distinct_samples"]["mean"] == 6 and two["distinct_samples"]["rate"]["share"] == 0
