"""Stand-ins for the edges of the pipeline: Azure Resource Manager and a queue."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast
from urllib.parse import unquote

from shared.clients.http import Deadline
from shared.clients.json_client import JsonClient
from shared.clients.storage import Queue
from shared.pipeline.regions import Regions
from tests.unit.stubs import TIMEOUT, ManualClock

__all__ = ["ARM", "StubArm", "StubQueue", "make_regions"]

ARM = "https://arm.example"
_URL = re.compile(rf"{ARM}(.+)/resources\?\$filter=resourceType eq '(.+)'&api-version=2021-04-01")


class StubArm(JsonClient):
    """Lists resources by group and type; in place of a JsonClient."""

    def __init__(self, locations: Mapping[str, str] = {}) -> None:
        """`locations` are those of resource IDs."""
        self.locations = dict(locations)
        self.urls: list[str] = []
        self.documents: list[Any] = []  # Pages to return instead of a list.
        self.error: Exception | None = None
        self.before: Callable[[], object] = lambda: None  # Called before each response.
        self.asked = threading.Event()

    @property
    def requests(self) -> int:
        return len(self.urls)

    def pages(self, url: str, next_link: Callable[[Any], Any], deadline: Deadline) -> Iterator[Any]:
        self.urls.append(url)
        self.asked.set()
        self.before()
        assert deadline.left()
        if self.error is not None:
            raise self.error
        for page in self.documents or [self._list(url)]:
            yield page
            if not next_link(page):
                return

    def _list(self, url: str) -> Any:
        match = _URL.fullmatch(unquote(url))
        assert match, url
        beginning = f"{match[1]}/providers/{match[2]}/"
        found = {
            resource_id: location
            for resource_id, location in self.locations.items()
            if resource_id.lower().startswith(beginning)
        }
        return {"value": [{"id": one, "location": location} for one, location in found.items()]}

    async def hold(self, task: asyncio.Task[Any]) -> Callable[[], None]:
        """Wait until the task has sent a request; return what lets the response go."""
        release = threading.Event()
        self.before = lambda: release.wait(TIMEOUT)
        assert await asyncio.to_thread(self.asked.wait, TIMEOUT)
        assert not task.done()
        return release.set


@contextmanager
def make_regions(
    arm: StubArm, clock: ManualClock | None = None, **options: Any
) -> Iterator[Regions]:
    """Make what looks regions up in the stub."""
    client = cast(JsonClient, arm)
    with ThreadPoolExecutor(4) as executor:
        yield Regions(client, ARM, executor, clock=clock or ManualClock(), **options)


class StubQueue(Queue):
    """Keeps what is sent, and notes it in a journal that several queues share."""

    def __init__(self, name: str = "", journal: list[str] | None = None) -> None:
        self.sent: list[tuple[bytes, timedelta]] = []
        self.error: Exception | None = None
        self.fails_after: int | None = None  # Messages that it accepts.
        self._name = name
        self._journal = [] if journal is None else journal

    async def send(self, message: bytes, delay: timedelta = timedelta()) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if self.fails_after is not None and len(self.sent) >= self.fails_after:
            raise OSError("full")
        self._journal.append(self._name)
        self.sent.append((message, delay))

    def documents(self) -> list[Any]:
        """Return the messages, decoded."""
        return [json.loads(message) for message, _ in self.sent]
