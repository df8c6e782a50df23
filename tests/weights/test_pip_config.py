"""Which indexes pip would use here."""

from __future__ import annotations

import os

import pytest

from augmentlm.weights.pip_config import DEFAULT_INDEX, pip_config


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes a configuration file for a user who has no other."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))

    def write(text: str, name: str = "chosen.conf") -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "chosen.conf"))

    return write


def test_without_settings_it_is_pypi(config):
    assert pip_config().indexes == (DEFAULT_INDEX,)
    assert pip_config().certificates is None


def test_the_configuration_file_is_obeyed(config):
    config("[global]\nindex-url = https://mirror.example/%7Eme/simple/\ncert = /authorities.pem\n")
    assert pip_config().indexes == ("https://mirror.example/%7Eme/simple",)
    assert pip_config().certificates == "/authorities.pem"


def test_the_section_of_the_command_wins(config):
    config("[download]\nindex-url = https://for-downloads/simple\n[global]\nindex_url = https://for-all/simple\n")
    assert pip_config().indexes == ("https://for-downloads/simple",)


def test_the_users_file_is_read_and_the_chosen_one_wins(config):
    config(
        "[global]\nindex-url = https://of-user/simple\nextra-index-url = https://more/simple\n", ".config/pip/pip.conf"
    )
    assert pip_config().indexes == ("https://of-user/simple", "https://more/simple")
    config("[global]\nindex-url = https://chosen/simple\n")
    assert pip_config().indexes == ("https://chosen/simple", "https://more/simple")


def test_the_environment_wins(config, monkeypatch):
    config("[global]\nindex-url = https://of-file/simple\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://of-environment/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://one/simple\nhttps://two/simple")
    assert pip_config().indexes == ("https://of-environment/simple", "https://one/simple", "https://two/simple")


def test_indexes_on_the_disk_are_left_out(config, monkeypatch):
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "file:///srv/simple https://two/simple")
    assert pip_config().indexes == (DEFAULT_INDEX, "https://two/simple")


def test_a_file_that_is_no_configuration_is_passed_over(config):
    config("index-url = https://no-section/simple\n")
    assert pip_config().indexes == (DEFAULT_INDEX,)
