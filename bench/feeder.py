"""The app with a feeder in the place of its queue: its own wiring, one loop, a store next door."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from bench.store import Store
from shared.model import utc_text
from shared.pipeline.dead_letters import Origin
from shared.pipeline.processor import Drain

__all__ = ["GROUP", "SITE", "App", "feed", "make_messages", "open_app", "settings_for"]

GROUP = "/subscriptions/1/resourceGroups/shop/providers/Microsoft.Web/sites"
SITE = f"{GROUP}/shop-api"
ORIGIN = "00000000-0000-4000-8000-000000000000"


class App:
    """The parts of `function_app` on a loop that goes on from one call of `run` to the next."""

    def __init__(self, drain: Drain, runner: asyncio.Runner) -> None:
        self.drain = drain
        self._runner = runner

    def run(self, work: Callable[[Drain], Awaitable[float]]) -> float:
        """What the work with the drain gives."""

        async def given() -> float:
            return await work(self.drain)

        return self._runner.run(given())

    def feed(self, messages: Sequence[bytes], in_flight: int) -> float:
        """Seconds until all messages are settled, with so many in flight."""
        return self.run(lambda drain: feed(drain, messages, in_flight))


def settings_for(store: Store) -> dict[str, str]:
    """App settings that lead to the store; the queues are not there, and nothing asks them."""
    return {
        "MetricsStorage": "UseDevelopmentStorage=true",
        "METRICS_QUEUE": "metrics",
        "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
        "METRICS_ENDPOINT": f"{store.url}/{{region}}",
        # As deployed: what the app says of itself costs too.
        "METRICS_RESOURCE_ID": f"{GROUP}/own",
        "METRICS_REGION": "westeurope",
        "IDENTITY_ENDPOINT": f"{store.url}/msi/token",
        "IDENTITY_HEADER": "local",
    }


@contextmanager
def open_app(store: Store, **settings: str) -> Iterator[App]:
    """The app, wired up as its first invocation does; once in a process."""
    for name in [name for name in os.environ if name.startswith(("METRICS_", "WEBSITE_"))]:
        del os.environ[name]
    os.environ.update({**settings_for(store), **settings})
    from function_app import parts  # noqa: PLC0415 (what it imports is not to be measured before)

    with asyncio.Runner() as runner:
        yield App(parts().drain, runner)


async def feed(drain: Drain, messages: Iterable[bytes], in_flight: int) -> float:
    """Settle messages, so many at a time; the seconds that it took."""
    loop = asyncio.get_running_loop()
    rest = iter(messages)
    started = loop.time()

    async def work() -> None:
        for message in rest:
            await drain.message(message, Origin(ORIGIN, datetime.now(UTC)))

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return loop.time() - started


def make_messages(
    count: int,
    per_message: int,
    *,
    series: int,
    in_a_row: int = 1,
    resources: int = 1,
    now: datetime | None = None,
) -> list[bytes]:
    """Messages of points with a time and three dimensions, of so many series in turn.

    The series are those of each resource, with so many points in a row; the messages go to so
    many resources in turn, the points over the last 20 seconds.
    """
    now = now or datetime.now(UTC)
    total = count * per_message
    times = [utc_text(now - timedelta(seconds=second)) for second in range(20)]
    messages = []
    for which in range(count):
        points = []
        for index in range(per_message):
            number = which * per_message + index
            of_resource = which // resources * per_message + index
            one = of_resource // in_a_row % series
            dimensions = {"Country": "NL", "Store": f"store-{one}", "Channel": f"c{one % 5}"}
            point = {
                "metric": "Orders",
                "value": number % 97 + 0.5,
                "time": times[number * 20 // total],
                "dimensions": dimensions,
            }
            points.append(point)
        resource = SITE if resources == 1 else f"{SITE}-{which % resources}"
        document = {"resourceId": resource, "region": "westeurope", "points": points}
        messages.append(json.dumps(document).encode())
    return messages
