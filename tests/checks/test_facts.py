import pytest

from augmentlm.checks.facts import Fact, find, lost


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("meet Anna at 5 near the Louvre", [("name", "Anna"), ("number", "5"), ("name", "Louvre")]),
        ("see https://example.org/a?b=1. thanks", [("link", "https://example.org/a?b=1")]),
        ("mail ann@example.org about `x = 1`", [("link", "ann@example.org"), ("code", "`x = 1`")]),
        ('translate "good night" to Greek', [("quote", '"good night"'), ("name", "Greek")]),
        ("dear {name}, you owe $1,200", [("placeholder", "{name}"), ("number", "$1,200")]),
        ("why does useEffect loop", [("code", "useEffect")]),
        ("用Python写一个函数，返回前3个", [("name", "Python"), ("number", "3")]),
        ("Write to Köln about Müller", [("name", "Köln"), ("name", "Müller")]),
        ("ask Zoë and Łukasz in Málaga", [("name", "Zoë"), ("name", "Łukasz"), ("name", "Málaga")]),
        ("a café for ōmi", []),
        ("Write about dogs. Keep it short.", []),
        ("I think OK pls", []),
        ("READ THIS NOW", []),
    ],
)
def test_hard_facts_are_found(text, facts):
    assert find(text) == tuple(Fact(kind, value) for kind, value in facts)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("give me 3 ideas", "List three ideas."),
        ("costs $1,200", "The price is 1200 dollars."),
        ("two places: Rome and Oslo", "Compare ROME with Oslo."),
        ("read 5GB csv", "Read a CSV of 5 GB."),
        ("in 3rd person", "in the third person"),
        ("写3句话", "请写三句话。"),
        ("写20句话", "请写二十句话。"),
        ("花了105元，买25个", "花了一百零五元，买二十五个。"),
        ("write 25 lines", "Write twenty-five lines."),
        ("write 25 lines", "Write just twenty five lines."),
        ("2025年的计划", "二零二五年的计划"),
        ("for 17 guests", "For seventeen guests."),
        ("call it `my_var`", "Call it my_var."),
    ],
)
def test_facts_said_otherwise_are_kept(source, output):
    assert lost(source, output) == ()


def test_a_changed_number_and_a_dropped_name_are_lost():
    missing = lost("book 3 nights in Lisbon for Maria", "Book two nights in Lisbon.")
    assert [fact.text for fact in missing] == ["3", "Maria"]
    assert [fact.text for fact in lost("write to Müller in Köln", "Write to Muller in Köln.")] == ["Müller"]
    assert [fact.text for fact in lost("写20句话", "请写二十五句话。")] == ["20"]


def test_a_number_inside_another_number_does_not_count_as_kept():
    assert [fact.text for fact in lost("wait 5 days", "Wait 15 days.")] == ["5"]
