import csv
import json

import pytest

from augmentlm.distill.collect.sources import read
from augmentlm.errors import InputError, MissingExtraError


def texts(source):
    return [(raw.instruction, raw.response) for raw in read(str(source))]


def test_jsonl_is_read_with_the_names_people_use_and_a_bad_line_does_not_stop_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"instruction": "Add", "input": "2 and 3", "output": "5"}\n\n'
        "{broken\n"
        '["a list"]\n'
        '{"text": "nothing known"}\n'
        '{"Prompt": "Name a bird", "completion": "Wren"}\n'
        '{"question": "Why?", "answer": null}\n',
        encoding="utf-8",
    )
    found = list(read(str(path)))
    assert [(raw.instruction, raw.response) for raw in found if not raw.fault] == [
        ("Add\n\n2 and 3", "5"),
        ("Name a bird", "Wren"),
        ("Why?", None),
    ]
    assert [(raw.where, raw.fault.code) for raw in found if raw.fault] == [
        ("rows.jsonl: line 3", "unreadable"),
        ("rows.jsonl: line 4", "unreadable"),
        ("rows.jsonl: line 5", "no_instruction"),
    ]


@pytest.mark.parametrize(
    "row",
    [
        {
            "conversations": [
                {"from": who, "value": said} for who, said in (("system", "x"), ("human", "Q"), ("gpt", "A"))
            ]
        },
        {
            "messages": [
                {"role": who, "content": said} for who, said in (("user", "Q"), ("assistant", "A"), ("user", "x"))
            ]
        },
    ],
)
def test_of_a_chat_the_first_question_and_its_answer_count(write, row):
    assert texts(write("chats.jsonl", [row])) == [("Q", "A")]


def test_json_csv_and_parquet_hold_the_same(tmp_path):
    import pyarrow
    from pyarrow import parquet

    rows = [{"instruction": "写一首诗", "response": "春天"}, {"instruction": 'Say, "hi"\nnow', "response": "hi"}]
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    with (tmp_path / "b.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["instruction", "response"])
        writer.writeheader()
        writer.writerows(rows)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "c.parquet")
    expected = [(row["instruction"], row["response"]) for row in rows]
    assert all(texts(tmp_path / name) == expected for name in ("a.json", "b.csv", "c.parquet"))
    assert texts(tmp_path) == expected * 3


def test_families_give_their_train_split_alone_and_keep_their_names(request):
    found = list(read(str(request.config.rootpath / "data" / "families")))
    assert len(found) == 256 * 4
    assert found[0].id and found[0].id.endswith("/0") and found[0].response and found[0].category


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"\[data\]"):
        list(read(str(tmp_path / "a.parquet")))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.jsonl", None, "can't be read"),
        ("notes.docx", b"x", "is no source of seeds"),
        ("latin.csv", "instruction\nGrüße\n".encode("latin-1"), "not UTF-8"),
        ("torn.parquet", b"PAR1 no", "not a Parquet file"),
    ],
)
def test_what_can_not_be_read_is_said_in_a_sentence(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        list(read(str(tmp_path / name)))


def test_an_empty_folder_and_a_wrong_name_on_the_hub_are_said(tmp_path):
    with pytest.raises(InputError, match="no data files"):
        list(read(str(tmp_path)))
    with pytest.raises(InputError, match="no data set's name"):
        list(read("hub:open hermes"))


def test_a_data_set_of_the_hub_is_read_from_its_files(server):
    commit = "c" * 40
    body = b'{"instruction": "Name a river of Spain."}\n'
    server.repository("datasets/ada/seeds", commit, {"train.jsonl": body, "README.md": b"# no data"})
    info = server.served[f"/api/models/datasets/ada/seeds/revision/{commit}"]
    tree = server.served[f"/api/models/datasets/ada/seeds/tree/{commit}"]
    for revision in ("main", commit):
        server.served[f"/api/datasets/ada/seeds/revision/{revision}"] = info
        server.served[f"/api/datasets/ada/seeds/tree/{revision}"] = tree
    assert texts("hub:ada/seeds") == [("Name a river of Spain.", None)]
    with pytest.raises(InputError, match="ada/none can't be had"):
        texts("hub:ada/none")
