"""The explorer page, in a real browser: choosing, splitting, live values, refusals, both themes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from .browser import launched, watched_page
from .client import QUEUE_ACCOUNT, Client, document, iso, series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

SITE = QUEUE_ACCOUNT.replace("Microsoft.Storage/storageAccounts", "Microsoft.Web/sites")
SCREENSHOT = Path(__file__).parents[2] / "docs" / "explorer.png"
# So many minutes of a rush and its end, for the picture.
RUSH = {
    "images": [
        8,
        7,
        8,
        9,
        8,
        9,
        10,
        11,
        12,
        14,
        19,
        27,
        38,
        51,
        63,
        71,
        74,
        72,
        66,
        58,
        49,
        41,
        34,
        29,
        25,
        22,
        20,
        19,
    ],
    "video": [
        3,
        3,
        4,
        3,
        4,
        4,
        5,
        4,
        5,
        5,
        6,
        8,
        11,
        15,
        20,
        26,
        31,
        35,
        38,
        39,
        38,
        36,
        33,
        29,
        25,
        21,
        18,
        16,
    ],
    "thumbnails": [
        6,
        7,
        6,
        7,
        8,
        7,
        8,
        8,
        9,
        8,
        9,
        10,
        12,
        13,
        15,
        16,
        17,
        17,
        16,
        16,
        14,
        13,
        12,
        12,
        11,
        10,
        10,
        9,
    ],
    "invoices": [
        1,
        0,
        1,
        1,
        0,
        1,
        1,
        1,
        1,
        1,
        2,
        2,
        2,
        3,
        3,
        3,
        4,
        4,
        5,
        5,
        6,
        6,
        6,
        7,
        7,
        7,
        8,
        8,
    ],
}

REDRAWN = """(before) => {
  const picture = document.querySelector("#chart canvas").toDataURL();
  return picture !== before && picture;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Ended with this module: while it runs, no other test could run a loop of its own.
    with launched() as started:
        yield started


@pytest.fixture
def page(browser: Browser, client: Client) -> Iterator[Page]:
    with watched_page(browser, client.url) as opened:
        yield opened


def publish(client: Client, queue: str, *values: float, minutes: int = 0, **base: str) -> None:
    """One value set of a queue, some minutes ago."""
    whole = {"min": min(values), "max": max(values), "sum": sum(values), "count": len(values)}
    entry = series(queue, "JPEG", **whole)
    assert client.post(document(entry, time=iso(-60 * minutes), **base)).ok


def rows(page: Page) -> list[list[str]]:
    """The cells of the table of values, its head among them."""
    return [
        row.locator("th, td").all_inner_texts() for row in page.locator("#values-table tr").all()
    ]


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).select_option(option)


def test_choosing_what_is_shown(page: Page, client: Client) -> None:
    publish(client, "images", 2, 6)
    publish(client, "images", 50, metric="Age")
    publish(client, "images", 7, namespace="Other", metric="Depth")
    assert client.post(document(series("a", "b", sum=30)), resource=SITE).ok
    page.goto(client.url)
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


def test_of_many_series_the_greatest_are_shown(page: Page, client: Client) -> None:
    entries = [series(f"q{n:02}", "JPEG", sum=3 * n) for n in range(1, 13)]
    assert client.post(document(*entries)).ok
    page.goto(f"{client.url}/?split=QueueName")
    names = page.locator("#legend span")
    expect(names).to_have_text([f"q{n:02}" for n in range(12, 2, -1)])
    expect(page.locator("#note")).to_contain_text("The 10 greatest are shown")


def test_new_values_come_by_themselves(page: Page, client: Client) -> None:
    page.goto(client.url)
    expect(page.locator("#empty h2")).to_have_text("Nothing is stored yet")
    publish(client, "images", 4)
    last = page.locator("#legend b")
    expect(last).to_have_text("4")
    publish(client, "images", 8)
    expect(last).to_have_text("6")
    assert rows(page)[1][1] == "6"
    page.get_by_label("Live").uncheck()
    with page.expect_response(re.compile("/_local/query")) as caught:
        page.get_by_label("Live").check()  # Asks at once.
    assert caught.value.ok


def test_what_was_refused(page: Page, client: Client) -> None:
    page.goto(client.url)
    page.get_by_role("tab", name="Refused").click()
    expect(page.locator("#refused-empty h2")).to_have_text("Nothing was refused")
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


