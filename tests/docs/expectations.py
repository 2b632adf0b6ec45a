"""Assertions on the store and the output after the blocks of a page have run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from local.stack import Backend

__all__ = ["EXPECTED"]


def _stored(backend: Backend) -> dict[str, tuple[float, int]]:
    """Metric -> sum and count, of the points that users sent."""
    totals: dict[str, tuple[float, int]] = {}
    for value in backend.metrics():
        if value["namespace"] != "MetricRelay":
            total, count = totals.get(value["metric"], (0.0, 0))
            totals[value["metric"]] = (total + value["sum"], count + value["count"])
    return totals


def _readme(backend: Backend, printed: list[str]) -> None:
    assert _stored(backend) == {"Orders": (7, 1)}
    assert backend.dead_letters() == []


def _enqueue(backend: Backend, printed: list[str]) -> None:
    """curl sent a point; test_languages.py tests the programs."""
    assert _stored(backend) == {"Orders": (7, 1)}
    assert backend.dead_letters() == []


def _producers(backend: Backend, printed: list[str]) -> None:
    """The command sent a point and a file, the client four points."""
    assert _stored(backend) == {"QueueDepth": (7, 1), "Orders": (17, 3), "Latency": (83, 6)}
    assert backend.dead_letters() == []


def _emulator(backend: Backend, printed: list[str]) -> None:
    _, publish, read, client, fail = printed
    assert publish == '{"statusCode":200}'
    (series,) = json.loads(read)["value"][0]["timeseries"]
    assert series["metadatavalues"][0]["value"] == "NL"
    assert series["data"][0]["total"] == 28
    assert client == "{'country': 'NL'} [28.0]\n28.0\n"
    assert '"retryAfter":5' in fail
    assert backend.metrics() == []  # The last command resets the emulator.


EXPECTED: Mapping[str, Callable[[Backend, list[str]], None]] = {
    "README.md": _readme,
    "docs/enqueue.md": _enqueue,
    "docs/producers.md": _producers,
    "docs/emulator.md": _emulator,
}
