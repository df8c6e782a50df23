"""Votes in their file."""

import sqlite3
import threading

import pytest
from made_votes import entry, vote

from augmentlm.arena.votes import Votes, default_path
from augmentlm.errors import InputError


def test_votes_come_back_as_they_were_given_the_oldest_first(tmp_path):
    votes = Votes(tmp_path / "new" / "votes.sqlite")
    given = [
        vote("left", prompt="写 '; DROP TABLE votes; --"),
        vote("both_bad", task="pair", prompt=[{"instruction": "a", "response": "b"}], blind=False),
    ]
    for each in given:
        votes.add(each)
    assert votes.all() == given


def test_no_file_is_no_votes_and_none_is_made_by_looking(tmp_path):
    assert Votes(tmp_path / "votes.sqlite").all() == []
    assert list(tmp_path.iterdir()) == []


def test_a_vote_given_twice_counts_once(tmp_path):
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add(vote("left", id="one"))
    votes.add(vote("right", id="one"))
    assert [each.winner for each in votes.all()] == ["right"]


def test_threads_lose_no_vote(tmp_path):
    votes = Votes(tmp_path / "votes.sqlite")
    threads = [threading.Thread(target=votes.add, args=(vote(),)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(votes.all()) == 20


def test_a_damaged_file_gets_a_sentence_and_stays_as_it_is(tmp_path):
    path = tmp_path / "votes.sqlite"
    path.write_bytes(b"not a database at all, but someone's notes\n" * 50)
    before = path.read_bytes()
    for act in (lambda: Votes(path).add(vote()), Votes(path).all):
        with pytest.raises(InputError, match=r"can't be read: the file is damaged\. Move it away"):
            act()
    assert path.read_bytes() == before


def test_rows_that_are_no_votes_get_a_sentence(tmp_path):
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add(vote())
    with sqlite3.connect(votes.path) as connection:
        connection.execute("""UPDATE votes SET "left" = '{"model": 1}'""")
    with pytest.raises(InputError, match="damaged"):
        votes.all()


def test_a_file_that_may_only_be_read_can_still_be_read(tmp_path, monkeypatch):
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add(vote())
    connect = sqlite3.connect  # root may write to any file, so the file is opened as if this user could not
    monkeypatch.setattr(sqlite3, "connect", lambda where, **more: connect(where.replace("=rwc", "=ro"), **more))
    with pytest.raises(InputError, match=r"can't be written: attempt to write a readonly database\. Check the rights"):
        votes.add(vote())
    assert len(votes.all()) == 1


def test_a_place_that_is_no_folder_gets_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        Votes(tmp_path / "file" / "votes.sqlite").add(vote())


def test_votes_of_a_newer_version_are_left_alone(tmp_path):
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add(vote())
    with sqlite3.connect(votes.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="newer AugmentLM"):
        votes.add(vote())


def test_a_turned_vote_is_the_same_vote():
    given = vote("left", entry("a"), entry("b"), order="right_first")
    turned = given.turned()
    assert (turned.winner, turned.left.model, turned.order) == ("right", "b", "left_first")
    assert turned.turned() == given


def test_votes_are_no_cache_to_be_cleared(tmp_path, monkeypatch):
    monkeypatch.delenv("AUGMENTLM_HOME", raising=False)
    assert "cache" not in str(default_path()).lower()
    monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path))
    assert default_path() == tmp_path / "votes.sqlite"


def test_nothing_in_a_row_tells_who_voted(tmp_path):
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add(vote())
    with sqlite3.connect(votes.path) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(votes)")}
    assert not columns & {"ip", "user", "name", "session", "address", "voter"}
    assert {"prompt", "left", "right", "order", "winner", "judge", "sampling", "at"} <= columns
