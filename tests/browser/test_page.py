"""The page in Chromium, on the scripted engine."""

from __future__ import annotations

import json
import time

import pytest
from app_process import serving
from at_the_page import TABS, faults, finished, open_tab, overflow, refine, run_button, stop_button
from playwright.sync_api import expect

from augmentlm import formats
from scripted_page import NASTY

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app():
    with serving("tests/scripted_page.py", "PORT", "0.02") as served:
        yield served


def test_the_page_is_up_before_the_model_and_the_first_request_waits_for_it(visit) -> None:
    page = visit()
    expect(page.locator("#status")).to_contain_text("Downloading the model, once: 250 MB of 500 MB")
    refine(page, "write about dogs")
    finished(page, "refine")
    expect(page.locator("#status")).to_contain_text("Ready. Everything runs on this computer.")
    expect(page.locator("#refine-result ins").first).to_be_visible()


def test_the_keyboard_is_enough(visit) -> None:
    page = visit()
    box = page.locator("#refine-prompt textarea")
    box.press_sequentially("count")
    box.press("Control+Enter")
    expect(page.locator("#refine-result")).to_contain_text("number3")
    page.keyboard.press("Escape")
    pressed = time.monotonic()
    expect(page.locator("#refine-notes")).to_contain_text("Stopped.")
    assert time.monotonic() - pressed < 1
    kept = page.locator("#refine-result").inner_text()
    page.wait_for_timeout(500)
    assert page.locator("#refine-result").inner_text() == kept

    run_button(page).focus()
    page.keyboard.press("Enter")
    expect(stop_button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(run_button(page)).to_be_focused()


def test_run_right_after_stop_shows_what_the_new_run_makes(visit) -> None:
    page = visit()
    refine(page, "ponder")
    stop_button(page).click()
    refine(page, "write about dogs")  # the run before has not ended yet
    finished(page, "refine")
    expect(page.locator("#refine-result ins").first).to_be_visible()
    expect(page.locator("#refine-notes")).not_to_contain_text("Stopped.")
    refine(page, "write about cats")
    finished(page, "refine")
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


def test_a_result_is_copied_and_used_and_the_old_prompt_comes_back(visit) -> None:
    page = visit()
    refine(page, "write about dogs")
    finished(page, "refine")
    text = page.locator("#refine-result").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#alm-announcer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == text
    page.get_by_role("button", name="Use as prompt").click()
    expect(page.locator("#refine-prompt textarea")).to_have_value(text)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#refine-prompt textarea")).to_have_value("write about dogs")
    page.get_by_text("All changes").click()
    expect(page.locator("#refine-result del").first).to_be_visible()
    page.get_by_text("Text only").click()
    expect(page.locator("#refine-result ins")).to_have_count(0)


def test_two_visitors_do_not_disturb_each_other_and_who_leaves_is_not_worked_for(visit, app) -> None:
    _, said = app
    anna, ben = visit(), visit()
    for page in (anna, ben):
        refine(page, "count")
    expect(ben.locator("#refine-result")).to_contain_text("number3")
    expect(anna.locator("#refine-result")).to_contain_text("number3")
    stop_button(anna).click()
    expect(anna.locator("#refine-notes")).to_contain_text("Stopped.")
    finished(ben, "refine")
    assert ben.locator("#refine-result").inner_text().endswith("number399")

    cancelled = said.read_text().count("cancelled")
    refine(ben, "count")
    expect(ben.locator("#refine-result [aria-busy]")).to_contain_text("number3")
    ben.close()
    deadline = time.monotonic() + 10
    while said.read_text().count("cancelled") == cancelled:
        assert time.monotonic() < deadline, "the run of a closed page goes on"
        time.sleep(0.1)


def test_rows_are_filled_marked_hidden_and_downloaded(visit, tmp_path) -> None:
    page = visit()
    open_tab(page, "expand")
    page.locator("#expand-text textarea").fill("Plan a trip to Kyoto\nCopy this")
    expect(page.locator("#expand-count")).to_have_text("2 × 4 = 8 new")
    run_button(page).click()
    finished(page, "expand")
    rows, marked = page.locator("#expand-result tbody tr"), page.locator("#expand-result tr.marked")
    expect(rows).to_have_count(8)
    expect(marked.first).to_contain_text("Nearly the same as your instruction (100 % alike)")
    expect(marked).to_have_count(4)
    page.get_by_label("Hide marked rows").check()
    expect(marked.first).to_be_hidden()
    with page.expect_download() as download:
        page.locator("#tab-expand").get_by_role("button", name="Download JSONL").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert len(formats.read_instructions(path)) == 4


def test_files_are_taken(visit, tmp_path) -> None:
    page = visit()
    path = tmp_path / "some.csv"
    path.write_text("instruction,response\nName a colour.,Red.\nName a bird.,Wren.\n")
    open_tab(page, "expand")
    page.locator("#tab-expand input[type=file]").set_input_files(path)
    expect(page.locator("#expand-text textarea")).to_have_value("Name a colour.\nName a bird.")
    open_tab(page, "pairs")
    page.locator("#tab-pairs .alm-more button.label-wrap").click()
    page.locator("#tab-pairs input[type=file]").set_input_files(path)
    expect(page.get_by_label("Response 2")).to_have_value("Wren.")
    page.locator("#pairs-paste textarea").fill('{"prompt": "Name a fish.", "completion": "Cod."}')
    page.get_by_role("button", name="Add to the examples").click()
    expect(page.get_by_label("Response 3")).to_have_value("Cod.")
    expect(page.locator("#pairs-paste textarea")).to_have_value("")


def test_pairs_are_edited_while_more_come_and_then_downloaded(visit, tmp_path) -> None:
    page = visit()
    open_tab(page, "pairs")
    page.get_by_role("button", name="Add a row").click()
    expect(page.locator("#pairs-examples").get_by_label("Instruction 3")).to_be_focused()
    page.get_by_role("button", name="Remove row 1").click()
    expect(page.locator("#pairs-examples li")).to_have_count(2)
    expect(page.locator("#pairs-examples").get_by_label("Instruction 1")).to_be_focused()
    for row, (instruction, response) in enumerate((("Name a colour.", "Red."), ("Name a bird.", "Wren."))):
        page.locator("#pairs-examples").get_by_label(f"Instruction {row + 1}").fill(instruction)
        page.locator("#pairs-examples").get_by_label(f"Response {row + 1}").fill(response)
    run_button(page).click()
    result = page.locator("#pairs-result")
    expect(result.locator("li").first).to_be_visible()
    result.get_by_label("Response 1").fill("Edited, with <b>markup</b> and =1+1")
    finished(page, "pairs")
    expect(result.locator("li")).to_have_count(5)
    result.get_by_label("In the download 2").uncheck()
    with page.expect_download() as download:
        page.locator("#tab-pairs").get_by_role("button", name="Download JSONL").click()
    path = tmp_path / "pairs.jsonl"
    download.value.save_as(path)
    pairs = formats.read_pairs(path)
    assert len(pairs) == 4
    assert pairs[0].response == "Edited, with <b>markup</b> and =1+1"
    assert {"model", "engine", "seed"} <= set(json.loads(path.read_text().splitlines()[0]))


def test_markup_is_shown_as_text_everywhere(visit) -> None:
    page = visit()
    refine(page, NASTY)
    finished(page, "refine")
    assert page.locator("#refine-result").inner_text().endswith(NASTY)
    open_tab(page, "expand")
    page.locator("#expand-text textarea").fill(NASTY)
    run_button(page).click()
    finished(page, "expand")
    assert NASTY in page.locator("#expand-result").inner_text()
    open_tab(page, "pairs")
    for row in (1, 2):
        for column in ("Instruction", "Response"):
            page.locator("#pairs-examples").get_by_label(f"{column} {row}").fill(NASTY)
    run_button(page).click()
    finished(page, "pairs")
    assert page.locator("#pairs-result").get_by_label("Response 1").input_value() == NASTY
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, main a[href^='javascript']").count() == 0


def test_the_whole_page_speaks_chinese_and_remembers_it(visit) -> None:
    page = visit()
    refine(page, "write about dogs")
    finished(page, "refine")
    text = page.locator("#refine-result").inner_text()
    page.get_by_role("button", name="中文").click()
    expect(run_button(page)).to_have_text("优化")
    expect(page.locator("#refine-result")).to_have_text(text)
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.reload()
    expect(run_button(page)).to_have_text("优化")
    open_tab(page, "pairs")
    expect(page.get_by_role("button", name="添加一行")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Add a row")).to_be_visible()


def test_a_chinese_browser_is_spoken_to_in_chinese(visit) -> None:
    expect(run_button(visit(locale="zh-CN"))).to_have_text("优化")


def test_models_have_cards_that_open(visit) -> None:
    page = visit()
    open_tab(page, "models")
    card = page.locator("#model-augmentlm-0-5b-refine")
    expect(card).to_contain_text("Runs here: Q4_K_M on the processor")
    card.get_by_text("All the ways to run it").click()
    expect(card.locator("table")).to_be_visible()
    card.get_by_role("button", name="About").click()
    expect(card.locator(".alm-about h1")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nobody_is_kept_out_and_a_phone_needs_no_sideways_scrolling(visit, dark) -> None:
    page = visit(width=390, height=844, dark=dark)
    refine(page, f"write about Maria {'x' * 300}")
    finished(page, "refine")
    page.locator(".alm-options:visible button.label-wrap").first.click()
    for tab in TABS:
        open_tab(page, tab)
        if tab == "expand":
            page.locator("#expand-text textarea").fill(f"Plan a trip\nDescribe {'x' * 300}")
            run_button(page).click()
            finished(page, tab)
        if tab == "pairs":
            page.locator(".alm-example:visible").first.click()
            expect(page.locator("#pairs-examples li")).to_have_count(3)
            run_button(page).click()
            finished(page, tab)
        assert overflow(page) <= 0, tab
        assert faults(page) == [], tab


def test_a_fault_is_a_sentence_on_the_page(visit) -> None:
    page = visit()
    run_button(page).click()
    expect(page.locator("#refine-notes").get_by_role("alert")).to_have_text(
        "There is no text to work on. Type a prompt or an instruction first."
    )
    expect(run_button(page)).to_be_visible()
