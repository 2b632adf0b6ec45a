"""Azure Resource Manager's list of resources, as far as the look-up of regions asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from scripted import Asked, Said, Server, said, serving
from sourcing import Named, open_gate

from shared.clients.http import open_session
from shared.clients.json_client import JsonClient
from shared.pipeline.regions import Regions

__all__ = ["ACCOUNTS", "Arm", "Clock", "Finder", "finding", "resource"]

SUBSCRIPTION = "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677"
ACCOUNTS = "Microsoft.Storage/storageAccounts"
_FILTER = re.compile("resourceType eq '([^']+)'")


def resource(name: str, *, kind: str = ACCOUNTS, group: str = "orders") -> str:
    """A resource ID."""
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/{kind}/{name}"


class Clock:
    """A time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Arm:
    """Answers with what it has of a type in a group, or as `instead` says."""

    def __init__(self, locations: Mapping[str, str]) -> None:
        """`locations` are those of resource IDs."""
        self.locations = dict(locations)
        self.instead: Callable[[Asked], Said | None] | None = None

    def __call__(self, asked: Asked) -> Said | None:
        return self.list(asked) if self.instead is None else self.instead(asked)

    def list(self, asked: Asked) -> Said:
        """The list that a request asks for."""
        kind = _FILTER.fullmatch(asked.query["$filter"])
        assert kind, asked.query
        assert asked.query["api-version"] == "2021-04-01"
        group, _, last = asked.path.rpartition("/")
        assert last == "resources"
        beginning = f"{group}/providers/{kind[1]}/".lower()
        return said(
            {
                "value": [
                    {"id": resource_id, "name": "x", "type": kind[1], "location": location}
                    for resource_id, location in self.locations.items()
                    if resource_id.lower().startswith(beginning)
                ]
            }
        )


@dataclass
class Finder:
    """Regions that are looked up over HTTP, in a time of their own."""

    arm: Arm
    server: Server
    regions: Regions
    clock: Clock

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return len(self.server.asked)


@contextmanager
def finding(
    locations: Mapping[str, str],
    *,
    threads: int = 4,
    resource_id: str | None = None,
    region: str | None = None,
) -> Iterator[Finder]:
    """Serve the list and look regions up in it until the end of the block."""
    arm, clock = Arm(locations), Clock()
    with (
        open_session(threads) as session,
        ThreadPoolExecutor(threads) as executor,
        serving(arm) as server,
    ):
        client = JsonClient(session, open_gate(), Named("arm"))
        regions = Regions(
            client, server.url, executor, resource_id=resource_id, region=region, clock=clock
        )
        yield Finder(arm, server, regions, clock)
