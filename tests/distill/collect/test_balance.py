from collections import Counter
from dataclasses import replace

import pytest

from augmentlm.distill.collect.balance import MOST_FROM_ONE, apportion, balance
from augmentlm.distill.collect.seeds import Seed
from augmentlm.distill.sets import family_of

SHARES = {"math": 0.5, "planning": 0.5}


def seeds(category, count, language="en"):
    return [
        Seed(f"{category}-{language}-{n}/0", f"{category} {n}", language, "mine", category=category, how="given")
        for n in range(count)
    ]


@pytest.mark.parametrize("size", [1, 7, 35, 100])
def test_numbers_add_up_and_are_near_their_shares(size):
    found = apportion({"a": 0.5, "b": 0.3, "c": 0.2}, size)
    assert sum(found.values()) == size
    assert all(abs(found[name] - share * size) < 1 for name, share in {"a": 0.5, "b": 0.3, "c": 0.2}.items())


def test_full_classes_are_thinned_out_and_every_run_chooses_alike():
    given = seeds("math", 20) + seeds("planning", 5)
    first, again = balance(given, SHARES, 10, 0), balance(given[::-1], SHARES, 10, 0)
    assert len(first.kept) == 10 and {seed.id for seed in first.kept} == {seed.id for seed in again.kept}
    assert len(first.rejects) == 15
    assert first.rejects[0].findings[0].evidence == "20 of math, 5 wanted"
    assert first.growth == []


def test_thin_classes_are_grown_from_their_seeds_but_not_too_often():
    plan = balance(seeds("math", 20) + seeds("planning", 1), SHARES, 20, 0)
    assert len(plan.growth) == MOST_FROM_ONE
    assert {(each.work, each.origin.instruction) for each in plan.growth} == {("expand", "planning 0")}
    assert {family_of(each.id) for each in plan.growth} == {"planning-en-0"}
    assert len({each.id for each in plan.growth}) == MOST_FROM_ONE


def test_a_class_without_seeds_grows_from_its_own_example():
    plan = balance(seeds("math", 4), SHARES, 4, 0)
    assert {each.origin.source for each in plan.growth} == {"the category's example"}
    assert {each.origin.category for each in plan.growth} == {"planning"}


def test_chinese_that_is_lacking_is_translated_from_what_would_be_left_out():
    plan = balance(seeds("math", 20) + seeds("planning", 10), SHARES, 20, 0.2)
    translated = [each for each in plan.growth if each.work == "translate"]
    assert len(translated) == 4 and {each.language for each in translated} == {"zh"}
    assert not {each.origin.id for each in translated} & {seed.id for seed in plan.kept}
    assert len(plan.kept) + len(plan.growth) == 20


def test_chinese_that_is_there_is_kept_first():
    plan = balance(seeds("math", 20) + seeds("math", 2, "zh"), {"math": 1}, 6, 0.25)
    assert sum(seed.language == "zh" for seed in plan.kept) == 2 and plan.growth == []


def test_chinese_that_would_be_left_out_comes_before_a_translation():
    given = seeds("math", 3) + seeds("math", 1, "zh") + seeds("planning", 3) + seeds("planning", 1, "zh")
    plan = balance(given, SHARES, 2, 1)
    assert [seed.language for seed in plan.kept] == ["zh", "zh"] and plan.growth == []
    plan = balance(given, SHARES, 4, 1)
    assert sum(seed.language == "zh" for seed in plan.kept) == 2
    assert [each.work for each in plan.growth] == ["translate", "translate"]


def test_a_thin_class_is_translated_where_chinese_is_lacking():
    plan = balance(seeds("math", 10) + seeds("planning", 2), SHARES, 8, 0.25)
    assert [(each.work, each.origin.category) for each in plan.growth] == [("translate", "planning")] * 2


def test_siblings_that_are_grown_from_have_names_of_their_own():
    siblings = [replace(seed, id=f"math-07/{n}") for n, seed in enumerate(seeds("math", 6))]
    others = [replace(seed, id=f"planning-07/{n}") for n, seed in enumerate(seeds("planning", 2))]
    plan = balance(siblings + others, {"math": 0.25, "planning": 0.75}, 8, 0.5)
    names = [each.id for each in plan.growth]
    works = Counter((each.work, each.origin.family) for each in plan.growth)
    assert works["translate", "math-07"] == 2 and works["translate", "planning-07"] == 2
    assert len(names) == len(set(names))
    assert {family_of(each.id) == each.origin.family for each in plan.growth} == {True}
    assert balance((siblings + others)[::-1], {"math": 0.25, "planning": 0.75}, 8, 0.5).growth == plan.growth
