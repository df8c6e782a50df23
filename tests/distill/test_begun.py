"""A training's folder takes nothing but what was begun there."""

from pathlib import Path

import pytest

from augmentlm.distill.account import digest_of
from augmentlm.distill.begun import same_begin
from augmentlm.errors import InputError


@pytest.fixture
def adapters(tmp_path) -> tuple[Path, Path]:
    found = tmp_path / "a", tmp_path / "b"
    for folder in found:
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(folder.name.encode())
    return found


def test_weights_are_known_again_wherever_their_folder_went(adapters, tmp_path) -> None:
    first, second = adapters
    same_begin(first, tmp_path / "out")
    first.rename(tmp_path / "moved")
    same_begin(tmp_path / "moved", tmp_path / "out")
    for other in (second, None):
        with pytest.raises(InputError, match="began from another adapter"):
            same_begin(other, tmp_path / "out")


def test_a_folder_without_the_note_is_known_by_its_reference(adapters, tmp_path) -> None:
    first, second = adapters
    reference = tmp_path / "out" / "reference"
    reference.mkdir(parents=True)
    (reference / f"{digest_of(first)}-0.jsonl").touch()
    with pytest.raises(InputError, match="began from another adapter"):
        same_begin(second, tmp_path / "out", ended=True)
    same_begin(first, tmp_path / "out")


def test_what_has_ended_is_compared_and_not_noted(adapters, tmp_path) -> None:
    first, second = adapters
    (tmp_path / "out").mkdir()
    same_begin(first, tmp_path / "out", ended=True)
    same_begin(second, tmp_path / "out", ended=True)
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_without_an_adapter_is_said_to_have_none(tmp_path) -> None:
    with pytest.raises(InputError, match="There is no adapter in"):
        same_begin(tmp_path, tmp_path / "out")
