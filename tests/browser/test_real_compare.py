"""The Compare tab in Chromium on the real weights: the embedded 0.5B beside the 1.5B reference."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from app_process import serving
from at_the_page import open_tab, run_button
from playwright.sync_api import expect
from test_real_page import LONG

from augmentlm.arena.votes import Votes
from augmentlm.weights import home as weights_home

pytestmark = [pytest.mark.browser, pytest.mark.real]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """This user's weights, and nobody's votes."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("weights", "converted"):
        kept = weights_home() / name
        kept.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(kept)
    return folder


@pytest.fixture(scope="module")
def app(home):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AUGMENTLM_HOME", str(home))
        with serving("app.py", "--port", "PORT") as served:
            yield served


def test_both_write_at_once_and_a_vote_stops_them_within_a_second(visit, home) -> None:
    page = visit()
    open_tab(page, "compare")
    page.locator("#compare-prompt textarea").fill(LONG)
    run_button(page).click()
    texts = [page.locator(f"#compare-{place} .alm-text[aria-busy]") for place in "ab"]
    for text in texts:  # both are still being written when the second has begun
        expect(text).to_be_visible(timeout=120_000)
    for text in texts:
        assert text.count() == 1, "one was over before the other began"
    before = [len(text.inner_text()) for text in texts]
    page.wait_for_timeout(2000)
    assert all(len(text.inner_text()) > count for text, count in zip(texts, before, strict=True))
    page.locator("#compare-votes").get_by_role("button", name="Equally good").click()
    pressed = time.monotonic()
    expect(page.locator("#compare-verdict .alm-versus")).to_be_visible()
    assert time.monotonic() - pressed < 1
    expect(run_button(page).first).to_be_visible()
    for name in ("AugmentLM 0.5B Refine", "Qwen2.5 Coder 1.5B Instruct", "Q4_K_M", "503 MB", "1.1 GB"):
        expect(page.locator("#compare-verdict")).to_contain_text(name)
    [vote] = Votes(home / "votes.sqlite").all()
    assert vote.winner == "tie" and vote.left.text.strip() and vote.right.text.strip()
    assert {entry.finish for entry in (vote.left, vote.right)} <= {"cancelled", "stop"}


def test_both_models_together_take_less_than_four_gigabytes(visit, app) -> None:
    address, _ = app
    page = visit()
    open_tab(page, "compare")
    page.locator("#compare-prompt textarea").fill("write about dogs")
    run_button(page).click()
    expect(page.locator("#compare-notes")).to_contain_text("Both write at the same time", timeout=180_000)
    port = int(address.rstrip("/").rpartition(":")[2])
    [server] = {
        found.pid for found in psutil.net_connections("tcp") if found.laddr.port == port and found.status == "LISTEN"
    }
    assert psutil.Process(server).memory_info().rss < 4e9
