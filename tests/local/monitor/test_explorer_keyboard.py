"""The explorer page without a mouse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from .explorer import publish

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .client import Client

pytestmark = pytest.mark.slow


def focused(page: Page) -> str:
    """The id of what has the focus."""
    found: str = page.evaluate("document.activeElement.id")
    return found


def test_the_keyboard_reaches_everything(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    page.goto(client.url)
    expect(page.locator("#legend li")).to_have_count(1)
    page.get_by_role("tab", name="Chart").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Refused")).to_be_focused()
    expect(page.locator("#refused-view")).to_be_visible()
    page.keyboard.press("Home")
    expect(page.locator("#chart-view")).to_be_visible()
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(focused(page))
    assert reached == [
        *("resource", "namespace", "metric", "aggregation", "split", "dimension", "minutes")
    ]
    button = page.locator("#legend button")
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(button).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Tab")
    assert focused(page) == "csv"
    page.keyboard.press("Tab")  # The table can be scrolled.
    expect(page.get_by_role("region", name="Average of QueueDepth")).to_be_focused()


def test_the_keyboard_chooses_splits_and_filters(page: Page, client: Client) -> None:
    publish(client, "images", 1, metric="Zero")
    publish(client, "images", 2, 6)
    publish(client, "video", 10)
    page.goto(client.url)
    heading = page.locator("#heading")
    legend = page.locator("#legend li")
    expect(heading).to_have_text("Average of QueueDepth")
    for name, title in [
        ("metric", "Average of Zero"),
        ("aggregation", "Minimum of Zero"),
        ("split", "Minimum of Zero by MessageType"),
    ]:
        page.locator(f"#{name}").focus()
        page.keyboard.press("ArrowDown")
        expect(heading).to_have_text(title)
        assert focused(page) == name  # It stays there while the page goes on.
    page.keyboard.press("ArrowDown")
    page.locator("#metric").focus()
    page.keyboard.press("ArrowUp")
    expect(heading).to_have_text("Minimum of QueueDepth by QueueName")
    expect(legend).to_have_text(["video10", "images2"])
    page.locator("#dimension").focus()
    page.keyboard.press("End")
    expect(page.locator("#operator")).to_be_enabled()
    page.keyboard.press("Tab")
    assert focused(page) == "operator"
    page.keyboard.press("Tab")
    assert focused(page) == "value"
    page.keyboard.type("video")
    expect(legend).to_have_text(["video10"])
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#operator")).to_have_value("ne")
    expect(legend).to_have_text(["images2"])
    page.keyboard.press("Tab")
    page.keyboard.type("s")
    expect(legend).to_have_text(["video10", "images2"])
    page.keyboard.press("Tab")
    assert focused(page) == "add"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#minutes")).to_have_value("30")
    expect(page).to_have_url(re.compile("minutes=30"))
