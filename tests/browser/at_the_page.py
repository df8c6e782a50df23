"""What a person does at the page, for the tests."""

from __future__ import annotations

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from augmentlm.ui.texts import LANGUAGES, say

TABS = ("refine", "expand", "pairs", "dataset", "compare", "results", "models")
PATIENCE = 60_000
"""Milliseconds that anything may take on a slow machine. Where time matters, a test measures it."""

expect.set_options(timeout=PATIENCE)


def open_tab(page: Page, name: str) -> None:
    button = page.locator(f"#tab-{name}-button").last
    menu = page.locator(".overflow-menu > button")
    expect(button.or_(menu).locator("visible=true").first).to_be_visible()  # the page is laid out
    if not button.is_visible():  # in a narrow window the last tabs are in a menu
        menu.click()
        label = re.compile("|".join(re.escape(say(language, f"tab.{name}")) for language in LANGUAGES))
        button = page.locator(".overflow-dropdown button", has_text=label)
    button.click()
    expect(page.locator(f"#tab-{name} .alm-lead")).to_be_visible()


def run_button(page: Page) -> Locator:
    return page.locator(".alm-run:visible")


def stop_button(page: Page) -> Locator:
    return page.locator(".alm-stop:visible")


def refine(page: Page, prompt: str) -> None:
    page.locator("#refine-prompt textarea").fill(prompt)
    run_button(page).click()


def finished(page: Page, tab: str) -> None:
    """Wait until the run of a tab is over: its last word is how fast it was."""
    expect(page.locator(f"#{tab}-notes .alm-meta")).to_be_visible()
    expect(run_button(page)).to_be_visible()


def set_longest(page: Page, tokens: int) -> None:
    """Under Options: the longest result of the tab that is open."""
    options = page.locator(".alm-options:visible")
    options.locator("button.label-wrap").first.click()
    number = options.locator('input[type="number"]').nth(3)
    number.fill(str(tokens))
    number.blur()


def choose_model(page: Page, title: str) -> None:
    """Under Options, which are open: the model of the tab that is open."""
    page.locator(".alm-options:visible").get_by_label("Model", exact=True).click()
    page.get_by_role("option", name=title).click()


def faults(page: Page) -> list[str]:
    """What axe finds serious or worse, each with the place."""
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {node['html'][:160]} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
