import json

import pytest

from augmentlm.distill.account import account_of, export_account


@pytest.fixture
def run(tmp_path):
    """A run's folder with the adapter's in it, as `train` leaves them."""
    folder = tmp_path / "run"
    (folder / "adapter").mkdir(parents=True)
    (folder / "training.json").write_text(json.dumps({"steps": 7}))
    (folder / "loss.csv").write_text("step,loss\n1,2.0\n")
    (folder / "loss.svg").write_text("<svg/>")
    return folder


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("part", ["", "adapter"])
def test_the_account_lies_beside_the_files_of_an_adapter_or_its_folder(run, part):
    assert account_of(run / part) == {"steps": 7}


def test_an_adapter_without_an_account_has_none(tmp_path, run):
    assert account_of(tmp_path / "elsewhere") is None
    for torn in (b"{torn", b"[1]", b"\xff"):
        (run / "training.json").write_bytes(torn)
        assert account_of(run) is None


def test_account_and_loss_curve_go_with_the_adapter(run, out):
    export_account(run / "adapter", out, 1, since_begin=False)
    assert account_of(out) == {"steps": 7}
    assert (out / "loss.csv").read_text() == "step,loss\n1,2.0\n" and (out / "loss.svg").read_text() == "<svg/>"


def test_the_strengths_of_exports_are_noted_one_after_the_other(run, out, tmp_path):
    export_account(run / "adapter", out, 2.5, since_begin=True)
    (tmp_path / "again").mkdir()
    export_account(out, tmp_path / "again", 0.5, since_begin=False)
    (tmp_path / "more").mkdir()
    export_account(tmp_path / "again", tmp_path / "more", 3, since_begin=False)
    first, second = {"strength": 2.5, "of": "begin"}, {"strength": 0.5, "of": "base"}
    assert account_of(out) == {"steps": 7, "exported": [first]}
    assert account_of(tmp_path / "again") == {"steps": 7, "exported": [first, second]}
    assert account_of(tmp_path / "more") == {"steps": 7, "exported": [first, {"strength": 1.5, "of": "base"}]}
    assert account_of(run) == {"steps": 7}


def test_what_another_adapter_left_does_not_stay(run, out, tmp_path):
    export_account(run / "adapter", out, 1, since_begin=False)
    bare = tmp_path / "bare" / "adapter"
    bare.mkdir(parents=True)
    export_account(bare, out, 1, since_begin=False)
    assert not list(out.iterdir())
