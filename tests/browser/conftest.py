"""Chromium, pages that must not complain, and the app as a process of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # The sandbox of Chromium refuses to work for root, who tests in containers.
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=as_root)
        yield browser
        browser.close()


@contextmanager
def serving(*command: str) -> Iterator[tuple[str, Path]]:
    """Run a Python command that serves the app, its port put in for PORT; gives the address and what it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = Path(os.environ.get("TMPDIR", "/tmp")) / f"augmentlm-app-{port}.log"
    arguments = [sys.executable, *(str(port) if word == "PORT" else word for word in command)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
    with said.open("w") as log:
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except urllib.error.URLError:
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline, "the app does not answer"
                time.sleep(0.1)
        yield address, said
    finally:
        process.terminate()
        process.wait(timeout=30)
        said.unlink()


@pytest.fixture
def visit(chromium, app) -> Iterator[Callable[..., Page]]:
    """Open the app as a visitor. When the test is over the pages must have complained about nothing."""
    address, _ = app
    complaints: list[str] = []
    contexts = []

    def note(kind: str, text: str) -> None:
        complaints.append(f"{kind}: {text}")

    def visit(*, width: int = 1280, height: int = 900, dark: bool = False, locale: str = "en-US") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale=locale
        )
        contexts.append(context)
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
