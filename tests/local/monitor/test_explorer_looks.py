"""How the explorer page looks: both themes, long names, and the picture of the README."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from .client import document, iso, series
from .explorer import at, publish, publish_at, wait_for_lines

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from .client import Client

pytestmark = pytest.mark.slow

SCREENSHOT = Path(__file__).parents[3] / "docs" / "explorer.png"
# Depths of queues in a rush and its end, minute by minute, for the picture.
RUSH = {
    "images": "8 7 8 9 8 9 10 11 12 14 19 27 38 51 63 71 74 72 66 58 49 41 34 29 25 22 20 19",
    "video": "3 3 4 3 4 4 5 4 5 5 6 8 11 15 20 26 31 35 38 39 38 36 33 29 25 21 18 16",
    "thumbnails": "6 7 6 7 8 7 8 8 9 8 9 10 12 13 15 16 17 17 16 16 14 13 12 12 11 10 10 9",
    "invoices": "1 0 1 1 0 1 1 1 1 1 2 2 2 3 3 3 4 4 5 5 6 6 6 7 7 7 8 8",
}


def contrast(page: Page, selector: str) -> float:
    """WCAG's ratio of an element's text, as opaque as it is, to what is behind it."""
    ratio: float = page.locator(selector).first.evaluate(
        """(element) => {
          const paint = (text) => text.match(/[\\d.]+/g).map(Number);
          const luminance = (paints) => {
            const [r, g, b] = paints.slice(0, 3).map((each) => each / 255).map(
              (each) => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          let behind = element;
          let opacity = 1;
          while (paint(getComputedStyle(behind).backgroundColor)[3] === 0) {
            opacity *= getComputedStyle(behind).opacity;
            behind = behind.parentElement;
          }
          const ground = paint(getComputedStyle(behind).backgroundColor);
          const text = paint(getComputedStyle(element).color)
            .map((each, index) => each * opacity + ground[index] * (1 - opacity));
          const [low, high] = [text, ground].map(luminance).sort((one, other) => one - other);
          return (high + 0.05) / (low + 0.05);
        }"""
    )
    return ratio


READ = ("h1", ".where", "#heading", "#note", "#moment", "label", "select", "td", "th", ".some")


def test_both_themes_are_readable(page: Page, client: Client) -> None:
    publish(client, "images", 3)
    publish(client, "video", 2)
    assert client.post(document(time=iso(-7200))).status_code == 400
    page.goto(f"{client.url}/?split=QueueName")
    page.get_by_role("button", name="video").click()
    off = "#legend button[aria-pressed=false]"
    expect(page.locator(off)).to_have_text("video2")
    page.locator("h1").hover()
    grounds = set()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.get_by_role("tab", name="Chart").click()
        wait_for_lines(page, "s0")  # In the colour of this theme.
        for selector in (*READ, off, f"{off} b"):
            assert contrast(page, selector) >= 4.5, (theme, selector)
        page.get_by_role("tab", name="Refused").click()
        assert contrast(page, ".status") >= 4.5, theme
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


@pytest.mark.parametrize("width", [390, 1280])
def test_long_names_break_nothing(page: Page, client: Client, width: int) -> None:
    metric, dimension = "m" * 256, "d" * 256
    entries = [series(letter * 256) for letter in "abc"]
    long = document(*entries, metric=metric, namespace="n" * 256, dimNames=[dimension])
    assert client.post(long).ok
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{client.url}/?split={dimension}&dimension={dimension}")
    expect(page.locator("#legend li")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in ("#heading", "#note", "#legend button", "#legend b", "select", "#chart"):
        for each in page.locator(selector).all():
            box = each.bounding_box()
            assert box is not None, selector
            assert box["x"] >= 0, selector
            assert box["x"] + box["width"] <= width, selector
    for name in page.locator("#legend span, #values-table th span").all():
        assert name.evaluate("(name) => name.scrollWidth - name.clientWidth < 16")  # An ellipsis.
    head = page.locator("#values-table thead").bounding_box()
    assert head is not None
    assert head["height"] < 120  # Cut, with the whole name as a title.
    expect(page.locator("#values-table th").nth(1)).to_have_attribute("title", "a" * 256)


# Of two pictures: their sizes, and how many pixels of each of the first four colours they have.
COMPARE = """(pictures) => Promise.all(pictures.map(async (picture) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, image.width, image.height);
  const counts = ["11,98,196", "194,87,12", "26,127,75", "154,47,176"].map((colour) => {
    let count = 0;
    for (let place = 0; place < data.length; place += 4) {
      if (data.slice(place, place + 3).join() === colour) count += 1;
    }
    return count;
  });
  return { size: [image.width, image.height], counts };
}))"""


def test_the_picture_of_the_readme(
    frozen_page: Page, frozen: Client, browser: Browser, tmp_path: Path
) -> None:
    """UPDATE_SCREENSHOT=1 puts it where the README has it."""
    page = frozen_page
    depths = {queue: [float(each) for each in text.split()] for queue, text in RUSH.items()}
    for minutes, values in enumerate(reversed(list(zip(*depths.values(), strict=True)))):
        publish_at(frozen, minutes, **dict(zip(depths, values, strict=True)))
    assert frozen.post(document(time=at(120))).status_code == 400
    page.set_viewport_size({"width": 1200, "height": 860})
    page.goto(f"{frozen.url}/?split=QueueName&minutes=30")
    expect(page.locator("#legend span")).to_have_text(list(RUSH))
    expect(page.locator("#refused-count")).to_have_text("1")
    wait_for_lines(page, "s0", "s1", "s2", "s3")
    for selector in ("#heading", "#chart canvas", "#legend", "#values-table thead"):
        expect(page.locator(selector)).to_be_in_viewport(ratio=0.99)
    update = os.environ.get("UPDATE_SCREENSHOT") == "1"
    fresh = page.screenshot(path=SCREENSHOT if update else tmp_path / "explorer.png")
    pictures = [base64.b64encode(each).decode() for each in (SCREENSHOT.read_bytes(), fresh)]
    blank = browser.new_page()
    kept, now = blank.evaluate(COMPARE, pictures)
    blank.close()
    assert kept["size"] == now["size"] == [1200, 860]
    # Fonts differ from machine to machine, and with them a little the room for the lines.
    for kept_count, count in zip(kept["counts"], now["counts"], strict=True):
        assert count > 500
        assert kept_count == pytest.approx(count, rel=0.2), "UPDATE_SCREENSHOT=1 renews it"
