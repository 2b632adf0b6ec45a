"""What the emulator of the metrics store bears: `python -m bench.monitor`.

A process of its own takes posts of one-minute series until so many are active, then the same
series again for some minutes more, and answers queries over all of them. Printed are the rate of
ingestion (requests as a publisher sends them, gzip and a token included), the time of each query
and the memory of the process.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import requests

from bench.measuring import Row, conclude, options, say
from local.processes import Child
from local.stack import IDENTITY_HEADER, ROOT

__all__ = ["main"]

SITE = "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677/resourceGroups/g/providers/P.W/sites/s"
SERIES_A_BODY = 2_500  # About 300 kB.
SENDERS = 2
REGIONS = 10
ROUNDS = 5


def _bodies(series: int, moment: datetime) -> Iterator[tuple[int, bytes]]:
    """Bodies of one minute of all series, and how many each holds."""
    for first in range(0, series, SERIES_A_BODY):
        numbers = range(first, min(first + SERIES_A_BODY, series))
        entries = [
            {
                "dimValues": [f"user-{number:06}", f"region-{number % REGIONS}"],
                "min": number,
                "max": number + 2,
                "sum": 3 * number + 3,
                "count": 3,
            }
            for number in numbers
        ]
        base = {"metric": "Requests", "namespace": "Bench", "dimNames": ["User", "Region"]}
        document = {"time": moment.isoformat(), "data": {"baseData": {**base, "series": entries}}}
        yield len(numbers), gzip.compress(json.dumps(document).encode(), 1)


def _token(url: str) -> str:
    answer = requests.get(
        f"{url}/msi/token",
        params={"api-version": "2019-08-01", "resource": "https://monitoring.azure.com/"},
        headers={"X-IDENTITY-HEADER": IDENTITY_HEADER},
        timeout=30,
    )
    return str(answer.json()["access_token"])


def _ingest(url: str, bodies: list[tuple[int, bytes]]) -> float:
    """Post all; the series a second."""
    headers = {
        "Authorization": f"Bearer {_token(url)}",
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "gzip",
    }
    with requests.Session() as session, ThreadPoolExecutor(SENDERS) as senders:

        def post(body: bytes) -> None:
            answer = session.post(
                f"{url}/westeurope{SITE}/metrics", data=body, headers=headers, timeout=120
            )
            answer.raise_for_status()

        started = time.perf_counter()
        for sent in [senders.submit(post, body) for _, body in bodies]:
            sent.result()
        return sum(count for count, _ in bodies) / (time.perf_counter() - started)


def _query(url: str, **parameters: str | int) -> tuple[float, int]:
    """Seconds, the median of some rounds, and how many time series were answered."""
    asked = {
        "resourceId": SITE,
        "metricnamespace": "Bench",
        "metricnames": "Requests",
        "aggregation": "total",
        "minutes": 60,
        **parameters,
    }
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        answer = requests.get(f"{url}/_local/query", params=asked, timeout=120)
        seconds.append(time.perf_counter() - started)
    answer.raise_for_status()
    return median(seconds), len(answer.json()["value"][0]["timeseries"])


def _memory(pid: int) -> float:
    """The resident memory of a process in MB; of Linux alone."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float("nan")
    (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _measure(series: int, minutes: int, data: Path | None) -> dict[str, object]:
    """Say what is measured as it comes; all of it."""
    figures: dict[str, object] = {"series": series, "minutes": minutes, "file": data is not None}
    command = [sys.executable, "-m", "local.monitor", "--port", "0"]
    command += [] if data is None else ["--data", str(data)]
    say("\nin memory alone" if data is None else "\nwith --data, in a file too")
    with Child("Azure Monitor emulator", command, cwd=ROOT) as monitor:
        url = monitor.wait_for(r"http://\S+")[0]
        empty = _memory(monitor.pid)
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        for minute in range(minutes):
            bodies = list(_bodies(series, now - timedelta(minutes=minute)))
            rate = _ingest(url, bodies)
            if minute in {0, minutes - 1}:
                kind = "new series" if minute == 0 else "known series"
                say(f"  ingestion, {kind:<14}{rate:10,.0f} series/s")
                figures[f"{kind}/s"] = rate
        held = _memory(monitor.pid)
        per_value = (held - empty) * 1024 * 1024 / (series * minutes)
        say(
            f"  memory {empty:.0f} MB empty, {held:.0f} MB with {series:,} series of "
            f"{minutes} minutes: {per_value:,.0f} bytes a value"
        )
        figures["bytes a value"] = per_value
        queries: dict[str, dict[str, str | int]] = {
            "all series in one": {},
            f"split in {REGIONS}": {"$filter": "Region eq '*'"},
            "one series of all": {"$filter": "User eq 'user-000007'"},
            "the 10 greatest": {"$filter": "User eq '*'", "orderby": "total desc", "top": 10},
        }
        for name, parameters in queries.items():
            seconds, count = _query(url, **parameters)
            say(f"  query, {name:<18}{seconds * 1000:10,.0f} ms, {count} time series")
            figures[f"query, {name}, s"] = seconds
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Measure with and without a file, and print; the exit status."""
    parser = options(__doc__)
    parser.add_argument("--series", type=int, help="active at a time")
    parser.add_argument("--minutes", type=int, help="that each of them has a value in")
    given = parser.parse_args(arguments)
    series, minutes = (500, 2) if given.quick else (50_000, 10)
    series, minutes = given.series or series, given.minutes or minutes
    say(f"{series:,} series, {minutes} minutes; {os.cpu_count()} cores")
    with TemporaryDirectory() as folder:
        files = (None, Path(folder) / "metrics.db")
        figures = tuple(_measure(series, minutes, data) for data in files)
    return conclude(Row("monitor", (), figures, given.quick), given)


if __name__ == "__main__":
    sys.exit(main())
