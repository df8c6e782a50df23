"""The Compare tab in Chromium, on two scripted engines: one fast, one slow."""

from __future__ import annotations

import re
import time

import pytest
from app_process import serving
from at_the_page import faults, open_tab, overflow, run_button, stop_button
from playwright.sync_api import Locator, Page, expect

from augmentlm import catalog
from augmentlm.arena.votes import Votes
from scripted_duel import LARGE_WROTE, SMALL_WROTE

pytestmark = pytest.mark.browser

NAMES = [name for entry in catalog.models().values() for name in (entry.name, entry.title)]
TELLING = [*NAMES, "Q4_K_M", "llamacpp", "ttft", "per second", "tokens", "sha256", "adapter", "seed"]


LISTEN = """
window.heard = "";
const real = window.fetch;
window.fetch = async (...asked) => {
  const response = await real(...asked);
  if (!response.body) return response;
  const [mine, theirs] = response.body.tee();
  (async () => {
    const reader = mine.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) window.heard += part.value;
  })().catch(() => {});
  return new Response(theirs, response);
};
"""
"""Keeps a copy of all that the page is sent."""

BOTH = "['a', 'b'].map((place) => document.querySelector(`#compare-${place} .alm-text`).innerText)"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where the app of these tests keeps its votes."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def app(home):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AUGMENTLM_HOME", str(home))
        with serving("tests/scripted_duel.py", "PORT") as served:
            yield served


@pytest.fixture
def votes(home) -> Votes:
    found = Votes(home / "votes.sqlite")
    found.path.unlink(missing_ok=True)
    return found


def duel(page: Page, prompt: str) -> None:
    open_tab(page, "compare")
    page.locator("#compare-prompt textarea").fill(prompt)
    run_button(page).click()


def text(page: Page, place: str) -> str:
    return page.locator(f"#compare-{place} .alm-text").inner_text()


def both_begun(page: Page, words: int = 3) -> None:
    for place in "ab":
        expect(page.locator(f"#compare-{place} .alm-text")).to_contain_text(re.compile(rf"(\S+\s+){{{words},}}"))


def vote(page: Page, name: str) -> None:
    page.locator("#compare-votes").get_by_role("button", name=name).click()
    expect(page.locator("#compare-verdict .alm-versus")).to_be_visible()


def test_nothing_on_the_page_or_the_wire_tells_who_is_who_before_the_vote(visit, votes) -> None:
    page = visit()
    page.add_init_script(LISTEN)
    page.reload()
    page.locator("#refine-prompt textarea").wait_for()
    open_tab(page, "compare")
    for _ in range(2):
        page.locator("#compare-prompt textarea").fill("write about birds")
        page.evaluate("window.heard = ''")
        run_button(page).click()
        both_begun(page)
        expect(page.locator("#compare-notes .alm-meta")).to_be_visible()
        # The panels and what is around them; the settings name both models, as the visitor chose them.
        seen = "".join(page.locator(f"#compare-{part}").inner_html() for part in ("a", "b", "notes", "votes"))
        wire = page.evaluate("window.heard")
        assert SMALL_WROTE in wire and LARGE_WROTE in wire
        assert [word for word in TELLING if word in seen] == []
        assert [word for word in TELLING if word in wire] == []
        vote(page, "Equally good")
        expect(page.locator("#compare-verdict")).to_contain_text("AugmentLM 0.5B Refine")
        assert "AugmentLM 0.5B Refine" in page.evaluate("window.heard")  # it would have been heard


def test_the_faster_model_is_not_seen_to_be_faster(visit, votes) -> None:
    page = visit()
    duel(page, "count")
    both_begun(page)
    for _ in range(8):
        # Both in one moment: a step of the page might come between two looks.
        a, b = page.evaluate(BOTH)
        assert len(a.split()) == len(b.split())
        page.wait_for_timeout(200)
    stop_button(page).click()


def test_a_vote_while_both_write_stops_them_within_a_second_and_is_kept(visit, votes) -> None:
    page = visit()
    duel(page, "count")
    both_begun(page)
    page.locator("#compare-votes").get_by_role("button", name="A is better").click()
    pressed = time.monotonic()
    expect(page.locator("#compare-verdict .alm-versus")).to_be_visible()
    expect(run_button(page)).to_be_visible()
    assert time.monotonic() - pressed < 1
    kept = text(page, "a"), text(page, "b")
    page.wait_for_timeout(500)
    assert (text(page, "a"), text(page, "b")) == kept
    [found] = votes.all()
    small_first = kept[0].startswith(SMALL_WROTE)
    assert found.order == ("left_first" if small_first else "right_first")
    assert found.winner == ("left" if small_first else "right")
    assert {found.left.text.strip(), found.right.text.strip()} == set(kept)
    expect(page.locator("#compare-verdict")).to_contain_text(
        "You preferred " + ("AugmentLM 0.5B Refine" if small_first else "Qwen2.5 Coder 1.5B Instruct")
    )
    expect(page.locator("#compare-standing")).to_contain_text("votes: 1")


def test_two_visitors_keep_their_own_duels(visit, votes) -> None:
    anna, ben = visit(), visit()
    duel(anna, "count for Anna")
    duel(ben, "count for Ben")
    for page in (anna, ben):
        both_begun(page)
    vote(anna, "Both are bad")
    expect(stop_button(ben)).to_be_visible()
    before = len(text(ben, "a"))
    ben.wait_for_timeout(600)
    assert len(text(ben, "a")) > before
    expect(ben.locator("#compare-verdict .alm-versus")).to_have_count(0)
    vote(ben, "Equally good")
    assert sorted((each.prompt, each.winner) for each in votes.all()) == [
        ("count for Anna", "both_bad"),
        ("count for Ben", "tie"),
    ]


