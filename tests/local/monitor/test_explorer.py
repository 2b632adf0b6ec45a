"""The explorer page, in a real browser: choosing, splitting, filtering, and the address."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from .client import GROUP, QUEUE_ACCOUNT, SUBSCRIPTION, Client, document, series
from .explorer import choose, publish, rows

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

SITE = QUEUE_ACCOUNT.replace("Microsoft.Storage/storageAccounts", "Microsoft.Web/sites")


def test_choosing_what_is_shown(page: Page, client: Client) -> None:
    publish(client, "images", 2, 6)
    publish(client, "images", 50, metric="Age")
    publish(client, "images", 7, namespace="Other", metric="Depth")
    assert client.post(document(series("a", "b", sum=30)), resource=SITE).ok
    page.goto(client.url)
    # It opens on what was published last.
    expect(page.locator("#note")).to_contain_text(SITE)
    expect(page.locator("#heading")).to_have_text("Average of QueueDepth")
    page.get_by_label("Resource").select_option(QUEUE_ACCOUNT)
    expect(page.locator("#heading")).to_have_text("Average of Depth")
    choose(page, "Namespace", "QueueProcessing")
    expect(page.locator("#heading")).to_have_text("Average of Age")
    choose(page, "Metric", "QueueDepth")
    for name, text, value in [
        ("average", "Average", "4"),
        ("minimum", "Minimum", "2"),
        ("maximum", "Maximum", "6"),
        ("total", "Sum", "8"),
        ("count", "Count", "2"),
    ]:
        choose(page, "Aggregation", name)
        expect(page.locator("#heading")).to_have_text(f"{text} of QueueDepth")
        assert [row[1] for row in rows(page)] == ["QueueDepth", value]
    page.get_by_label("Resource").select_option(SITE)
    expect(page.locator("#note")).to_contain_text(SITE)
    assert [row[1] for row in rows(page)] == ["QueueDepth", "3"]  # The count is chosen still.


def test_splitting_and_filtering(page: Page, client: Client) -> None:
    for queue, value in (("images", 30), ("video", 20), ("it's (odd)", 10)):
        publish(client, queue, value)
    page.goto(client.url)
    choose(page, "Split by", "QueueName")
    legend = page.locator("#legend li")
    expect(legend).to_have_text([r"images30", "video20", "it's (odd)10"])
    assert [row[1:] for row in rows(page)] == [
        ["images", "video", "it's (odd)"],
        ["30", "20", "10"],
    ]
    choose(page, "Filter: dimension", "QueueName")
    page.get_by_label("Filter: value").fill("it's (odd)")
    expect(legend).to_have_text(["it's (odd)10"])
    choose(page, "Filter: operator", "ne")
    expect(legend).to_have_text(["images30", "video20"])
    choose(page, "Filter: operator", "sw")
    page.get_by_label("Filter: value").fill("vi")
    expect(legend).to_have_text(["video20"])
    choose(page, "Split by", "")
    expect(legend).to_have_text(["QueueDepth20"])
    choose(page, "Filter: operator", "ne")
    expect(legend).to_have_text(["QueueDepth20"])  # No queue is named "vi": the average of all.
    assert page.locator("#values option").evaluate_all("all => all.map((each) => each.value)") == [
        "images",
        "it's (odd)",
        "video",
    ]


def test_several_filters(page: Page, client: Client) -> None:
    for queue, value in (("images", 30), ("video", 20), ("audio", 10)):
        publish(client, queue, value)
    page.goto(f"{client.url}/?split=QueueName")
    legend = page.locator("#legend span")
    for queue in ("images", "audio"):
        choose(page, "Filter: dimension", "QueueName")
        choose(page, "Filter: operator", "ne")
        page.get_by_label("Filter: value").fill(queue)
        page.get_by_role("button", name="Add").click()
    expect(legend).to_have_text(["video"])
    page.reload()
    expect(legend).to_have_text(["video"])
    page.get_by_role("button", name="Remove the filter QueueName is not images").click()
    expect(legend).to_have_text(["video", "images"])


def test_back_goes_back(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    page.goto(client.url)
    heading = page.locator("#heading")
    expect(heading).to_have_text("Average of QueueDepth")
    choose(page, "Aggregation", "maximum")
    expect(heading).to_have_text("Maximum of QueueDepth")
    page.get_by_role("tab", name="Dead letters").click()
    page.go_back()
    expect(page.get_by_role("tab", name="Chart")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(heading).to_have_text("Average of QueueDepth")
    page.go_forward()
    expect(heading).to_have_text("Maximum of QueueDepth")


def test_the_metrics_of_the_relay_are_not_shown_first(page: Page, client: Client) -> None:
    publish(client, "images", 3, namespace="MetricRelay", metric="SamplePoints")
    page.goto(client.url)
    heading = page.locator("#heading")
    expect(heading).to_have_text("Average of SamplePoints")  # There is nothing else.
    publish(client, "images", 4)
    publish(client, "images", 3, namespace="MetricRelay", metric="SamplePoints")
    expect(heading).to_have_text("Average of QueueDepth")


def test_of_many_series_the_greatest_are_shown(page: Page, client: Client) -> None:
    entries = [series(f"q{n:02}", "JPEG", sum=3 * n) for n in range(1, 13)]
    assert client.post(document(*entries)).ok
    page.goto(f"{client.url}/?split=QueueName")
    names = page.locator("#legend span")
    expect(names).to_have_text([f"q{n:02}" for n in range(12, 2, -1)])
    expect(page.locator("#note")).to_contain_text(
        "The 10 series with the highest average are shown"
    )


def test_the_address_keeps_the_selection(page: Page, client: Client) -> None:
    publish(client, "images", 2, 6)
    publish(client, "images", 1, namespace="Other")
    page.goto(client.url)
    choose(page, "Namespace", "QueueProcessing")
    choose(page, "Aggregation", "maximum")
    choose(page, "Split by", "QueueName")
    choose(page, "Filter: dimension", "MessageType")
    page.get_by_label("Filter: value").fill("JPEG")
    choose(page, "Time range", "180")
    expect(page.locator("#heading")).to_have_text("Maximum of QueueDepth by QueueName")
    page.get_by_role("tab", name="Refused").click()
    page.reload()
    expect(page.get_by_role("tab", name="Refused")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Chart").click()
    expect(page.locator("#heading")).to_have_text("Maximum of QueueDepth by QueueName")
    expect(page.locator("#legend li")).to_have_text(["images6"])
    expect(page.get_by_label("Filter: value")).to_have_value("JPEG")
    expect(page.get_by_label("Time range")).to_have_value("180")


def test_a_metric_that_is_not_there(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    page.goto(f"{client.url}/?metric=QueueDeepth&resource={QUEUE_ACCOUNT}")
    expect(page.locator("#empty h2")).to_have_text("No data for this metric")
    expect(page.get_by_label("Metric", exact=True)).to_have_value("QueueDeepth")
    page.get_by_role("button", name="Show the newest metric").click()
    expect(page.locator("#heading")).to_have_text("Average of QueueDepth")


def test_names_are_text_and_never_markup(page: Page, client: Client) -> None:
    markup = "<img src=x onerror=alert(1)>"
    publish(client, markup, 3, metric=markup)
    page.goto(f"{client.url}/?split=QueueName")
    expect(page.locator("#heading")).to_have_text(f"Average of {markup} by QueueName")
    expect(page.locator("#legend span")).to_have_text([markup])
    expect(page.locator("img")).to_have_count(0)


def test_resources_of_one_name_can_be_told_apart(page: Page, client: Client) -> None:
    other_group = QUEUE_ACCOUNT.replace(GROUP, f"{SUBSCRIPTION}/resourceGroups/spare")
    other_subscription = QUEUE_ACCOUNT.replace("5b2f8c1d", "6c3f8c1d")
    for resource in (QUEUE_ACCOUNT, SITE, other_group, other_subscription):
        assert client.post(document(), resource=resource).ok
    page.goto(client.url)
    name = "ordersqueues · Microsoft.Storage/storageAccounts"
    options = page.locator("#resource option")
    expect(options).to_have_count(4)
    assert sorted(options.all_inner_texts()) == [
        f"{name} · orders · 5b2f8c1d-1111-4222-8333-944455566677",
        f"{name} · orders · 6c3f8c1d-1111-4222-8333-944455566677",
        f"{name} · spare",
        "ordersqueues · Microsoft.Web/sites",
    ]


@pytest.mark.parametrize("name", ["it's", " lead", "x%2y", "a,b", "100%28x", "a eq 'b' or c"])
def test_a_name_is_taken_as_it_is(page: Page, client: Client, name: str) -> None:
    entries = [series(name, "JPEG", sum=3), series("other", "JPEG", sum=6)]
    named = document(*entries, metric=name, namespace=name, dimNames=[name, "MessageType"])
    assert client.post(named).ok
    page.goto(client.url)
    expect(page.locator("#legend b")).to_have_text("1.5")
    choose(page, "Split by", name)
    expect(page.locator("#legend b")).to_have_text(["2", "1"])
    choose(page, "Filter: dimension", name)
    page.get_by_label("Filter: value").fill(name)
    expect(page.locator("#legend b")).to_have_text(["1"])


def test_a_filter_goes_with_its_dimension(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    kept = client.post(document(series("images"), metric="Age", dimNames=["QueueName"]))
    assert kept.ok
    filters = ['["QueueName", "eq", "images"]', '["MessageType", "eq", "JPEG"]', "[typed]"]
    page.goto(
        f"{client.url}/?metric=QueueDepth&{urlencode([('filter', each) for each in filters])}"
    )
    chips = page.locator("#filters li")
    expect(chips).to_have_text(["QueueName is images ✕", "MessageType is JPEG ✕"])
    choose(page, "Metric", "Age")
    expect(page.locator("#heading")).to_have_text("Average of Age")
    expect(chips).to_have_text(["QueueName is images ✕"])
    expect(page.get_by_role("alert")).to_be_hidden()
