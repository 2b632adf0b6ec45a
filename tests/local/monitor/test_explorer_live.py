"""The explorer page over time: live values, late answers, an emulator that is away."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from .browser import watched_page
from .explorer import choose, idle, publish, publish_at, rows

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Browser, Page, Request, Route

    from .client import Client

pytestmark = pytest.mark.slow

QUERY = re.compile("/_local/query")
CATALOGUE = re.compile("/_local/catalogue")


def questions(page: Page) -> list[str]:
    """A list that gets the address of each query from now on."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if QUERY.search(request.url):
            asked.append(request.url)

    page.on("request", note)
    return asked


def test_new_values_come_by_themselves(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    page.goto(frozen.url)
    expect(page.locator("#empty h2")).to_have_text("No metrics yet")
    publish_at(frozen, 1, images=4)
    last = page.locator("#legend b")
    expect(last).to_have_text("4")
    publish_at(frozen, 1, images=8)
    expect(last).to_have_text("6")
    assert rows(page)[1][1] == "6"


def test_nothing_is_asked_unless_live(page: Page, client: Client) -> None:
    publish(client, "images", 4)
    page.clock.install()
    page.goto(client.url)
    expect(page.locator("#legend b")).to_have_text("4")
    with page.expect_response(QUERY):
        page.get_by_label("Live").uncheck()
    idle(page)
    asked = questions(page)
    page.clock.run_for(60_000)
    idle(page)
    assert asked == []
    with page.expect_response(QUERY):
        page.get_by_label("Live").check()  # Asks at once.
    idle(page)
    with page.expect_response(QUERY):
        page.clock.run_for(2_000)


def test_a_late_answer_to_an_old_question_is_dropped(page: Page, client: Client) -> None:
    publish(client, "images", 2, 6)
    held: list[tuple[Route, APIResponse]] = []
    page.route(QUERY, lambda route: held.append((route, route.fetch())), times=1)
    page.goto(client.url)
    expect(page.get_by_label("Metric", exact=True)).to_have_value("QueueDepth")
    page.get_by_label("Live").uncheck()
    choose(page, "Aggregation", "maximum")
    expect(page.locator("#legend b")).to_have_text("6")
    ((route, answer),) = held
    route.fulfill(response=answer)
    idle(page)
    expect(page.locator("#heading")).to_have_text("Maximum of QueueDepth")
    expect(page.locator("#legend b")).to_have_text("6")


def test_a_late_catalogue_is_dropped(page: Page, client: Client) -> None:
    held: list[tuple[Route, APIResponse]] = []
    page.route(CATALOGUE, lambda route: held.append((route, route.fetch())), times=1)
    page.goto(client.url)
    page.wait_for_function("() => document.readyState === 'complete'")
    while not held:
        page.evaluate("1")
    publish(client, "images", 2)
    page.get_by_label("Live").uncheck()  # Asks anew.
    expect(page.locator("#stored")).to_have_text("1 series of 1 metric, 1 resource")
    ((route, answer),) = held
    route.fulfill(response=answer)
    idle(page)
    expect(page.locator("#stored")).to_have_text("1 series of 1 metric, 1 resource")
    expect(page.locator("#heading")).to_be_visible()


def test_what_did_not_change_is_left_alone(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    publish_at(frozen, 2, images=4)
    page.goto(f"{frozen.url}/?minutes=15&dimension=QueueName")
    expect(page.locator("#values option")).to_have_count(1)
    page.evaluate("""() => {
      for (const selector of ["#values option", "#metric option", "#legend button", "#note"]) {
        document.querySelector(selector).mine = true;
      }
      getSelection().selectAllChildren(document.querySelector("#values-table td:nth-child(2)"));
    }""")
    assert page.evaluate("getSelection().toString()") == "4"
    publish_at(frozen, 1, images=5)
    expect(page.locator("#legend b")).to_have_text("5")
    assert [row[1] for row in rows(page)] == ["QueueDepth", "5", "4"]
    publish_at(frozen, 3, images=3)
    expect(page.locator("#values-table tbody tr")).to_have_count(3)
    assert [row[1] for row in rows(page)] == ["QueueDepth", "5", "4", "3"]
    assert page.evaluate("getSelection().toString()") == "4"
    assert page.evaluate("""() => ["#values option", "#metric option", "#legend button", "#note"]
      .every((selector) => document.querySelector(selector).mine)""")


def test_typing_asks_once(page: Page, client: Client) -> None:
    publish(client, "images", 4)
    page.clock.install(time=dt.datetime(2026, 11, 23, tzinfo=dt.UTC))
    page.goto(f"{client.url}/?dimension=QueueName")
    expect(page.locator("#legend b")).to_have_text("4")
    with page.expect_response(QUERY):
        page.get_by_label("Live").uncheck()
    idle(page)
    page.clock.pause_at(dt.datetime(2026, 11, 23, 1, tzinfo=dt.UTC))
    asked = questions(page)
    page.get_by_label("Filter: value").press_sequentially("nothing")
    page.clock.run_for(249)
    idle(page)
    assert asked == []
    with page.expect_response(QUERY):
        page.clock.run_for(1)
    page.clock.resume()
    expect(page.locator("#empty h2")).to_have_text("No values match the filters in this time range")
    assert len(asked) == 1
    assert "nothing" in asked[0]
    with page.expect_response(QUERY):
        page.get_by_label("Filter: value").press("Enter")  # Does not wait.


def test_no_values_in_this_time(page: Page, client: Client) -> None:
    publish(client, "images", 3, minutes=25)
    page.goto(f"{client.url}/?minutes=15")
    expect(page.locator("#empty h2")).to_have_text("No values in this time range")
    page.get_by_role("button", name="Show the last 24 hours").click()
    expect(page.locator("#legend b")).to_have_text("3")
    expect(page.get_by_label("Time range")).to_be_focused()
    choose(page, "Filter: dimension", "QueueName")
    page.get_by_label("Filter: value").fill("nothing")
    expect(page.locator("#empty h2")).to_have_text("No values match the filters in this time range")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator("#legend b")).to_have_text("3")
    expect(page.get_by_label("Filter: dimension")).to_be_focused()


def test_what_was_tried_is_not_offered_again(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    page.goto(f"{client.url}/?minutes=15&dimension=QueueName&value=nothing")
    expect(page.locator("#empty button")).to_have_text(["Clear filters", "Show the last 24 hours"])
    page.get_by_role("button", name="Show the last 24 hours").click()
    expect(page.locator("#empty button")).to_have_text(["Clear filters"])
    choose(page, "Time range", "60")
    expect(page.locator("#empty button")).to_have_text(["Clear filters", "Show the last 24 hours"])


# How Chromium, Safari and Firefox say it.
@pytest.mark.parametrize("words", ["", "Load failed", "NetworkError when attempting to fetch"])
def test_an_emulator_that_is_away_and_comes_back(
    browser: Browser, client: Client, words: str
) -> None:
    publish(client, "images", 3)
    with watched_page(browser, client.url, expected="net::ERR_FAILED") as page:
        page.add_init_script(
            """window.ask = window.fetch;
            window.fetch = (path) => window.words
              ? Promise.reject(new TypeError(window.words)) : window.ask(path);"""
        )
        page.goto(client.url)
        expect(page.locator("#legend b")).to_have_text("3")
        if words:
            page.evaluate("(words) => { window.words = words; }", words)
        else:
            page.route(CATALOGUE, lambda route: route.abort())
        port = client.url.rpartition(":")[2]
        expect(page.get_by_role("alert")).to_have_text(
            "The emulator does not respond. Start it again on the same port, with make run"
            f" PORT={port} or python -m local.monitor --port {port}: this page then continues."
        )
        expect(page.locator("#legend b")).to_have_text("3")
        page.unroute_all()
        page.evaluate("() => { window.words = ''; }")
        expect(page.get_by_role("alert")).to_be_hidden()


def test_an_answer_that_is_not_json_is_reported_as_its_status(
    browser: Browser, client: Client
) -> None:
    with watched_page(browser, client.url, expected="status of 500") as page:
        page.route(CATALOGUE, lambda route: route.fulfill(status=500, body="Internal Server Error"))
        page.goto(client.url)
        expect(page.get_by_role("alert")).to_have_text("The emulator refused the query: status 500")
