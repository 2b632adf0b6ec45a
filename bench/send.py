"""What `send` does with a file of a million points: `python -m bench.send`.

Into a real Azurite: points a second, and the peak memory of the command, which should not grow
with the file.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.stack import ROOT

__all__ = ["main"]

SITES = "/subscriptions/1/resourceGroups/shop/providers/Microsoft.Web/sites/shop-"
# Reports the command's own figures after it: peak memory in KB.
MEASURED = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""
# How much more memory ten times the points may take.
GOAL = 1.25


def _write(file: Path, points: int, sites: int) -> None:
    chance = random.Random(1)  # noqa: S311 (no secret)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with file.open("w", encoding="utf-8") as out:
        for number in range(points):
            point = {
                "metric": "Orders",
                "value": round(chance.gauss(100, 20), 2),
                "time": now,
                "dimensions": {"Country": f"C{number % 100}", "Till": f"T{number % 7}"},
            }
            address = {"resourceId": f"{SITES}{number % sites}", "region": "westeurope"}
            out.write(json.dumps({**address, "namespace": "Shop", "points": [point]}) + "\n")


def _send(azurite: Azurite, file: Path) -> tuple[str, int]:
    """What the command says, and its peak memory in MB."""
    command = [sys.executable, "-m", "tools", "send", str(file), "--queue", "bench"]
    done = subprocess.run(  # noqa: S603 (the command above)
        [sys.executable, "-c", MEASURED, *command],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"MetricsStorage": azurite.connection_string, "NO_PROXY": "127.0.0.1"},
    )
    return done.stdout.strip(), int(done.stderr.split()[-1]) // 1024


def main() -> int:
    """Print the figures; 1 where memory grows with the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    most = parser.parse_args().points
    peaks = []
    for points, sites in ((most // 10, 1), (most, 1), (most, 1000)):
        with tempfile.TemporaryDirectory() as folder, Azurite() as azurite:
            file = Path(folder, "points.jsonl")
            _write(file, points, sites)
            _create(azurite)
            begun = time.monotonic()
            said, peak = _send(azurite, file)
            seconds = time.monotonic() - begun
            size = file.stat().st_size / 1e6
        print(f"{points:,} points of {sites:,} resources, {size:.0f} MB: {seconds:.1f} s in all")
        print(f"  {points / seconds:,.0f} points/s; peak memory {peak} MB; {said}", flush=True)
        peaks.append(peak)
    return int(peaks[1] > GOAL * peaks[0])


def _create(azurite: Azurite) -> None:
    with QueueServiceClient.from_connection_string(azurite.connection_string) as storage:
        storage.create_queue("bench")


if __name__ == "__main__":
    sys.exit(main())
