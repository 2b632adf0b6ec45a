"""The second tab of the explorer page: what was refused, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from playwright.sync_api import expect

from .client import document, iso

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .client import Client

pytestmark = pytest.mark.slow


def test_what_was_refused(page: Page, client: Client) -> None:
    page.goto(client.url)
    page.get_by_role("tab", name="Refused").click()
    expect(page.locator("#refused-empty h2")).to_have_text("No refused requests")
    expect(page.locator("#fault-example")).to_contain_text(f"{client.url}/_local/faults")
    assert client.post(document(time=iso(-7200))).status_code == 400
    client.fault(status=429, next=1)
    assert client.post(document()).status_code == 429
    assert client.post(document()).ok
    expect(page.locator("#refused-count")).to_have_text("2")
    found = page.locator("#refused-table tbody tr")
    expect(found.nth(0)).to_contain_text("429 Fault")
    expect(found.nth(1)).to_contain_text("400 BadRequest")
    expect(found.nth(1)).to_contain_text("'time' should not be older than 30 minutes")
    expect(found.nth(1)).to_contain_text("ordersqueues")


def test_a_fault_is_told_with_its_body(page: Page, client: Client) -> None:
    page.goto(f"{client.url}/?tab=refused")
    client.fault(status=429, next=1)
    assert client.post(document()).status_code == 429
    client.fault(status=500, next=1, body={"error": {"code": "Oops"}})
    assert client.post(document()).status_code == 500
    client.fault(drop="before", next=1)
    with pytest.raises(requests.ConnectionError):
        client.post(document())
    assert client.http.post(f"{client.url}/bad", json={}, timeout=30).status_code == 404
    reasons = page.locator("#refused-table td:last-child")
    expect(reasons).to_have_text(
        [
            "Not the metrics of a resource: /bad",
            "An injected fault closed the connection without an answer.",
            'Injected fault with the body {"error":{"code":"Oops"}}',
            "Injected fault without a body.",
        ]
    )


def test_dead_letters(page: Page, client: Client) -> None:
    entry = {"time": iso(), "reason": "expired", "detail": "points[0]: too old"}
    answers: list[dict[str, Any]] = [
        {"queue": None, "deadLetters": []},
        {"queue": "dead", "deadLetters": [], "error": "The storage service does not answer."},
        {"queue": "dead", "deadLetters": []},
        {"queue": "dead", "deadLetters": [entry, entry]},
    ]
    page.route("**/_local/dead_letters?", lambda route: route.fulfill(json=answers[0]))
    page.goto(f"{client.url}/?tab=dead")
    box = page.locator("#dead-empty")
    expect(box).to_contain_text("This emulator has no dead-letter queue.")
    del answers[0]
    expect(box).to_contain_text("Dead letters are not available")
    del answers[0]
    expect(box).to_contain_text("Metric Relay puts what it cannot publish")
    del answers[0]
    caption = page.locator("#dead-table caption")
    expect(caption).to_contain_text("2 rejections in the first messages of the queue dead")
    expect(page.locator("#dead-table tbody tr").first).to_contain_text("expired")
    expect(box).to_be_hidden()
