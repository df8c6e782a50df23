"""A hub of one's own, for a user who is logged in there and has downloaded nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub_double import HubDouble


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[HubDouble]:
    """The double as the hub of this process, with the token of its user `ada`."""
    from huggingface_hub import constants, hf_api
    from huggingface_hub.utils import _http

    with HubDouble().running() as running:
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", "hf_double")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(hf_api.api, "endpoint", running.url)  # asked by functions that PEFT imports
        template = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", running.url + template)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
        monkeypatch.setattr(_http.time, "sleep", lambda seconds: running.waited.append(seconds))
        yield running
