"""The whole thing on this machine: `make demo`.

Enqueues metric messages of both shapes, good and bad, with the Azure SDK, and makes queues with
a backlog for the timer to sample. Shows what then is in (the emulator of) Azure Monitor, and what
was dead-lettered and why. Ends with 0 only when all of it is what it should be. With --keep
(`make demo KEEP=1`) it goes on with live traffic until Ctrl-C, for the metrics explorer to show.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import requests
from azure.core.exceptions import AzureError
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from local import demo_data
from local.demo_traffic import LIVE, Traffic
from local.processes import Child, ChildError
from local.stack import INGRESS, Backend, run_app, run_backend

__all__ = ["main"]

# Seconds until everything must have arrived; it takes about fifteen.
DEADLINE = 120.0
# Every ten seconds instead of every minute, so that the demo is short.
SCHEDULE = "*/10 * * * * *"

OWN_NAMESPACE = "MetricRelay"  # Of the relay's metrics on itself.
# Seconds between two turns of the traffic that goes on.
PERIOD = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit status."""
    parser = argparse.ArgumentParser(description="The whole thing on this machine.")
    parser.add_argument("--keep", action="store_true", help="go on with live traffic until Ctrl-C")
    keep = parser.parse_args(arguments).keep
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print("Starting Azurite, the Azure Monitor emulator and the Functions host …", flush=True)
    try:
        with run_backend() as backend:
            _prepare(backend)  # Before the timer looks at it.
            settings = {
                "METRICS_SAMPLE_SCHEDULE": SCHEDULE,
                "METRICS_SOURCES": json.dumps(demo_data.sources(backend.monitor_url)),
            }
            with run_app(backend, settings) as host:
                status = _demonstrate(backend, host)
                if status or not keep:
                    return status
                return _keep(backend, host)
    except ChildError as exc:
        print(exc, file=sys.stderr)
        return 1
    except (AzureError, requests.RequestException) as exc:
        print(f"Azurite or the Azure Monitor emulator does not answer: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; everything is stopped.", file=sys.stderr)
        return 130


def _prepare(backend: Backend) -> None:
    """Give the sources something to sample."""
    backend.control("PUT", "resources", json=demo_data.resources())
    backend.control("PUT", "service_bus", json=demo_data.service_bus())
    backend.control("PUT", "documents", json=demo_data.stock())
    for queue, backlog in demo_data.filled_queues().items():
        client = backend.storage.create_queue(queue)
        for number in range(backlog):
            client.send_message(f"work {number}")


def _demonstrate(backend: Backend, host: Child) -> int:
    enqueued = _enqueue(backend.storage)
    print(f"Enqueued {enqueued} messages; waiting for them and for samples ", end="", flush=True)

    deadline = time.monotonic() + DEADLINE
    problems = ["nothing arrived"]
    turns = 0
    while problems and time.monotonic() < deadline:
        time.sleep(1)
        turns += 1
        print("." if turns % 3 == 0 else "", end="", flush=True)
        values, letters = backend.metrics(), backend.dead_letters()
        problems = _problems(values, letters)
    print()
    _show(values, letters)
    if not problems:
        print(
            "\nAll is as expected.\n`make demo KEEP=1` leaves the metrics explorer open, with live"
            " traffic."
        )
        return 0
    print("\nNot as expected:", *problems, sep="\n  ", file=sys.stderr)
    print(f"\nThe Functions host said:\n{host.output}", file=sys.stderr)
    return 1


def _keep(backend: Backend, host: Child) -> int:
    """Send traffic until Ctrl-C, or until the host or the emulator ends."""
    page = f"{backend.page}?{urlencode(LIVE)}"
    watched = [each for each in (backend.monitor, host) if each is not None]
    try:
        print(f"\nMetrics explorer, with live traffic until Ctrl-C: {page}", flush=True)
        traffic = Traffic(backend, random.Random())  # noqa: S311 - chance, not secrets.
        while not (ended := [each for each in watched if each.status is not None]):
            traffic.turn()
            time.sleep(PERIOD)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 0
    for each in ended:
        said = f"; its last words:\n{each.output}" if each.output else "."
        print(f"The {each.name} ended with status {each.status}{said}", file=sys.stderr)
    return 1


