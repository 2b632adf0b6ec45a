"""The chart of the explorer page: what is drawn, what the pointer tells, and how numbers look."""

from __future__ import annotations

import csv
import datetime as dt
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from .browser import watched_page
from .client import document, series
from .conftest import NOW
from .explorer import LINES, at, choose, idle, lines, publish_at, rows, wait_for_lines

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from .client import Client

pytestmark = pytest.mark.slow


def test_each_series_has_a_line_that_can_be_switched_off(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    for minutes in range(10):
        publish_at(frozen, minutes, images=30 + minutes, video=20 - minutes)
    page.goto(f"{frozen.url}/?split=QueueName&minutes=15")
    wait_for_lines(page, "s0", "s1")
    page.get_by_label("Live").uncheck()
    button = page.get_by_role("button", name="images")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    wait_for_lines(page, "s1")
    choose(page, "Aggregation", "maximum")  # A new chart, and still not of that.
    expect(page.locator("#heading")).to_have_text("Maximum of QueueDepth by QueueName")
    idle(page)
    wait_for_lines(page, "s1")
    button.click()
    wait_for_lines(page, "s0", "s1")
    button.click()
    wait_for_lines(page, "s1")
    choose(page, "Split by", "MessageType")
    expect(page.locator("#legend span")).to_have_text(["JPEG"])
    choose(page, "Split by", "QueueName")  # Chosen anew, it is all there.
    wait_for_lines(page, "s0", "s1")


def test_a_new_value_is_drawn_at_once(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    publish_at(frozen, 10, images=30)
    page.goto(f"{frozen.url}/?split=QueueName&minutes=15")
    wait_for_lines(page, "s0")
    before = lines(page)["s0"]["pixels"]
    for minutes in range(10):
        publish_at(frozen, minutes, images=30)
    page.wait_for_function(f"(least) => ({LINES})().s0.pixels > least", arg=5 * before)


def test_the_axis_begins_at_zero_only_near_it(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    for minutes in range(10):
        publish_at(frozen, minutes, near=9 + minutes, far=1000 + minutes)
    for queue, colour, least, most in (("near", "s1", 0.4, 0.6), ("far", "s0", 0.75, 0.95)):
        page.goto(f"{frozen.url}/?split=QueueName&minutes=15&dimension=QueueName&value={queue}")
        wait_for_lines(page, colour)
        line = lines(page)[colour]
        height = page.locator("#chart .u-over").bounding_box() or {"height": 1}
        assert least < (line["bottom"] - line["top"]) / height["height"] < most, queue


@pytest.mark.parametrize("minutes", [180, 720, 1440])
def test_values_without_neighbours_are_drawn(
    frozen_page: Page, frozen: Client, minutes: int
) -> None:
    for ago in (5, 25):
        publish_at(frozen, ago, images=30)
    frozen_page.goto(f"{frozen.url}/?minutes={minutes}")
    wait_for_lines(frozen_page, "s0")
    assert lines(frozen_page)["s0"]["pixels"] > 20


def test_a_constant_is_not_at_the_edge(frozen_page: Page, frozen: Client) -> None:
    for minutes in range(10):
        publish_at(frozen, minutes, images=7)
    frozen_page.goto(f"{frozen.url}/?minutes=15")
    wait_for_lines(frozen_page, "s0")
    line = lines(frozen_page)["s0"]
    height = (frozen_page.locator("#chart .u-over").bounding_box() or {"height": 1})["height"]
    assert 0.1 < line["top"] / height < 0.4


def test_dragging_zooms(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    for minutes in range(14):
        publish_at(frozen, minutes, images=30 + minutes)
    page.goto(f"{frozen.url}/?minutes=15")
    wait_for_lines(page, "s0")
    whole = page.get_by_role("button", name="Reset zoom")
    expect(whole).to_be_hidden()
    box = page.locator("#chart .u-over").bounding_box()
    assert box is not None

    def drag() -> None:
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 50)
        page.mouse.up()

    drag()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    expect(whole).to_be_visible()
    with page.expect_response(re.compile("/_local/query")):
        pass  # The next answer leaves it as it is.
    idle(page)
    expect(whole).to_be_visible()
    moment = page.locator("#moment")
    expect(moment).to_have_text("Values at 08:18")
    frozen.set("PUT", "clock", {"offsetSeconds": 60})
    newest = document(series("images", "JPEG"), time=at(-1))
    assert frozen.post(newest, token=frozen.fetch_token()).ok
    expect(page.locator("#values-table td").first).to_have_text("08:26")
    expect(moment).to_have_text("Values at 08:18")
    whole.click()
    expect(whole).to_be_hidden()
    drag()
    expect(whole).to_be_visible()
    choose(page, "Time range", "30")
    expect(whole).to_be_hidden()


def test_what_is_shown_can_be_downloaded(frozen_page: Page, frozen: Client) -> None:
    publish_at(frozen, 1, **{'a "b", c': 3.5, "=d": 4})
    frozen_page.goto(f"{frozen.url}/?split=QueueName&minutes=15")
    with frozen_page.expect_download() as download:
        frozen_page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "metrics.csv"
    found = list(csv.reader(download.value.path().read_text("utf-8").splitlines()))
    assert found[0] == ["time", "=d", 'a "b", c']
    assert found[-2] == ["2026-11-23T07:24:00.000Z", "4", "3.5"]
    assert found[-1] == ["2026-11-23T07:25:00.000Z", "", ""]


def test_the_pointer_tells_values_time_and_gaps(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    publish_at(frozen, 12, images=3, video=4)
    publish_at(frozen, 2, images=5)
    page.goto(f"{frozen.url}/?split=QueueName&minutes=15")
    legend = page.locator("#legend li")
    expect(page.locator("#moment")).to_have_text("Latest values")
    expect(legend).to_have_text(["images5", "video4"])
    with page.expect_response(re.compile("/_local/query")):
        page.get_by_label("Live").uncheck()
    idle(page)  # From here on nothing but the pointer changes the page.
    over = page.locator("#chart .u-over")
    box = over.bounding_box()
    assert box is not None
    for minutes, clock, values in [
        (12, "08:13", ["images3", "video4"]),
        (7, "08:18", ["images–", "video–"]),
        (2, "08:23", ["images5", "video–"]),
    ]:
        over.hover(position={"x": box["width"] * (14 - minutes) / 14, "y": 50})
        expect(page.locator("#moment")).to_have_text(f"Values at {clock}")
        expect(legend).to_have_text(values)
    page.locator("h1").hover()
    expect(page.locator("#moment")).to_have_text("Latest values")
    expect(legend).to_have_text(["images5", "video4"])


def test_a_series_keeps_its_colour_and_its_place(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    colours = """() => Object.fromEntries([...document.querySelectorAll("#legend li")].map(
      (each) => [each.querySelector("span").textContent,
                 getComputedStyle(each.querySelector("i")).backgroundColor]))"""
    publish_at(frozen, 1, images=30, video=20)
    page.goto(f"{frozen.url}/?split=QueueName&minutes=15&aggregation=total")
    expect(page.locator("#legend li")).to_have_text(["images30", "video20"])
    first = page.evaluate(colours)
    page.get_by_role("button", name="video").focus()
    publish_at(frozen, 1, video=80, invoices=90)
    expect(page.locator("#legend li")).to_have_text(["images30", "video100", "invoices90"])
    expect(page.get_by_role("button", name="video")).to_be_focused()
    assert page.evaluate(colours).items() >= first.items()
    assert len(set(page.evaluate(colours).values())) == 3
    choose(page, "Filter: dimension", "QueueName")
    page.get_by_label("Filter: value").fill("video")
    expect(page.locator("#legend li")).to_have_text(["video100"])
    assert page.evaluate(colours) == {"video": first["video"]}
    wait_for_lines(page, "s1")
    choose(page, "Split by", "")  # Something else: it begins with the first colour.
    expect(page.locator("#legend span")).to_have_text(["QueueDepth"])
    assert page.evaluate(colours) == {"QueueDepth": first["images"]}


def test_a_newcomer_takes_the_colour_of_one_that_went(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    publish_at(frozen, 1, **{f"q{n:02}": 1000 - 100 * n for n in range(10)})
    page.goto(f"{frozen.url}/?split=QueueName&minutes=15&aggregation=total")
    wait_for_lines(page, *(f"s{n}" for n in range(10)))
    publish_at(frozen, 1, newcomer=550)
    names = [f"q{n:02}" for n in range(9)]
    expect(page.locator("#legend span")).to_have_text([*names, "newcomer"])
    wait_for_lines(page, *(f"s{n}" for n in range(10)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0004, "0.0004"),
        (-0.0004, "-0.0004"),
        (0.00000123456, "0.000001235"),
        (0.00000012, "1.2E-7"),
        (-0.0, "0"),
        (2.0004, "2"),
        (1 / 3, "0.3333"),
        (1234.5678, "1,234.568"),
        (12345678, "12,345,678"),
        (1.5e20, "1.5E20"),
        (-1.5e20, "-1.5E20"),
    ],
)
def test_a_number_is_written_so_that_it_says_something(
    frozen_page: Page, frozen: Client, value: float, text: str
) -> None:
    publish_at(frozen, 1, images=value)
    frozen_page.goto(f"{frozen.url}/?minutes=15")
    expect(frozen_page.locator("#legend b")).to_have_text(text)
    assert rows(frozen_page)[1][1] == text


# Notes the labels that are drawn: of the axis of values with their left edge, and of the time axis.
NOTE_LABELS = """(() => {
  const draw = CanvasRenderingContext2D.prototype.fillText;
  window.texts = [];
  window.times = [];
  CanvasRenderingContext2D.prototype.fillText = function (text, x, ...rest) {
    if (this.textAlign === "right") window.texts.push([text, x - this.measureText(text).width]);
    else window.times.push(text);
    return draw.call(this, text, x, ...rest);
  };
})()"""


@pytest.mark.parametrize("value", [0.00012345, 1.00002, 12345678, -98765432, 1.5e20])
def test_the_axis_has_room_for_its_labels(frozen_page: Page, frozen: Client, value: float) -> None:
    page = frozen_page
    page.add_init_script(NOTE_LABELS)
    for minutes in range(10):
        publish_at(frozen, minutes, images=value * (1 + minutes * 1e-6))
    page.goto(f"{frozen.url}/?minutes=15")
    page.wait_for_function("() => window.texts.length > 1")
    idle(page)
    drawn = page.evaluate("window.texts")
    assert all(left >= 0 for _, left in drawn)
    assert len({text for text, _ in drawn}) > 2


def test_the_time_axis_names_a_new_day_and_no_time_twice(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    page.add_init_script(NOTE_LABELS)
    publish_at(frozen, 1, images=1)
    page.goto(f"{frozen.url}/?minutes=720")
    page.wait_for_function("() => window.times.includes('23 Nov')")
    page.get_by_label("Live").uncheck()
    idle(page)  # From here on nothing but the new range makes a chart.
    page.evaluate("window.times = []")
    choose(page, "Time range", "15")
    page.wait_for_function("() => window.times.length")
    box = page.locator("#chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 50)
    page.mouse.up()
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    page.wait_for_function("() => window.times.includes('')")  # Between two minutes.


def test_long_numbers_do_not_overlap(frozen_page: Page, frozen: Client) -> None:
    page = frozen_page
    publish_at(frozen, 1, **{f"q{n}": 4_326_882_721.183 for n in range(10)})
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(f"{frozen.url}/?minutes=15&split=QueueName")
    cells = page.locator("#values-table td")
    expect(cells).to_have_count(11)
    assert cells.evaluate_all("all => all.every((one) => one.scrollWidth <= one.clientWidth)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    cells.last.scroll_into_view_if_needed()
    expect(cells.first).to_be_in_viewport(ratio=1)  # The time stays.


@pytest.mark.parametrize(("minutes", "grain"), [(180, 1), (720, 5), (1440, 15)])
def test_half_a_day_and_a_day_have_longer_values(
    frozen_page: Page, frozen: Client, minutes: int, grain: int
) -> None:
    page = frozen_page
    expected: dict[str, int] = {}
    for ago in range(25):
        publish_at(frozen, ago, images=ago + 1)
        start = (NOW // 60 - ago) // grain * grain * 60
        named = dt.datetime.fromtimestamp(start, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        expected[named] = expected.get(named, 0) + ago + 1
    with page.expect_request(re.compile("/_local/query")) as asked:
        page.goto(f"{frozen.url}/?minutes={minutes}&aggregation=total")
    # No more than values that are not forgotten yet, however the grains lie.
    assert f"minutes={minutes - grain + 1}&interval=PT{grain}M" in asked.value.url
    each = "minute" if grain == 1 else f"{grain} minutes"
    expect(page.locator("#note")).to_contain_text(f"One value per {each}, times in CET.")
    starts = page.locator("#values-table td:first-child").evaluate_all(
        "all => all.map((each) => each.title)"
    )
    values = [int(row[1]) for row in rows(page)[1:]]
    assert dict(zip(starts, values, strict=True)) == expected


@pytest.mark.parametrize(
    ("timezone", "name", "clock"),
    [("Europe/Amsterdam", "CET", "08:24"), ("America/New_York", "GMT-5", "02:24"),
     ("Asia/Kolkata", "GMT+5:30", "12:54"), ("UTC", "UTC", "07:24")],
)  # fmt: skip
def test_times_are_those_of_the_browser_and_say_so(
    browser: Browser, frozen: Client, timezone: str, name: str, clock: str
) -> None:
    publish_at(frozen, 1, images=1)
    frozen.post(document(series("a", "b"), time=at(60)))
    with watched_page(browser, frozen.url, timezone=timezone) as page:
        page.clock.set_fixed_time(NOW)
        page.goto(f"{frozen.url}/?minutes=15")
        expect(page.locator("#note")).to_contain_text(f"times in {name}.")
        assert rows(page) == [[f"Time ({name})", "QueueDepth"], [clock, "1"]]
        cell = page.locator("#values-table td").first
        expect(cell).to_have_attribute("title", "2026-11-23 07:24:00 UTC")
        page.get_by_role("tab", name="Refused").click()
        expect(page.locator("#refused-table th").first).to_have_text(f"Time ({name})")
        expect(page.locator("#refused-table td").first).to_have_attribute(
            "title", "2026-11-23 07:25:30 UTC"
        )
