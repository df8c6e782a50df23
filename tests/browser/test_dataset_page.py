"""The Dataset tab in Chromium: from a file to a data set, with a stop on the way."""

from __future__ import annotations

import json

import pytest
from app_process import serving
from at_the_page import faults, open_tab, overflow, run_button, stop_button
from playwright.sync_api import expect

from scripted_page import NASTY

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGMENTLM_HOME", str(tmp_path_factory.mktemp("home")))
        with serving("tests/scripted_run_page.py", "PORT") as served:
            yield served


def test_a_file_becomes_a_data_set_with_a_stop_on_the_way(visit, tmp_path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    rows = [{"query": "Plan a trip", "reply": NASTY}, {"query": NASTY, "reply": "Gladly."}]
    seeds.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"query": "half', encoding="utf-8")
    page = visit()
    open_tab(page, "dataset")
    tab = page.locator("#tab-dataset")
    page.locator("#tab-dataset input[type=file]").set_input_files(seeds)
    expect(tab.get_by_role("alert")).to_contain_text("No column is known here: there are query, reply.")
    tab.get_by_label("Column with the instruction").click()
    page.get_by_role("option", name="query").click()
    expect(page.locator("#dataset-preview")).to_contain_text("2 seeds, read as plain instructions")
    expect(page.locator("#dataset-preview")).to_contain_text("1 rows left out")

    page.locator("#dataset-n input").fill("60")
    run_button(page).click()
    expect(page.locator("#dataset-latest tr").nth(4)).to_be_visible()
    stop_button(page).click()
    expect(page.locator("#dataset-notes")).to_contain_text("All that was made is kept")
    tab.get_by_role("button", name="Go on").click()
    expect(page.locator("#dataset-funnel")).to_contain_text("60 of 60 accepted")

    tab.get_by_role("button", name="Read and strike rows").click()
    page.locator("#dataset-rows input").first.check()
    tab.get_by_role("button", name="Strike ticked rows").click()
    expect(page.locator("#dataset-funnel")).to_contain_text("59 of 60 accepted")
    with page.expect_download() as downloading:
        tab.get_by_role("button", name="Download", exact=True).click()
    assert len(downloading.value.path().read_text(encoding="utf-8").splitlines()) == 59
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_run_fits_a_phone_and_keeps_nobody_out(visit, dark) -> None:
    page = visit(width=390, height=844, dark=dark)
    open_tab(page, "dataset")
    page.get_by_role("button", name="Use an example").click()
    page.locator("#dataset-n input").fill("12")
    run_button(page).click()
    expect(page.locator("#dataset-funnel")).to_contain_text("12 of 12 accepted")
    for name in ("Read and strike rows", "What was rejected", "Send to the Hugging Face hub"):
        page.get_by_role("button", name=name).click()
    page.wait_for_timeout(500)
    assert overflow(page) <= 0
    assert faults(page) == []


def test_the_seeds_are_those_that_are_seen_whichever_way_they_came(visit, tmp_path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text('{"instruction": "Name a river"}\n{"instruction": "Name a hill"}\n', encoding="utf-8")
    page = visit()
    open_tab(page, "dataset")
    box, preview = page.locator("#dataset-text textarea"), page.locator("#dataset-preview")
    example = page.get_by_role("button", name="Use an example")
    example.click()
    expect(preview).to_contain_text("5 seeds")
    page.locator("#tab-dataset input[type=file]").set_input_files(seeds)
    expect(preview).to_contain_text("Name a hill")
    expect(box).to_have_value("")
    example.click()
    expect(preview).to_contain_text("5 seeds")
    expect(box).not_to_have_value("")
    box.fill("Name a lake\nName a sea\nName a bay")
    expect(preview).to_contain_text("3 seeds")


def test_the_pages_of_a_data_set_are_turned_with_the_arrow_keys(visit) -> None:
    page = visit()
    open_tab(page, "dataset")
    page.get_by_role("button", name="Use an example").click()
    page.locator("#dataset-n input").fill("30")
    run_button(page).click()
    expect(page.locator("#dataset-funnel")).to_contain_text("30 of 30 accepted")
    page.get_by_role("button", name="Read and strike rows").click()
    rows, slider = page.locator("#dataset-rows"), page.locator("#dataset-page input[type=range]")
    first = rows.inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(rows).not_to_have_text(first, use_inner_text=True)
    page.keyboard.press("ArrowLeft")
    expect(rows).to_have_text(first, use_inner_text=True)