def _enqueue(storage: QueueServiceClient) -> int:
    """Put the messages into the ingress queue, as text and as base64 in turn; how many."""
    as_text = storage.get_queue_client(INGRESS)
    as_base64 = storage.get_queue_client(INGRESS, message_encode_policy=TextBase64EncodePolicy())
    bodies = demo_data.messages(datetime.now(UTC))
    for number, body in enumerate(bodies):
        (as_base64 if number % 2 else as_text).send_message(body)
    return len(bodies)


def _problems(values: Sequence[dict[str, Any]], letters: Sequence[dict[str, Any]]) -> list[str]:
    """What is not, or not yet, as it should be."""
    stored = _totals(values)
    problems = [
        f"{' '.join(series)}: {stored.get(series)} is stored, expected {expected}"
        for series, expected in demo_data.published().items()
        if stored.get(series) != expected
    ]
    for series, sample in demo_data.sampled().items():
        least, most = stored.get(series, (None, None))[:2]
        if (least, most) != (sample, sample):
            problems.append(f"{' '.join(series)}: {least} to {most}, expected {sample}")
    refused = Counter[str]()
    for letter in letters:
        refused[letter["reason"]] += len(letter["refused"])
    if refused != demo_data.dead_letters():
        problems.append(f"dead-lettered: {dict(refused)}, expected {demo_data.dead_letters()}")
    return problems


def _totals(values: Sequence[dict[str, Any]]) -> demo_data.Expected:
    """The value set of each series over all minutes."""
    totals: demo_data.Expected = {}
    for value in values:
        series = (demo_data.short(value["resourceId"]), value["metric"], _dimensions(value))
        one = (value["min"], value["max"], value["sum"], value["count"])
        least, most, total, count = totals.get(series, (one[0], one[1], 0.0, 0))
        totals[series] = (min(least, one[0]), max(most, one[1]), total + one[2], count + one[3])
    return totals


def _show(values: Sequence[dict[str, Any]], letters: Sequence[dict[str, Any]]) -> None:
    """Print the value set of each series, and the dead letters; at most 100 columns wide."""
    own = [value for value in values if value["namespace"] == OWN_NAMESPACE]
    others = [value for value in values if value["namespace"] != OWN_NAMESPACE]
    regions = {demo_data.short(value["resourceId"]): value["region"] for value in others}
    print("\nIn Azure Monitor (the emulator), all minutes together:")
    rows = [
        (resource, metric, dimensions or "–", *(f"{part:g}" for part in parts))
        for (resource, metric, dimensions), parts in _totals(others).items()
    ]
    heads = ("metric", "dimensions", "min", "max", "sum", "count")
    widths = [
        max(map(len, column)) for column in zip(heads, *(row[1:] for row in rows), strict=True)
    ]
    for resource, region in sorted(regions.items()):
        print(f"\n  {resource} in {region}")
        _print_table(heads, [row[1:] for row in rows if row[0] == resource], 4, widths)
    if own:
        names = ", ".join(sorted({value["metric"] for value in own}))
        print(f"\n  The relay's metrics on itself ({OWN_NAMESPACE}): {names}")
    print("\nIn the dead-letter queue, with the reason:\n")
    refused = [(letter["reason"], one["detail"]) for letter in letters for one in letter["refused"]]
    _print_table(("reason", "detail"), refused)


def _dimensions(value: dict[str, Any]) -> str:
    return ", ".join(f"{name}={text}" for name, text in sorted(value["dimensions"].items()))


def _print_table(
    heads: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    numbers: int = 0,
    widths: Sequence[int] = (),
) -> None:
    """Print columns as wide as their content or `widths`; right-align the last `numbers`."""
    widths = widths or [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, tuple("─" * width for width in widths), *rows):
        cells = [
            cell.rjust(width) if place >= len(row) - numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
