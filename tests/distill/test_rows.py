import subprocess
import sys

import pytest

from augmentlm.distill import rows
from augmentlm.errors import InputError


def test_rows_come_back_as_they_were_appended(tmp_path):
    path = tmp_path / "new folder" / "rows.jsonl"
    written = [{"id": "a", "text": "zwei\nZeilen\u2028drei"}, {"id": "b", "text": "写诗"}]
    for row in written:
        rows.append(path, row)
    assert rows.read(path) == written


def test_no_file_is_no_rows(tmp_path):
    assert rows.read(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("torn", [b'{"id": "b", "te', b'{"id": "b", "text": "\xe5\x86', b'{"id": "b"}'])
def test_a_row_that_a_kill_tore_is_dropped_and_written_over(tmp_path, torn):
    path = tmp_path / "rows.jsonl"
    rows.append(path, {"id": "a"})
    path.write_bytes(path.read_bytes() + torn)
    assert rows.read(path) == [{"id": "a"}]
    rows.append(path, {"id": "c"})
    assert rows.read(path) == [{"id": "a"}, {"id": "c"}]


def test_a_kill_in_the_first_row_leaves_a_file_that_works(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id"')
    rows.append(path, {"id": "a"})
    assert rows.read(path) == [{"id": "a"}]


@pytest.mark.parametrize("line", ["{", "3", ""])
def test_a_broken_line_inside_is_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"id": "a"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(InputError, match="Line 2"):
        rows.read(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="can't be written"):
        rows.append(tmp_path / "file" / "rows.jsonl", {})


def test_a_folder_is_one_process_s_at_a_time(tmp_path):
    folder = tmp_path / "new" / "folder"
    with rows.exclusive(folder):
        script = (
            "import sys; from pathlib import Path; from augmentlm.distill.rows import exclusive\n"
            "try:\n    exclusive(Path(sys.argv[1])).__enter__()\nexcept Exception as error:\n    print(error)"
        )
        other = [sys.executable, "-c", script, str(folder)]
        assert "Another process is working in" in subprocess.run(other, capture_output=True, text=True).stdout
    assert subprocess.run(other, capture_output=True, text=True).stdout == ""


def test_a_folder_that_can_not_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"), rows.exclusive(tmp_path / "file" / "folder"):
        pass
