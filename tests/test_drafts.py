from pathlib import Path

import pytest

from augmentlm.drafts import draft_of, write_text


def test_a_file_takes_its_place_when_all_of_it_is_written(tmp_path: Path):
    place = tmp_path / "report.json"
    place.write_text("old")
    with draft_of(place) as draft:
        draft.write_text("new")
        assert place.read_text() == "old"
    assert place.read_text() == "new" and list(tmp_path.iterdir()) == [place]


def test_a_file_stays_as_it_was_when_writing_fails(tmp_path: Path):
    place = tmp_path / "report.json"
    place.write_text("old")
    with pytest.raises(OSError, match="No space left"), draft_of(place) as draft:
        draft.write_text("ne")
        raise OSError("No space left on device")
    assert place.read_text() == "old" and list(tmp_path.iterdir()) == [place]


def test_text_is_written_as_utf8_with_bare_newlines(tmp_path: Path):
    write_text(tmp_path / "card.md", "年\nnext\n")
    assert (tmp_path / "card.md").read_bytes() == "年\nnext\n".encode()
