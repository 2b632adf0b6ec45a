"""A headless Chromium of this machine, and pages that are watched."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

__all__ = ["launched", "watched_page"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 30_000  # Milliseconds; nothing takes more than a few, but the machine may be busy.
OPTIONS = (
    "--no-sandbox",  # Which root needs; the one page it shows is ours.
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser. Without one the tests are skipped, but with CI=true or PAGE_TESTS=required
    they fail.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        message = "No Chromium on PATH: the page is not tested (Debian: apt install chromium)"
        if os.environ.get("PAGE_TESTS") == "required" or os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched_page(
    browser: Browser, url: str, *, timezone: str = "Europe/Amsterdam", expected: str = ""
) -> Iterator[Page]:
    """A page of its own; at the end nothing was wrong in its console, and nothing left.

    A test that breaks something on purpose names the text of the errors that are expected.
    """
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id=timezone
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    asked: list[str] = []
    page.on("console", lambda each: wrong.append(each.text) if each.type == "error" else None)
    page.on("pageerror", lambda each: wrong.append(str(each)))
    page.on("request", lambda each: asked.append(each.url))
    try:
        yield page
    finally:
        context.close()
    assert [each for each in wrong if not expected or expected not in each] == []
    assert [each for each in asked if not each.startswith((f"{url}/", "data:"))] == []
