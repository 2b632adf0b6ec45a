from __future__ import annotations

import json
import sys

import pytest

from shared.errors import ValidationError
from shared.messages import series_cache
from shared.messages.series_cache import SeriesCache
from shared.model import Series

QUEUE = b'{"Queue": "orders", "Kind": "jpeg"}'


def test_a_series_is_parsed_once() -> None:
    cache = SeriesCache()
    assert cache["n"]["m"][QUEUE] == Series("n", "m", ("Kind", "Queue"), ("jpeg", "orders"))
    assert cache["n"]["m"][QUEUE] is cache["n"]["m"][bytes(bytearray(QUEUE))]


def test_namespaces_and_metrics_do_not_mix() -> None:
    cache = SeriesCache()
    found = {cache[namespace][metric][b""] for namespace in "ab" for metric in "ab"}
    assert found == {Series(namespace, metric) for namespace in "ab" for metric in "ab"}


def test_invalid_dimensions_are_an_error_each_time() -> None:
    cache = SeriesCache()
    for _ in range(2):
        with pytest.raises(ValidationError, match="found 5, expected text"):
            cache["n"]["m"][b'{"Queue": 5}']
    assert cache["n"]["m"] == {}


def test_padding_counts() -> None:
    cache = SeriesCache()
    before = cache.size
    cache["n"]["m"][QUEUE.ljust(60_000)]
    assert cache.size - before > 60_000


@pytest.mark.parametrize("ensure_ascii", [True, False])
@pytest.mark.parametrize("text", ["x" * 256, "é" * 256, "x" * 255 + "😀"])
def test_the_texts_of_a_series_count(text: str, *, ensure_ascii: bool) -> None:
    cache = SeriesCache()
    series = cache[text][text][json.dumps({text: text}, ensure_ascii=ensure_ascii).encode()]
    texts = (series.namespace, series.metric, *series.dimension_names, *series.dimension_values)
    assert cache.size >= sum(map(sys.getsizeof, texts))


@pytest.mark.parametrize("kind", ["namespaces", "metrics", "series"])
def test_a_full_cache_is_emptied(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = SeriesCache()

    def add(number: int) -> None:
        if kind == "namespaces":
            cache[str(number)]
        elif kind == "metrics":
            cache["n"][str(number)]
        else:
            cache["n"]["m"][b'{"D": "%d"}' % number]

    for number in range(10):
        add(number)
    monkeypatch.setattr(series_cache, "MAX_CACHE_BYTES", cache.size)
    cache.shrink()
    assert cache
    add(10)
    cache.shrink()
    assert (cache, cache.size) == ({}, 0)
