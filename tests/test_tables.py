"""Rows in and out of files: what can be read is, and what can't is told in a sentence each."""

import csv
import json
from pathlib import Path

import pytest

from augmentlm import tables
from augmentlm.errors import InputError, MissingExtraError
from augmentlm.tables import extras

ROWS = [{"instruction": "Name a bird", "response": "Wren"}, {"instruction": "说出一种鸟", "response": "=1+1"}]


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet", "datasets"])
def test_what_is_written_reads_back(tmp_path, kind) -> None:
    pytest.importorskip({"parquet": "pyarrow", "datasets": "datasets"}.get(kind, "json"))
    path = tmp_path / tables.FILES[kind]
    chat = [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}]
    for rows in (ROWS, chat):
        tables.write(path, rows, kind)
        assert [row for _, row in tables.read(path).rows] == rows
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["parquet", "datasets"])
def test_columns_that_only_later_rows_have_are_kept(tmp_path, kind) -> None:
    pytest.importorskip({"parquet": "pyarrow"}.get(kind, kind))
    path = tmp_path / tables.FILES[kind]
    tables.write(path, [{"instruction": "Name a bird"}, {**ROWS[1], "provenance": {"candidate": 7}}], kind)
    first, second = (row for _, row in tables.read(path).rows)
    assert second == {**ROWS[1], "provenance": {"candidate": 7}}
    assert first == {"instruction": "Name a bird", "response": None, "provenance": None}


@pytest.mark.parametrize("kind", tables.FILES)
def test_a_data_set_without_rows_can_be_written(tmp_path, kind) -> None:
    pytest.importorskip({"parquet": "pyarrow", "datasets": "datasets"}.get(kind, "json"))
    tables.write(tmp_path / "none", [], kind)
    assert [file.name for file in tmp_path.iterdir()] == ["none"]


def test_a_csv_runs_no_formula_and_reads_back_otherwise(tmp_path) -> None:
    path = tmp_path / "data.csv"
    tables.write(path, [*ROWS, {"instruction": "@SUM(A1)", "response": '-2, or "two"\nlines', "n": {"a": 1}}], "csv")
    cells = [cell for row in csv.reader(path.open(encoding="utf-8-sig", newline="")) for cell in row]
    assert cells == [
        *("instruction", "response", "n"),
        *("Name a bird", "Wren", ""),
        *("说出一种鸟", "'=1+1", ""),
        *("'@SUM(A1)", '\'-2, or "two"\nlines', '{"a": 1}'),
    ]
    assert tables.read(path).rows[0][1]["instruction"] == "Name a bird"


def test_a_single_row_a_byte_order_mark_and_old_line_ends_are_no_trouble(tmp_path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"instruction": "Name a bird"}\r\n')
    assert tables.read(path).rows == (("Line 1", {"instruction": "Name a bird"}),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"instruction": "Name a fi', "Line 2 breaks off in the middle."),
        ('{"instruction": "a", "instruction": "b"}', "Line 2 names instruction twice."),
        ('{"instruction": NaN}', "Line 2 holds NaN, which is not JSON."),
        ('{"instruction": "a\0b"}', "Line 2 holds a NUL character."),
        ("[1, 2]", "Line 2 is not an object with named columns."),
        ('{"instruction": a}', "Line 2 is not JSON: Expecting value."),
        ("[" * 5000, "Line 2 is not data that can be read."),
    ],
)
def test_a_line_that_cannot_be_read_is_told_and_the_rest_goes_on(line, said) -> None:
    for text in (lines(ROWS[0]) + line + "\n" + lines(ROWS[1]), lines(ROWS[0]) + line):
        table = tables.parse(text)
        assert table.problems == (said,)
        assert table.rows[0] == ("Line 1", ROWS[0])


def test_a_line_of_ten_megabytes_is_read() -> None:
    [row] = tables.parse(lines({"instruction": "x" * 10_000_000})).rows
    assert len(row[1]["instruction"]) == 10_000_000


