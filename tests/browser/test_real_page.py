"""The page in Chromium, on the real weights of the embedded family."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
import pytest
from app_process import serving
from at_the_page import choose_model, faults, finished, open_tab, refine, run_button, set_longest, stop_button
from playwright.sync_api import expect

from augmentlm import formats

pytestmark = [pytest.mark.browser, pytest.mark.real]

CITIES = (
    "Paris London Rome Berlin Madrid Vienna Prague Lisbon Athens Oslo Dublin Warsaw Budapest Helsinki Stockholm "
    "Copenhagen Amsterdam Brussels Zurich Geneva Munich Hamburg Milan Naples Venice Florence Porto Seville Valencia "
    "Krakow Antwerp Bruges Lyon Nice Bordeaux Toulouse Bilbao Granada Malaga Turin Genoa Palermo Bologna Verona Pisa"
)
LONG = f"Write a travel guide with one sentence for each of these cities: {', '.join(CITIES.split())}."
"""A prompt that takes seconds to refine, because every name has to be kept."""


@pytest.fixture(scope="module")
def app():
    with serving("app.py", "--port", "PORT") as served:
        yield served


def test_refine_streams_and_says_what_was_kept_and_how_fast(visit) -> None:
    page = visit()
    refine(page, "email to Maria Keller: meeting moved from Tuesday to Friday 14:30, room B12")
    writing = page.locator("#refine-result [aria-busy]")
    expect(writing).to_be_visible()
    finished(page, "refine")
    expect(page.locator("#status")).to_contain_text("Ready.")
    assert page.locator("#refine-result").inner_text().strip()
    expect(page.locator("#refine-notes .alm-chip")).to_have_count(6)
    expect(page.locator("#refine-notes .alm-meta")).to_contain_text("tokens per second")
    assert faults(page) == []


def test_stop_stops_within_a_second_and_leaves_the_other_visitor_alone(visit) -> None:
    anna, ben = visit(), visit()
    refine(ben, LONG)
    refine(anna, LONG)
    expect(anna.locator("#refine-result [aria-busy]")).to_be_visible()
    stop_button(anna).click()
    pressed = time.monotonic()
    expect(anna.locator("#refine-notes")).to_contain_text("Stopped.")
    assert time.monotonic() - pressed < 1
    kept = anna.locator("#refine-result").inner_text()
    finished(ben, "refine")
    assert anna.locator("#refine-result").inner_text() == kept
    assert len(ben.locator("#refine-result").inner_text()) > len(kept)
    expect(ben.locator("#refine-notes")).not_to_contain_text("Stopped.")


def test_expand_fills_rows(visit) -> None:
    page = visit()
    open_tab(page, "expand")
    set_longest(page, 48)
    choose_model(page, "AugmentLM 0.5B Expand")
    page.locator("#expand-text textarea").fill("Plan a three-day trip to Kyoto\nName three primary colours")
    expect(page.locator("#expand-count")).to_have_text("2 × 4 = 8 new")
    run_button(page).click()
    finished(page, "expand")
    expect(page.locator("#expand-result tbody tr")).to_have_count(8)
    expect(page.locator("#expand-result tbody .alm-badge")).to_have_count(8)


def test_pairs_can_be_downloaded_and_read_back(visit, tmp_path) -> None:
    page = visit()
    open_tab(page, "pairs")
    set_longest(page, 96)
    choose_model(page, "AugmentLM 0.5B Pair")
    page.locator(".alm-example:visible").first.click()
    expect(page.locator("#pairs-examples li")).to_have_count(3)
    run_button(page).click()
    finished(page, "pairs")
    # What the checks say depends on the weights; a person may take a marked pair too.
    for box in page.locator("#pairs-result input[type=checkbox]").all():
        box.check()
    with page.expect_download() as download:
        page.locator("#tab-pairs").get_by_role("button", name="Download JSONL").click()
    path = tmp_path / "pairs.jsonl"
    download.value.save_as(path)
    assert len(formats.read_pairs(path)) == page.locator("#pairs-result li").count() > 0


def test_after_all_that_on_the_embedded_family_the_app_has_taken_less_than_two_gigabytes_and_no_torch(app) -> None:
    port = int(app[0].rstrip("/").rpartition(":")[2])
    listening = (each for each in psutil.net_connections("inet") if each.status == "LISTEN")
    (pid,) = {each.pid for each in listening if each.laddr.port == port}
    status = Path(f"/proc/{pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 < 2e9
    assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()
