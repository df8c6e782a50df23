"""Chromium, and pages that must not complain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from at_the_page import PATIENCE
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Not for the session: Playwright keeps an event loop running, in which other tests couldn't start their own.
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # The sandbox of Chromium refuses to work for root, who tests in containers.
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=as_root)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, app) -> Iterator[Callable[..., Page]]:
    """Open the app as a visitor. When the test is over the pages must have complained about nothing."""
    address, _ = app
    complaints: list[str] = []
    aborted = 0
    contexts = []

    def note(kind: str, text: str) -> None:
        # A stream that Gradio gives up itself, to open the next, says so and then that its connection errored out.
        nonlocal aborted
        if "AbortError: signal is aborted" in text:
            aborted += 1
        elif aborted and "Connection errored out" in text:
            aborted -= 1
        else:
            complaints.append(f"{kind}: {text}")

    def visit(*, width: int = 1280, height: int = 900, dark: bool = False, locale: str = "en-US") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale=locale
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and note("console", message.text))
        page.on("pageerror", lambda error: note("error", str(error)))
        page.on("dialog", lambda dialog: note("dialog", dialog.message))
        page.on("request", lambda asked: is_elsewhere(asked.url, address) and note("request", asked.url))
        page.goto(address)
        page.locator("#refine-prompt textarea").wait_for(timeout=60_000)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def is_elsewhere(url: str, address: str) -> bool:
    """Does a request leave this computer?"""
    return not url.startswith((address, "data:", "blob:"))
