"""The app with a feeder in place of its queue: its own wiring, one loop, a local store."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from bench.store import Store
from shared.model import Origin
from shared.pipeline.processor import Processor
from shared.settings import Settings

__all__ = ["SITE", "Feeder", "make_messages", "new_origin", "open_app", "settings_for"]

GROUP = "/subscriptions/1/resourceGroups/shop/providers/Microsoft.Web/sites"
SITE = f"{GROUP}/shop-api"
_NUMBERS = itertools.count()


class Feeder:
    """Feeds an app on a loop that goes on from one call of `run` to the next."""

    def __init__(self, processor: Processor, runner: asyncio.Runner) -> None:
        self.processor = processor
        self._runner = runner

    def run(self, work: Callable[[Processor], Awaitable[float]]) -> float:
        """Return what the work with the processor returns."""

        async def result() -> float:
            return await work(self.processor)

        return self._runner.run(result())

    def feed(self, messages: Sequence[bytes], in_flight: int) -> float:
        """Process all messages, `in_flight` at a time; return the seconds."""
        return self.run(lambda processor: _feed(processor, messages, in_flight))


def settings_for(store: Store) -> dict[str, str]:
    """Return app settings that lead to the store; nothing uses the queues."""
    return {
        "MetricsStorage": "UseDevelopmentStorage=true",
        "METRICS_QUEUE": "metrics",
        "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
        "METRICS_ENDPOINT": f"{store.url}/{{region}}",
        # As deployed: the relay's own metrics cost time too.
        "METRICS_RESOURCE_ID": f"{GROUP}/own",
        "METRICS_REGION": "westeurope",
        "IDENTITY_ENDPOINT": f"{store.url}/msi/token",
        "IDENTITY_HEADER": "local",
    }


@contextmanager
def open_app(store: Store, **settings: str) -> Iterator[Feeder]:
    """Build the app as its first invocation does; once in a process."""
    for name in [name for name in os.environ if name.startswith(("METRICS_", "WEBSITE_"))]:
        del os.environ[name]
    os.environ.update({**settings_for(store), **settings})
    from shared.app import build_app  # noqa: PLC0415 (its imports should not be measured before)

    with asyncio.Runner() as runner:
        yield Feeder(build_app(Settings.from_env(os.environ)).processor, runner)


def new_origin() -> Origin:
    """Return the origin of a message that was enqueued now; a message is processed once."""
    return Origin(str(next(_NUMBERS)), datetime.now(UTC))


async def _feed(processor: Processor, messages: Iterable[bytes], in_flight: int) -> float:
    """Process messages, `in_flight` at a time; return the seconds."""
    loop = asyncio.get_running_loop()
    rest = iter(messages)
    started = loop.time()

    async def work() -> None:
        for message in rest:
            await processor.process(message, new_origin())

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return loop.time() - started


def make_messages(
    count: int,
    per_message: int,
    *,
    series: int,
    resources: int = 1,
    now: datetime | None = None,
    stamped: bool = True,
) -> list[bytes]:
    """Return messages of points with a time and three dimensions, all of the 20 seconds before now.

    The resources take turns, a message each. As from a producer, each point has a time of its own:
    a message holds five seconds, in milliseconds. The series of a resource come in a random order,
    the same in each run.

    If `stamped` is false, all points share 20 texts of times and the series take turns, which
    flatters whatever caches by text.
    """
    now = now or datetime.now(UTC)
    chance = random.Random(20261123)  # noqa: S311 (nothing secret)
    order = [number % series for number in range(-(-count // resources) * per_message)]
    if stamped:
        chance.shuffle(order)
    total = count * per_message
    messages = []
    for which in range(count):
        first = which // resources * per_message
        if stamped:
            times = _times(now, per_message, chance)
        else:
            seconds = ((which * per_message + index) * 20 // total for index in range(per_message))
            times = [_text(now - timedelta(seconds=second)) for second in seconds]
        points = [
            {
                "metric": "Orders",
                "value": (which * per_message + index) % 97 + 0.5,
                "time": times[index],
                "dimensions": {"Country": "NL", "Store": f"store-{one}", "Channel": f"c{one % 5}"},
            }
            for index, one in enumerate(order[first : first + per_message])
        ]
        resource = SITE if resources == 1 else f"{SITE}-{which % resources}"
        document = {"resourceId": resource, "region": "westeurope", "points": points}
        messages.append(json.dumps(document).encode())
    return messages


def _times(now: datetime, count: int, chance: random.Random) -> list[str]:
    """Return different times of five of the 20 seconds before now, in ascending order."""
    start = now - timedelta(milliseconds=chance.randint(5_000, 20_000))
    times = sorted(chance.sample(range(5_000), count))
    return [_text(start + timedelta(milliseconds=time), "milliseconds") for time in times]


def _text(time: datetime, timespec: str = "auto") -> str:
    return time.isoformat(timespec=timespec).replace("+00:00", "Z")
