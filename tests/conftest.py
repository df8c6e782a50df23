"""What tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_server import FileServer
from tiny_models import write_base
from tiny_weights import closed_port


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[FileServer]:
    """A hub and a package index for a user who has downloaded nothing and is logged in nowhere."""
    from augmentlm.weights import downloads, hub_files

    with FileServer().running() as running:
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "PIP_EXTRA_INDEX_URL", "PIP_CERT"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AUGMENTLM_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))  # for child processes; here it was read at import
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{running.url}/simple")
        monkeypatch.setattr(hub_files, "_unreachable", set())
        monkeypatch.setattr(downloads, "PAUSES", (0.01, 0.02, 0.03, 0.04))
        yield running


@pytest.fixture
def no_hub(server, monkeypatch) -> None:
    """The index answers, the hub can't be reached."""
    monkeypatch.setenv("HF_ENDPOINT", closed_port())


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """A folder with a random Qwen2 of a few thousand parameters."""
    return write_base(tmp_path_factory.mktemp("tiny-base"))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For a model so small, threads cost more than they give."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_embedder(monkeypatch) -> None:
    """As where torch is not installed: what needs embeddings is left out."""
    from augmentlm.errors import MissingExtraError

    def missing(progress: object = None) -> None:
        raise MissingExtraError("Sentence embeddings need torch, not installed here.")

    monkeypatch.setattr("augmentlm.measures.embed.embedder", missing)
