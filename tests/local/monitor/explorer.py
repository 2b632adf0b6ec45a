"""What the tests of the explorer page do: publish values, choose, read table and chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import Client, document, iso, series
from .conftest import NOW

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = [
    "LINES",
    "at",
    "choose",
    "idle",
    "lines",
    "publish",
    "publish_at",
    "rows",
    "wait_for_lines",
]


def publish(client: Client, queue: str, *values: float, minutes: int = 0, **base: str) -> None:
    """One value set of a queue, some minutes before the test began."""
    whole = {"min": min(values), "max": max(values), "sum": sum(values), "count": len(values)}
    entry = series(queue, "JPEG", **whole)
    assert client.post(document(entry, time=iso(-60 * minutes, client.began), **base)).ok


def publish_at(client: Client, minutes: int, **values: float) -> None:
    """A value of each queue, some minutes before NOW."""
    entries = [
        series(queue, "JPEG", min=value, max=value, sum=value, count=1)
        for queue, value in values.items()
    ]
    assert client.post(document(*entries, time=at(minutes))).ok


def at(minutes: float) -> str:
    """A time so many minutes before NOW, as documents have it."""
    return iso(-60 * minutes, NOW)


def rows(page: Page) -> list[list[str]]:
    """The cells of the table of values, its head among them."""
    return [
        row.locator("th, td").all_inner_texts() for row in page.locator("#values-table tr").all()
    ]


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option by its value."""
    page.get_by_label(label, exact=True).select_option(option)


def idle(page: Page) -> None:
    """Wait until the page has dealt with all answers that it has got so far, and asks no more."""
    page.evaluate("fetch('/_local/catalogue').then((answer) => answer.json())")
    page.wait_for_function("() => document.querySelector('main').ariaBusy === 'false'")


# Of each colour of a series in the chart: how many pixels, and the first and last row with one.
LINES = """() => {
  const canvas = document.querySelector("#chart canvas");
  if (!canvas) return {};
  const { offsetLeft, offsetTop, offsetWidth: width, offsetHeight: height } =
    document.querySelector("#chart .u-over"); // Without the axes.
  const { data } = canvas.getContext("2d").getImageData(offsetLeft, offsetTop, width, height);
  const style = getComputedStyle(document.documentElement);
  const found = {};
  for (let number = 0; number < 10; number += 1) {
    const hex = style.getPropertyValue(`--s${number}`).trim();
    const [red, green, blue] = [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
    const at = [];
    for (let place = 0; place < data.length; place += 4) {
      if (data[place] === red && data[place + 1] === green && data[place + 2] === blue
          && data[place + 3] === 255) at.push(Math.floor(place / 4 / width));
    }
    if (at.length) found[`s${number}`] = { pixels: at.length, top: at[0], bottom: at.at(-1) };
  }
  return found;
}"""


def lines(page: Page) -> dict[str, Any]:
    """The colours in the chart: {"s0": {"pixels", "top", "bottom"}}."""
    found: dict[str, Any] = page.evaluate(LINES)
    return found


def wait_for_lines(page: Page, *names: str) -> None:
    """Wait until the chart has lines of these colours and of no other."""
    page.wait_for_function(
        f"(names) => Object.keys(({LINES})()).join() === names", arg=",".join(names)
    )
