import json

import pytest

from augmentlm.distill.collect.sources import read
from augmentlm.errors import InputError


def texts(source):
    return [(raw.instruction, raw.response, raw.category) for raw in read(str(source))]


def test_rows_come_with_their_responses_and_a_bad_line_does_not_stop_the_others(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"instruction": "Add", "input": "2 and 3", "output": "5"}\n'
        "{broken\n"
        '{"instruction": "Name a bird", "output": "Wren", "category": "open_qa"}\n',
        encoding="utf-8",
    )
    found = list(read(str(path)))
    good = [(raw.instruction, raw.response, raw.category) for raw in found if not raw.fault]
    assert good == [("Add\n\n2 and 3", "5", None), ("Name a bird", "Wren", "open_qa")]
    assert [(raw.where, raw.fault.code) for raw in found if raw.fault] == [("rows.jsonl: line 2", "unreadable")]


def test_a_data_set_in_parquet_and_chats_are_read(tmp_path):
    import pyarrow
    from pyarrow import parquet

    rows = [{"instruction": "写一首诗", "response": "春天"}, {"instruction": "Say hi", "response": "hi"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    assert texts(tmp_path / "rows.parquet") == [(row["instruction"], row["response"], None) for row in rows]
    chat = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    (tmp_path / "chats.jsonl").write_text(json.dumps({"conversations": chat}) + "\n", encoding="utf-8")
    assert texts(tmp_path / "chats.jsonl") == [("Q", "A", None)]


def test_of_a_longer_chat_the_first_question_counts_without_the_last_answer(write):
    said = [
        ("system", "Be brief"),
        ("user", "First?"),
        ("assistant", "One."),
        ("user", "And then?"),
        ("assistant", "Two."),
    ]
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    assert texts(write("chats.jsonl", [row])) == [("First?", None, None)]


def test_families_give_their_train_split_alone_and_keep_their_names(request):
    found = list(read(str(request.config.rootpath / "data" / "families")))
    assert len(found) == 416 * 4
    assert found[0].id and found[0].id.endswith("/0") and found[0].response and found[0].category


@pytest.mark.parametrize("name", ["none.jsonl", "notes.docx"])
def test_what_is_not_there_is_said_in_a_sentence(tmp_path, name):
    with pytest.raises(InputError, match="can't be read"):
        list(read(str(tmp_path / name)))