def test_the_address_keeps_the_selection(page: Page, client: Client) -> None:
    publish(client, "images", 2, 6)
    publish(client, "images", 1, namespace="Other")
    page.goto(client.url)
    choose(page, "Namespace", "QueueProcessing")
    choose(page, "Aggregation", "maximum")
    choose(page, "Split by", "QueueName")
    choose(page, "Filter: dimension", "MessageType")
    page.get_by_label("Filter: value").fill("JPEG")
    choose(page, "Time", "180")
    expect(page.locator("#heading")).to_have_text("Maximum of QueueDepth by QueueName")
    page.get_by_role("tab", name="Refused").click()
    page.reload()
    expect(page.get_by_role("tab", name="Refused")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Chart").click()
    expect(page.locator("#heading")).to_have_text("Maximum of QueueDepth by QueueName")
    expect(page.locator("#legend li")).to_have_text(["images6"])
    expect(page.get_by_label("Filter: value")).to_have_value("JPEG")
    expect(page.get_by_label("Time", exact=True)).to_have_value("180")


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
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached[:7] == [
        *("resource", "namespace", "metric", "aggregation", "split", "dimension", "minutes")
    ]
    button = page.locator("#legend button")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.focus()
    page.keyboard.press("Space")
    expect(button).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")


def test_no_values_in_this_time(page: Page, client: Client) -> None:
    publish(client, "images", 3, minutes=25)
    page.goto(f"{client.url}/?minutes=15")
    expect(page.locator("#empty h2")).to_have_text("No values in this time")
    page.get_by_role("button", name="Show 24 hours").click()
    expect(page.locator("#legend b")).to_have_text("3")
    choose(page, "Filter: dimension", "QueueName")
    page.get_by_label("Filter: value").fill("nothing")
    expect(page.locator("#empty h2")).to_have_text("No values pass the filter in this time")
    page.get_by_role("button", name="Clear the filter").click()
    expect(page.locator("#legend b")).to_have_text("3")


def test_a_metric_that_is_not_there(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    page.goto(f"{client.url}/?metric=QueueDeepth&resource={QUEUE_ACCOUNT}")
    expect(page.locator("#empty h2")).to_have_text("There is nothing of this metric")
    expect(page.get_by_label("Metric", exact=True)).to_have_value("QueueDeepth")
    page.get_by_role("button", name="Choose what there is").click()
    expect(page.locator("#heading")).to_have_text("Average of QueueDepth")


def test_names_are_text_and_never_markup(page: Page, client: Client) -> None:
    markup = "<img src=x onerror=alert(1)>"
    publish(client, markup, 3, metric=markup)
    page.goto(f"{client.url}/?split=QueueName")
    expect(page.locator("#heading")).to_have_text(f"Average of {markup} by QueueName")
    expect(page.locator("#legend span")).to_have_text([markup])
    expect(page.locator("img")).to_have_count(0)


def test_an_emulator_that_is_away_and_comes_back(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    page.goto(client.url)
    expect(page.locator("#legend b")).to_have_text("3")
    page.route("**/_local/catalogue*", lambda route: route.abort())
    expect(page.get_by_role("alert")).to_contain_text(
        "The emulator does not answer. Start it again"
    )
    expect(page.locator("#legend b")).to_have_text("3")
    page.unroute_all()
    expect(page.get_by_role("alert")).to_be_hidden()


def contrast(page: Page, selector: str) -> float:
    """WCAG's ratio of an element's text to what is behind it."""
    ratio: float = page.locator(selector).first.evaluate(
        """(element) => {
          const paint = (text) => text.match(/[\\d.]+/g).map(Number);
          const luminance = (text) => {
            const [r, g, b] = paint(text).slice(0, 3).map((each) => each / 255).map(
              (each) => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          let behind = element;
          while (paint(getComputedStyle(behind).backgroundColor)[3] === 0) {
            behind = behind.parentElement;
          }
          const [low, high] = [getComputedStyle(element).color,
                               getComputedStyle(behind).backgroundColor]
            .map(luminance).sort((one, other) => one - other);
          return (high + 0.05) / (low + 0.05);
        }"""
    )
    return ratio


def test_both_themes_are_readable(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    assert client.post(document(time=iso(-7200))).status_code == 400
    page.goto(client.url)
    expect(page.locator("#legend b")).to_have_text("3")
    grounds = set()
    picture = ""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.get_by_role("tab", name="Chart").click()
        redrawn = page.wait_for_function(REDRAWN, arg=picture)  # Else the chart kept its colours.
        picture = redrawn.json_value()
        for selector in (
            "h1",
            ".where",
            "#heading",
            "#note",
            "label",
            "select",
            "td",
            "th",
            ".some",
        ):
            assert contrast(page, selector) >= 4.5, (theme, selector)
        page.get_by_role("tab", name="Refused").click()
        assert contrast(page, ".status") >= 4.5, theme
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_the_picture_of_the_readme(page: Page, client: Client, tmp_path: Path) -> None:
    """UPDATE_SCREENSHOT=1 puts it where the README has it."""
    for queue, values in RUSH.items():
        for minutes, value in enumerate(reversed(values)):
            publish(client, queue, value, minutes=minutes)
    assert client.post(document(time=iso(-7200))).status_code == 400
    page.set_viewport_size({"width": 1200, "height": 860})
    page.goto(f"{client.url}/?split=QueueName&minutes=30")
    expect(page.locator("#legend li")).to_have_count(len(RUSH))
    expect(page.locator("#refused-count")).to_have_text("1")
    update = os.environ.get("UPDATE_SCREENSHOT") == "1"
    path = SCREENSHOT if update else tmp_path / "explorer.png"
    picture = page.screenshot(path=path)
    assert len(picture) > 20_000
    assert SCREENSHOT.exists()


def test_the_page_asks_for_nothing_from_elsewhere(client: Client) -> None:
    answer = client.http.get(client.url, timeout=30)
    assert answer.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'self'"
    )
    folder = Path(__file__).parents[2] / "local" / "monitor" / "page"
    for path in folder.glob("*.*"):
        assert "http://" not in path.read_text(encoding="utf-8")
        assert "https://" not in path.read_text(encoding="utf-8")
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
        assert client.http.get(f"{client.url}/_local/page/{path.name}", timeout=30).ok


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("query?minutes=0", "minutes: '0' is not a whole number from 1 to 1440"),
        ("query?minutes=1441", "minutes: '1441' is not a whole number from 1 to 1440"),
        ("query?resourceId=/x", "resourceId: '/x' does not name a resource"),
        (f"query?resourceId={SITE}", "The query parameter 'metricnames' is required."),
        ("catalogue?x=1", "x: there is no such parameter"),
        ("dimensions?x=1", "x: there is no such parameter"),
        ("refusals?x=1", "x: there is no such parameter"),
    ],
)
def test_what_the_page_may_ask(client: Client, path: str, message: str) -> None:
    answer = client.http.get(f"{client.url}/_local/{path}", timeout=30)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)