def test_csv_with_any_of_three_separators() -> None:
    for mark in ",;\t":
        table = tables.parse(f'instruction{mark}response\n"Name a{mark} bird"{mark}Wren\n')
        assert table.rows == (("Row 1", {"instruction": f"Name a{mark} bird", "response": "Wren"}),)


def test_a_row_of_a_csv_with_too_many_cells_is_told() -> None:
    table = tables.parse("instruction,response\nName a bird,Wren,too,much\nName a fish,Carp\n")
    assert table.problems == ("Row 1 has more cells than there are columns.",)
    assert [where for where, _ in table.rows] == ["Row 2"]


def test_plain_lines_are_instructions() -> None:
    assert [row for _, row in tables.parse("[INST] odd, but a prompt\nName a bird\n\n").rows] == [
        {"instruction": "[INST] odd, but a prompt"},
        {"instruction": "Name a bird"},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no data"), (b"\n \n", "no data"), (b"\xff\xfe\x00", "not UTF-8"), (b'{"a": ', "breaks off")],
)
def test_a_file_without_rows_is_refused_in_a_sentence(tmp_path, content, said) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        tables.read(path)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        tables.read(tmp_path / "none.jsonl")


def test_a_broken_parquet_file_is_told(tmp_path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "seeds.parquet"
    path.write_bytes(b"PAR1 and then nonsense")
    with pytest.raises(InputError, match=r"seeds\.parquet is not a Parquet file"):
        tables.read(path)


def test_a_parquet_file_of_bytes_that_are_no_text_is_told(tmp_path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "seeds.parquet"
    buffers = [None, pyarrow.py_buffer(b"\0\0\0\0\2\0\0\0"), pyarrow.py_buffer(b"\xff\xfe")]
    column = pyarrow.Array.from_buffers(pyarrow.string(), 1, buffers)
    parquet.write_table(pyarrow.table({"instruction": column}), path)
    with pytest.raises(InputError, match=r"seeds\.parquet is not a Parquet file"):
        tables.read(path)


def test_without_the_extra_a_sentence_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pyarrow.*\[data\]"):
        tables.read(tmp_path / "seeds.parquet")
    with pytest.raises(MissingExtraError, match="datasets"):
        tables.read("owner/name")


def test_a_data_set_of_the_hub_that_cannot_be_had_is_told(monkeypatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("no network")))
    with pytest.raises(InputError, match=r"owner/name is no file here.*no network"):
        tables.read("owner/name")


def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    path = tmp_path / "data.jsonl"
    tables.write(path, ROWS, "jsonl")
    (tmp_path / "data.jsonl.part").symlink_to(full)
    with pytest.raises(InputError, match=r"No space left.*Free some space"):
        tables.write(path, [*ROWS, {"instruction": "x" * 100_000}], "jsonl")
    assert path.read_text() == lines(*ROWS)


def test_a_data_sets_folder_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch) -> None:
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "dataset"
    tables.write(path, ROWS, "datasets")

    def full(self, folder) -> None:
        Path(folder).mkdir()
        (Path(folder) / "data.arrow").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets.Dataset, "save_to_disk", full)
    with pytest.raises(InputError, match="No space left"):
        tables.write(path, ROWS * 2, "datasets")
    assert [row for _, row in tables.read(path).rows] == ROWS
    assert [file.name for file in tmp_path.iterdir()] == ["dataset"]


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("null", "Line 1 is not an object with named columns."),
        ("{}", None),
        ("# comment", "Line 1 is not JSON"),
        ('nstruction": "x"}', "Line 1 is not JSON"),
        ("{'instruction': 'x'}", "Line 1 is not JSON"),
    ],
)
def test_a_file_of_json_is_read_as_that_however_it_begins(tmp_path, first, why) -> None:
    file = tmp_path / "seeds.jsonl"
    file.write_text(f'{first}\n{{"instruction": "Write a poem"}}\n', encoding="utf-8")
    table = tables.read(file)
    assert table.rows[-1] == ("Line 2", {"instruction": "Write a poem"})
    assert all(row != {"instruction": first} for _, row in table.rows)
    assert not why or table.problems[0].startswith(why)
