"""One emulator for all tests, set back before each; others for those that need options."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from local.monitor.server import running
from local.monitor.state import MonitorState, Options

from .client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

NOW = 1_795_418_730.0  # 2026-11-23T07:25:30Z, where the clock of `frozen` stands.


@contextmanager
def connected(state: MonitorState) -> Iterator[Client]:
    """A client of an emulator that runs as long."""
    with running(state) as url:
        client = Client(url)
        with client.http:
            yield client


@pytest.fixture(scope="session")
def emulator() -> Iterator[Client]:
    """A client of the emulator that all tests share."""
    with connected(MonitorState()) as client:
        yield client


@pytest.fixture
def client(emulator: Client) -> Client:
    """A client of an emulator as it is at the start."""
    emulator.set("DELETE", "state")
    emulator.began = time.time()
    return emulator


@pytest.fixture
def start() -> Iterator[Callable[[Options], Client]]:
    """Starts an emulator with options; its clock stands still at NOW."""
    with ExitStack() as stack:

        def start(options: Options) -> Client:
            return stack.enter_context(connected(MonitorState(options, clock=lambda: NOW)))

        yield start


@pytest.fixture(scope="session")
def frozen_emulator() -> Iterator[Client]:
    """A client of the one whose clock stands still."""
    with connected(MonitorState(clock=lambda: NOW)) as client:
        yield client


@pytest.fixture
def frozen(frozen_emulator: Client) -> Client:
    """A client of an emulator as it is at the start, whose clock stands still at NOW."""
    frozen_emulator.set("DELETE", "state")
    frozen_emulator.began = NOW
    return frozen_emulator


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; ended with the module: while it runs, no other test could run a loop."""
    from .browser import launched  # noqa: PLC0415 - only who needs it waits for Playwright.

    with launched() as started:
        yield started


@pytest.fixture
def page(browser: Browser, client: Client) -> Iterator[Page]:
    """A page that looks at nothing but the emulator of `client`."""
    from .browser import watched_page  # noqa: PLC0415

    with watched_page(browser, client.url) as opened:
        yield opened


@pytest.fixture
def frozen_page(browser: Browser, frozen: Client) -> Iterator[Page]:
    """The same for `frozen`; for it, too, it is NOW."""
    from .browser import watched_page  # noqa: PLC0415

    with watched_page(browser, frozen.url) as opened:
        opened.clock.set_fixed_time(NOW)
        yield opened
