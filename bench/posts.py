"""Count the POSTs and bytes that 100,000 points take: `python -m bench.posts`.

Ten resources with 50 series each, points of one minute, processed with 288 messages in flight, as
if they had waited in the queue; and as they come in the course of that minute. Beside one document
a POST, and beside full bodies of documents without a roll-up, all in gzip. Goals are of the first:
messages of 250 points that waited.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from bench.feeder import make_messages, new_origin, open_app
from bench.measuring import Goal, Spread, main_of, progress
from bench.store import Totals, run_store
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.model import Rollup, TimeWindow
from shared.pipeline.processor import Processor
from shared.publisher.client import GZIP_LEVEL
from shared.publisher.encoder import encode_bodies

__all__ = ["run"]

POINTS = 100_000
PER_MESSAGE = (250, 25)
RESOURCES = 10
SERIES = 50
IN_FLIGHT = 288
MAX_BODY_BYTES = 1_000_000
FEWER_POSTS, FEWER_BYTES = 100, 20
WINDOW = TimeWindow(timedelta(minutes=20), timedelta(minutes=4))


def _documents(messages: list[bytes], now: datetime) -> Iterator[tuple[str, bytes]]:
    """Yield a document for each point, and the resource that it is of."""
    parser = MessageParser(Defaults("QueueProcessing"), WINDOW)
    for message in messages:
        for rollup in parser.parse(message, enqueued=now, now=now).rollups:
            for document in _single_values(rollup):
                yield rollup.target.resource_id, document


def _single_values(rollup: Rollup) -> Iterator[bytes]:
    for minute, group in rollup.minutes.items():
        for series, values in group.items():
            for value in values:
                single = Rollup(rollup.target, {minute: {series: [value]}})
                (body,) = encode_bodies(single.aggregate(), MAX_BODY_BYTES)
                yield body.data


def one_document_a_post(messages: list[bytes], now: datetime) -> Totals:
    """Return posts and bytes of a POST for each document."""
    sizes = [len(gzip.compress(document, GZIP_LEVEL)) for _, document in _documents(messages, now)]
    return Totals(len(sizes), sum(sizes), len(sizes))


def without_rollup(messages: list[bytes], now: datetime) -> Totals:
    """Return posts and bytes of bodies that are as full as possible, a point a document."""
    waiting: dict[str, list[bytes]] = {}
    sizes: list[int] = []
    points = 0
    for resource, document in _documents(messages, now):
        points += 1
        lines = waiting.setdefault(resource, [])
        if sum(map(len, lines[-1:])) * (len(lines) + 2) > MAX_BODY_BYTES:
            sizes.append(len(gzip.compress(b"".join(lines), GZIP_LEVEL)))
            lines.clear()
        lines.append(document)
    sizes += [len(gzip.compress(b"".join(lines), GZIP_LEVEL)) for lines in waiting.values()]
    return Totals(len(sizes), sum(sizes), points)


async def paced(processor: Processor, messages: list[bytes], seconds: float) -> float:
    """Process messages that come evenly over a time; return the seconds it took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number, message in enumerate(messages):
            await asyncio.sleep(started + seconds * number / len(messages) - loop.time())
            tasks.create_task(processor.process(message, new_origin()))
    return loop.time() - started


def run(given: argparse.Namespace) -> list[Goal]:
    """Count, for large messages and for small ones."""
    points, seconds = (5_000, 5) if given.quick else (POINTS, 60)
    counted: list[dict[str, Totals]] = []
    with run_store() as store, open_app(store) as app:
        for per_message in PER_MESSAGE:
            now = datetime.now(UTC)
            # Within one minute of the store, wherever in it this is started.
            minute = now.replace(second=59, microsecond=0) - timedelta(minutes=1)
            messages = make_messages(
                points // per_message, per_message, series=SERIES, resources=RESOURCES, now=minute
            )
            app.feed(messages, IN_FLIGHT)
            named = {"waiting": store.totals()}
            app.run(partial(paced, messages=messages, seconds=seconds))
            named["as they come"] = store.totals()
            named["one document a POST"] = one_document_a_post(messages, now)
            named["without roll-up"] = without_rollup(messages, now)
            counted.append(named)
            for name, totals in named.items():
                if totals.points != points:
                    raise SystemExit(f"{totals.points} points were posted: {name}")
                progress(
                    f"{per_message:4} points a message, {name:<20} {totals.posts:8,} POSTs "
                    f"{totals.bytes:12,} bytes"
                )
    waiting, _, each, full = counted[0].values()
    found = {
        "times fewer POSTs than a document each": each.posts / waiting.posts,
        "times fewer bytes than a document a POST": each.bytes / waiting.bytes,
        "times fewer bytes than without roll-up": full.bytes / waiting.bytes,
    }
    limits = (FEWER_POSTS, FEWER_BYTES, FEWER_BYTES)
    return [
        Goal(what, Spread.of(times), limit, at_least=True)
        for (what, times), limit in zip(found.items(), limits, strict=True)
    ]


if __name__ == "__main__":
    main_of("posts", __doc__, run)
