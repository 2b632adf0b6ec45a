"""What a flood of invalid messages does to the good ones: `python -m bench.flood`.

The app's own parts, fed from memory with as many messages in work as an instance has; dead letters
go to a real Azurite, points to the emulator of the store. Good messages alone, and as many good
ones among invalid ones, take turns; a figure is the median of the rounds. All come from one queue,
so the question is how fast a message is settled, whatever is beside it, and how many lines the
log has of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from statistics import median

from azure.core.exceptions import ResourceNotFoundError

import function_app
from local.stack import Backend, run_backend
from shared.dead_letter import Origin

__all__ = ["main"]

SITE = "/subscriptions/1/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api"
# batchSize + newBatchThreshold of host.json.
IN_WORK = 288
QUEUE = "flood"


class _Lines(logging.Handler):
    """Counts what is said of refusals."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "dead-lettered" in record.getMessage()


def _good(number: int) -> bytes:
    point = {"metric": "Orders", "value": number, "dimensions": {"Country": "NL"}}
    return json.dumps({"resourceId": SITE, "region": "westeurope", "points": [point]}).encode()


def _invalid(number: int) -> bytes:
    point = {"metric": "Orders", "value": f"none {number}"}
    return json.dumps({"resourceId": SITE, "region": "westeurope", "points": [point]}).encode()


async def _settle(bodies: Sequence[bytes]) -> float:
    """Settle messages, so many at once; messages a second."""
    drain = function_app.parts().drain
    waiting = iter(bodies)

    async def work() -> None:
        for body in waiting:
            await drain.message(body, Origin("1", datetime.now(UTC)))

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_WORK)))
    return len(bodies) / (time.perf_counter() - started)


async def _measure(backend: Backend, good: int, invalid: int, rounds: int) -> None:
    chance = random.Random(20261123)  # noqa: S311 (nothing secret)
    lines = _Lines()
    logging.getLogger("shared").addHandler(lines)
    alone: list[float] = []
    flooded: list[float] = []
    await _settle([_good(0), _invalid(0)] * 500)  # Modules are loaded, connections opened.
    for _ in range(rounds):
        alone.append(await _settle([_good(number) for number in range(good)]))
        mixed = [_good(number) for number in range(good)]
        mixed += [_invalid(number) for number in range(invalid // rounds)]
        chance.shuffle(mixed)
        lines.count = 0
        flooded.append(await _settle(mixed))
        print(
            f"alone {alone[-1]:6.0f} messages/s   in the flood {flooded[-1]:6.0f} messages/s   "
            f"{lines.count} lines on {invalid // rounds} refusals",
            flush=True,
        )
        # Those that lie there make Azurite slow, not Azure.
        with contextlib.suppress(ResourceNotFoundError):
            backend.storage.get_queue_client(f"{QUEUE}-dead-letter").clear_messages()
    ratio = median(flooded) / median(alone)
    print(f"median {median(alone):.0f} and {median(flooded):.0f}: {ratio:.2f} of the rate")


@contextlib.contextmanager
def _app_settings(backend: Backend) -> Iterator[None]:
    os.environ.update(backend.app_settings(QUEUE))
    try:
        yield
    finally:
        function_app.parts.cache_clear()


def main(arguments: list[str] | None = None) -> int:
    """Measure, print both rates and their ratio."""
    parser = argparse.ArgumentParser(description="What a flood of invalid messages does.")
    parser.add_argument("--good", type=int, default=3_000, help="good messages a round")
    parser.add_argument("--invalid", type=int, default=10_000, help="invalid messages in all")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    with run_backend() as backend, _app_settings(backend):
        asyncio.run(_measure(backend, given.good, given.invalid, given.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
