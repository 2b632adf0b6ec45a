"""Run the whole product on this machine: `make demo`.

Enqueues metric messages of both shapes, valid and invalid, with the Azure SDK, and makes queues
with a backlog for the timer to sample. Shows what then is in (the emulator of) Azure Monitor, and
what was dead-lettered and why. Ends with 0 only when all of it is what it should be. With --keep
(`make demo KEEP=1`) it goes on with live traffic until Ctrl-C, for the metrics explorer to show.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from azure.storage.queue import TextBase64EncodePolicy
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from local import demo_data
from local.demo_data import Series
from local.processes import Child, ChildError, discard_stdout, first_ended
from local.stack import INGRESS, Backend, run_app, run_backend

__all__ = ["main"]

# Seconds until everything must have arrived; it takes about fifteen.
DEADLINE = 300.0
# Every ten seconds instead of every minute, so that the demo is short.
SCHEDULE = "*/10 * * * * *"

WIDTH = 100  # Columns.
# Wider gaps between the columns would leave no room for the last one.
TABLE: Any = {"box": SIMPLE_HEAD, "show_edge": False, "pad_edge": False, "collapse_padding": True}
OWN_NAMESPACE = "MetricRelay"  # Of the relay's metrics on itself.
PERIOD = 3.0  # Seconds between two messages of the live traffic.
PAST_MINUTES = 15  # Less than the 20 for which values are accepted.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(description="Run the whole product on this machine.")
    parser.add_argument("--keep", action="store_true", help="go on with live traffic until Ctrl-C")
    keep = parser.parse_args(arguments).keep
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print("Starting Azurite, the Azure Monitor emulator and the Functions host …", flush=True)
        with run_backend() as backend:
            _prepare(backend)  # Before the timer looks at it.
            settings = {
                "METRICS_SAMPLE_SCHEDULE": SCHEDULE,
                "METRICS_SOURCES": json.dumps(demo_data.sources(backend.monitor_url)),
            }
            with run_app(backend, settings) as host:
                _demonstrate(backend, host)
                if keep:
                    _keep(backend, host)
                return 0
    except ChildError as exc:
        print(exc, file=sys.stderr)
        return 1
    except BrokenPipeError:  # As in `make demo | head`.
        discard_stdout()
        return 1
    except KeyboardInterrupt:
        print("Interrupted; everything is stopped.", file=sys.stderr)
        return 130


def _prepare(backend: Backend) -> None:
    """Give the sources something to sample."""
    for path, document in demo_data.EMULATOR.items():
        backend.control("PUT", path, json=document)
    for queue, backlog in demo_data.QUEUES.items():
        client = backend.storage.create_queue(queue)
        for number in range(backlog):
            client.send_message(f"work {number}")


def _demonstrate(backend: Backend, host: Child) -> None:
    """Enqueue the messages and show what comes of them. Raises ChildError if it is wrong."""
    bodies = demo_data.messages(datetime.now(UTC))
    as_text = backend.storage.get_queue_client(INGRESS)
    as_base64 = backend.storage.get_queue_client(
        INGRESS, message_encode_policy=TextBase64EncodePolicy()
    )
    for number, body in enumerate(bodies):
        (as_base64 if number % 2 else as_text).send_message(body)
    print(f"Enqueued {len(bodies)} messages; waiting for them and for samples ", end="", flush=True)
    deadline = time.monotonic() + DEADLINE
    while True:
        time.sleep(1)
        print(".", end="", flush=True)
        values, dead_letters = backend.metrics(), backend.dead_letters()
        problems = _problems(values, dead_letters)
        if not problems or host.status is not None or time.monotonic() > deadline:
            break
    print()
    _show(values, dead_letters)
    if problems:
        listed = "\n  ".join(["Not as expected:", *problems])
        raise ChildError(f"\n{listed}\nThe Functions host printed:\n{host.output}")
    print(
        "\nAll is as expected.\n`make demo KEEP=1` leaves the metrics explorer open, with traffic."
    )


def _problems(
    values: Sequence[dict[str, Any]], dead_letters: Sequence[dict[str, Any]]
) -> list[str]:
    """Return what is not, or not yet, as it should be."""
    stored = _totals(values)
    problems = [
        f"{' '.join(series)}: {stored.get(series)} is stored, expected {expected}"
        for series, expected in demo_data.EXPECTED.items()
        if stored.get(series, ())[: len(expected)] != expected
    ]
    rejections = Counter[str]()
    for dead_letter in dead_letters:
        rejections[dead_letter["reason"]] += len(dead_letter["refused"])
    if rejections != demo_data.DEAD_LETTERS:
        problems.append(f"dead-lettered: {dict(rejections)}, expected {demo_data.DEAD_LETTERS}")
    return problems


def _totals(
    values: Sequence[dict[str, Any]],
) -> dict[Series, tuple[float, float, float, int]]:
    """Return the value set of each series over all minutes."""
    totals: dict[Series, tuple[float, float, float, int]] = {}
    for value in values:
        dimensions = ", ".join(
            f"{name}={text}" for name, text in sorted(value["dimensions"].items())
        )
        series = (demo_data.short(value["resourceId"]), value["metric"], dimensions)
        least, most, total, count = totals.get(series, (math.inf, -math.inf, 0.0, 0))
        totals[series] = (
            min(least, value["min"]),
            max(most, value["max"]),
            total + value["sum"],
            count + value["count"],
        )
    return totals


def _show(values: Sequence[dict[str, Any]], dead_letters: Sequence[dict[str, Any]]) -> None:
    """Print the value set of each series, and the dead letters."""
    console = Console(width=WIDTH, markup=False, highlight=False)
    own = sorted({value["metric"] for value in values if value["namespace"] == OWN_NAMESPACE})
    others = [value for value in values if value["namespace"] != OWN_NAMESPACE]
    regions = {demo_data.short(value["resourceId"]): value["region"] for value in others}
    console.print("\nIn Azure Monitor (the emulator), all minutes together:")
    totals = _totals(others)
    for resource, region in sorted(regions.items()):
        table = Table(**TABLE)
        table.add_column("metric", min_width=26)
        table.add_column("dimensions", min_width=44)
        for name in ("min", "max", "sum", "count"):
            table.add_column(name, justify="right", min_width=4)
        for (name, metric, dimensions), parts in totals.items():
            if name == resource:
                table.add_row(metric, dimensions or "–", *(f"{part:g}" for part in parts))
        console.print(f"\n{resource} in {region}", table, sep="\n")
    if own:
        console.print(f"\nThe relay's metrics on itself ({OWN_NAMESPACE}): {', '.join(own)}")
    table = Table("reason", "detail", **TABLE)
    for dead_letter in dead_letters:
        for rejection in dead_letter["refused"]:
            table.add_row(dead_letter["reason"], rejection["detail"])
    console.print("\nIn the dead-letter queue, with the reason:\n", table, sep="\n")


def _keep(backend: Backend, host: Child) -> None:
    """Send traffic until Ctrl-C. Raises ChildError when the host or a stand-in ends."""
    try:
        page = f"{backend.monitor_url}/?{urlencode(demo_data.LIVE)}"
        print(f"\nMetrics explorer, with live traffic until Ctrl-C: {page}", flush=True)
        ingress = backend.storage.get_queue_client(INGRESS)
        now = datetime.now(UTC)
        for minute in range(PAST_MINUTES):  # So that the chart does not begin with a dot.
            ingress.send_message(demo_data.live_orders(now - timedelta(minutes=minute)))
        while (ended := first_ended([*backend.children, host])) is None:
            ingress.send_message(demo_data.live_orders(datetime.now(UTC)))
            time.sleep(PERIOD)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return
    raise ended.error(ended.ending)


if __name__ == "__main__":
    sys.exit(main())
