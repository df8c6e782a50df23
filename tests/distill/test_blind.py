import json

import pytest

from augmentlm.distill import rows
from augmentlm.distill.blind import export_blind, import_verdicts, key_of, readers
from augmentlm.distill.prompts import Prompt
from augmentlm.distill.samples import Sample
from augmentlm.errors import InputError
from augmentlm.tasks import Pair, format_pair

COUNT = 40


def samples(system: str, task: str = "refine") -> list[Sample]:
    """Texts that tell the test whose they are; the last is the same for every system."""
    written = [f"{system} writes {number}." for number in range(COUNT)] + ["The same."]
    return [
        Sample(task, Prompt(f"p-{number}", f"raw {number}"), 0, text, "stop") for number, text in enumerate(written)
    ]


OURS, THEIRS = ("ours", samples("ours")), ("theirs", samples("theirs"))


@pytest.fixture
def sheet(tmp_path):
    export_blind(tmp_path / "sheet.jsonl", OURS, THEIRS)
    return tmp_path / "sheet.jsonl"


def write(path, verdicts):
    path.write_text("\n".join(json.dumps(each) for each in verdicts), encoding="utf-8")  # no line end at the end
    return path


def test_the_sheet_tells_nothing_but_the_texts(sheet):
    items = rows.read(sheet)
    assert len(items) == COUNT  # equal texts are not shown
    assert all(item.keys() == {"id", "input", "a", "b"} for item in items)
    assert [item["input"] for item in items] != [f"raw {number}" for number in range(COUNT)]
    ours_first = sum(item["a"].startswith("ours") for item in items)
    assert 5 < ours_first < 35  # fails by chance once in a hundred thousand times


def test_of_a_text_that_runs_on_the_sheet_shows_what_is_given_out(tmp_path):
    pairs = [Pair("Name a fruit.", "Apple."), Pair("Name a bird.", "Wren.")]
    text, other = (format_pair(Pair(f"Name a {kind}.", "Some.")) for kind in ("metal", "tree"))
    left, right = (
        (name, [Sample("pair", Prompt("p", pairs), 0, written, "stop")])
        for name, written in (("ours", f"{text}\n\n### Instruction\n\nName a river."), ("theirs", other))
    )
    export_blind(tmp_path / "pairs.jsonl", left, right)
    [item] = rows.read(tmp_path / "pairs.jsonl")
    assert {item["a"], item["b"]} == {text, other}


def test_verdicts_come_back_to_those_who_earned_them(sheet, tmp_path):
    items = rows.read(sheet)
    # The reader likes ours, except in prompt 7, and can't choose in prompt 8.
    verdicts = []
    for item in items:
        letter = "a" if item["a"].startswith("ours") else "b"
        number = item["input"].split()[1]
        winner = {"7": "b" if letter == "a" else "a", "8": "tie"}.get(number, letter)
        verdicts.append({"id": item["id"], "winner": winner})
    path = import_verdicts(write(tmp_path / "read.jsonl", verdicts), key_of(sheet), "Ada", tmp_path / "out")
    assert path.parent == tmp_path / "out" / "readers"
    ((found, _),) = readers(tmp_path / "out", dict([OURS, THEIRS]))
    assert (found["judge"], found["kind"], found["left"], found["right"]) == ("Ada", "reader", "ours", "theirs")
    # The equal texts are the second tie.
    assert (found["prompts"], found["wins"], found["ties"], found["losses"]) == (COUNT + 1, COUNT - 2, 2, 1)
    assert "answers" not in found


def test_texts_that_were_made_anew_lose_their_verdicts(sheet, tmp_path):
    verdicts = [{"id": item["id"], "winner": "a"} for item in rows.read(sheet)]
    import_verdicts(write(tmp_path / "read.jsonl", verdicts), key_of(sheet), "Ada", tmp_path)
    anew = [Sample("refine", each.prompt, 0, f"{each.text} Anew.", "stop") for each in OURS[1][:10]] + OURS[1][10:]
    ((found, _),) = readers(tmp_path, {"ours": anew, "theirs": THEIRS[1]})
    assert found["prompts"] == COUNT - 10 + 1
    assert list(readers(tmp_path, {"ours": anew})) == []


def test_half_a_sheet_may_be_read_and_the_rest_later(sheet, tmp_path):
    verdicts = [{"id": item["id"], "winner": "tie"} for item in rows.read(sheet)]
    for count in (10, COUNT):
        import_verdicts(write(tmp_path / "read.jsonl", verdicts[:count]), key_of(sheet), "Ada", tmp_path)
        ((found, _),) = readers(tmp_path, dict([OURS, THEIRS]))
        assert found["ties"] == count + 1


def test_a_reader_may_say_whether_responses_answer(tmp_path):
    pair = tmp_path / "pairs.jsonl"
    export_blind(pair, ("ours", samples("ours", "pair")), ("theirs", samples("theirs", "pair")))
    verdicts = [
        {
            "id": item["id"],
            "winner": "tie",
            "a_answers": item["a"].startswith("ours"),
            "b_answers": item["b"].startswith("ours"),
        }
        for item in rows.read(pair)[:20]
    ]
    import_verdicts(write(tmp_path / "read.jsonl", verdicts), key_of(pair), "Ada", tmp_path)
    ((found, _),) = readers(tmp_path, {"ours": samples("ours", "pair"), "theirs": samples("theirs", "pair")})
    assert {name: (rate["share"], rate["rows"]) for name, rate in found["answers"].items()} == {
        "ours": (1, 20),
        "theirs": (0, 20),
    }


@pytest.mark.parametrize(
    ("verdicts", "message"),
    [
        ([{"id": "0001", "winner": "a"}, {"id": "9999", "winner": "a"}], "Line 2.*'9999' is not on the sheet"),
        ([{"id": "0001", "winner": "a"}, {"id": "0001", "winner": "b"}], "Line 2.*judged before"),
        ([{"id": "0001", "winner": "A wins"}], "Line 1.*the winner is 'A wins'"),
        ([{"id": "0001"}], "Line 1.*the winner is None"),
        (["a"], "Line 1.*not a JSON object"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_kept(sheet, tmp_path, verdicts, message):
    with pytest.raises(InputError, match=message):
        import_verdicts(write(tmp_path / "read.jsonl", verdicts), key_of(sheet), "Ada", tmp_path)
    assert not (tmp_path / "readers").exists()


def test_no_verdicts_and_no_key_are_said(sheet, tmp_path):
    (tmp_path / "read.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="no verdicts"):
        import_verdicts(tmp_path / "read.jsonl", key_of(sheet), "Ada", tmp_path)
    with pytest.raises(InputError, match="not the key"):
        import_verdicts(tmp_path / "read.jsonl", sheet, "Ada", tmp_path)


def test_a_sheet_is_not_written_over(sheet):
    with pytest.raises(InputError, match="there already"):
        export_blind(sheet, OURS, THEIRS)