def test_a_reload_right_after_the_click_loses_no_vote(chromium, app, votes) -> None:
    page = chromium.new_page()  # not as a visitor: a page that is left in the middle complains of it
    page.goto(app[0])
    duel(page, "write about birds")
    both_begun(page)
    with page.expect_request(lambda asked: "/queue/join" in asked.url or "/run/" in asked.url):
        page.locator("#compare-votes").get_by_role("button", name="B is better").click()
    page.reload()
    page.locator("#refine-prompt textarea").wait_for()
    deadline = time.monotonic() + 10
    while not votes.all():
        assert time.monotonic() < deadline, "the vote is lost"
        time.sleep(0.1)
    open_tab(page, "results")
    expect(page.locator("#results-voted")).to_contain_text("votes: 1")
    expect(page.locator("#results-voted")).to_contain_text("judged by people")
    page.close()


def test_when_one_model_fails_the_other_goes_on_and_no_vote_is_taken(visit, votes) -> None:
    page = visit()
    duel(page, "break down")
    expect(page.locator("#compare-notes")).to_contain_text("One of the models failed, so no vote is taken.")
    expect(page.locator("#tab-compare [role=alert]")).to_contain_text("llama.cpp ended in the middle of a text.")
    expect(page.locator("#compare-a, #compare-b").filter(has_text=SMALL_WROTE)).to_have_count(1)
    expect(page.locator("#compare-votes")).to_be_hidden()
    assert votes.all() == []


def test_the_next_prompt_runs_by_itself_and_votes_are_taken_away(visit, votes, tmp_path) -> None:
    page = visit()
    open_tab(page, "compare")
    page.get_by_role("button", name="Another prompt").click()
    expect(page.locator("#compare-prompt textarea")).not_to_have_value("")
    run_button(page).click()
    both_begun(page)
    expect(page.locator("#tab-compare .alm-stop")).to_be_hidden()
    vote(page, "A is better")
    first = page.locator("#compare-prompt textarea").input_value()
    page.locator("#compare-next").click()
    expect(page.locator("#compare-verdict .alm-versus")).to_have_count(0)
    both_begun(page)
    assert page.locator("#compare-prompt textarea").input_value() != first
    page.keyboard.press("2")
    expect(page.locator("#compare-verdict .alm-versus")).to_be_visible()
    open_tab(page, "results")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all votes").click()
    path = tmp_path / "votes.jsonl"
    download.value.save_as(path)
    assert len(path.read_text().splitlines()) == 2


def test_the_next_duel_is_shown_as_the_visitor_chose_to_see_the_one_before(visit, votes) -> None:
    page = visit()
    duel(page, "write about birds")
    expect(page.locator("#compare-notes .alm-meta")).to_be_visible()
    changes = page.locator("#compare-a del")
    expect(changes).to_have_count(0)
    page.get_by_text("All changes").and_(page.locator(":visible")).click()
    expect(changes.first).to_be_visible()
    run_button(page).first.click()
    expect(page.locator("#compare-notes .alm-meta")).to_have_count(0)
    expect(page.locator("#compare-notes .alm-meta")).to_be_visible()
    expect(page.get_by_label("All changes").and_(page.locator(":visible"))).to_be_checked()
    expect(changes.first).to_be_visible()


def answering(page: Page) -> Locator:
    """The button that has the prompts of a finished duel answered."""
    duel(page, "write about birds")
    both_begun(page)
    expect(run_button(page).first).to_be_visible()
    page.locator(".alm-answers button.label-wrap").click()
    return page.get_by_role("button", name="Answer all three")


def test_answers_show_what_the_prompts_lead_to(visit, votes) -> None:
    page = visit()
    answering(page).click()
    for name in ("raw", "a", "b"):
        expect(page.locator(f"#compare-answer-{name} .alm-text")).to_contain_text(LARGE_WROTE)
    expect(page.locator("#compare-answers-notes")).to_contain_text("All three answered by Qwen2.5 Coder 1.5B Instruct.")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nobody_is_kept_out_and_a_phone_needs_no_sideways_scrolling(visit, votes, dark) -> None:
    page = visit(width=390, height=844, dark=dark)
    duel(page, f"write about {'x' * 200}")
    both_begun(page)
    page.locator(".alm-options:visible button.label-wrap").first.click()
    assert overflow(page) <= 0
    vote(page, "A is better")
    assert overflow(page) <= 0
    assert faults(page) == []
    open_tab(page, "results")
    assert overflow(page) <= 0
    assert faults(page) == []


def test_answers_have_no_key_and_go_when_other_texts_are_compared(visit, votes) -> None:
    page = visit()
    answer_all = answering(page)
    expect(page.locator(".alm-answers .alm-keys")).to_have_count(0)
    expect(page.locator("#tab-compare .alm-keys").first).to_be_visible()  # that of Compare
    answer_all.click()
    answer, notes = page.locator("#compare-answer-a"), page.locator("#compare-answers-notes")
    expect(notes).to_contain_text("All three answered by")
    run_button(page).first.click()
    expect(answer).not_to_contain_text(LARGE_WROTE)
    expect(notes).not_to_contain_text("All three answered by")
    both_begun(page)
    expect(run_button(page).first).to_be_visible()
    answer_all.click()
    run_button(page).first.click()  # while they are written
    expect(answer_all).to_be_visible()
    both_begun(page)
    expect(answer).not_to_contain_text(LARGE_WROTE)
