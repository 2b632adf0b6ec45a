"""What is remembered of series: which, how many, and for how long."""

from __future__ import annotations

import json

import pytest

from shared.messages.known_series import KnownSeries
from shared.messages.refusal import RefusedError
from shared.model import Series


def most_of_a_kind(known: KnownSeries) -> int:
    """How many namespaces, metrics or series are remembered, whichever are most."""
    metrics = [one for namespace in known.values() for one in namespace.values()]
    return max(len(known), len(metrics), sum(map(len, metrics)))


def written(fresh: str, number: int) -> tuple[str, str, bytes]:
    """Namespace, metric and dimensions of a new series, in a metric or namespace as new if so."""
    namespace = f"n{number}" if fresh == "namespace" else "n"
    metric = f"m{number}" if fresh == "metric" else "m"
    return namespace, metric, b'{"Queue": "%d"}' % number


def test_series_that_come_back_are_read_once() -> None:
    raw = json.dumps({"Queue": "orders", "Kind": "jpeg"}).encode()
    known = KnownSeries()
    assert known["n"]["m"][raw] is known["n"]["m"][bytes(bytearray(raw))]


def test_namespaces_and_metrics_are_told_apart() -> None:
    known = KnownSeries()
    for namespace in ("n", "o"):
        for metric in ("m", "n"):
            assert known[namespace][metric][b"{}"] == Series.of(namespace, metric, ())


def test_padding_is_not_remembered() -> None:
    known = KnownSeries()
    longest = b'{"Queue": "orders"}'.ljust(1024)
    assert known["n"]["m"][longest] is known["n"]["m"][longest]
    padded = longest + b" "
    assert known["n"]["m"][padded] == Series.of("n", "m", (("Queue", "orders"),))
    assert known["n"]["m"][padded] is not known["n"]["m"][padded]


@pytest.mark.parametrize("fresh", ["series", "metric", "namespace"])
def test_only_so_many_are_remembered(fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.messages.known_series._MOST_KNOWN", 4)
    known = KnownSeries()
    for number in range(20):
        namespace, metric, raw = written(fresh, number)
        series = known[namespace][metric][raw]
        assert series == Series.of(namespace, metric, (("Queue", str(number)),))
        assert most_of_a_kind(known) <= 4
    assert known[namespace][metric][raw] is known[namespace][metric][raw]


@pytest.mark.parametrize("fresh", ["series", "metric", "namespace"])
def test_as_many_are_remembered_for_good(fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.messages.known_series._MOST_KNOWN", 4)
    known = KnownSeries()

    def read() -> list[Series]:
        four = (written(fresh, number) for number in range(4))
        return [known[namespace][metric][raw] for namespace, metric, raw in four]

    assert [id(series) for series in read()] == [id(series) for series in read()]


def test_what_is_in_use_goes_on_when_all_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.messages.known_series._MOST_KNOWN", 4)
    metrics = KnownSeries()["n"]
    for number in range(20):
        dimensions = (("Queue", str(number)),)
        assert metrics["m"][b'{"Queue": "%d"}' % number] == Series.of("n", "m", dimensions)


def test_what_are_no_dimensions_is_refused_each_time() -> None:
    known = KnownSeries()
    for _ in range(2):
        with pytest.raises(RefusedError, match="found 5, expected text"):
            known["n"]["m"][b'{"Queue": 5}']


def test_names_without_a_series_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.messages.known_series._MOST_KNOWN", 4)
    known = KnownSeries()
    for number in range(20):
        assert known["n"][f"m{number}"] == {}
        assert most_of_a_kind(known) <= 4
    for number in range(20):
        assert known[f"n{number}"] == {}
        assert most_of_a_kind(known) <= 4
