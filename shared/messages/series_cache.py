"""Series by how producers write them, so that a point costs two look-ups, not a parse."""

from __future__ import annotations

from sys import getsizeof

from shared.messages.validation import parse_dimensions
from shared.model import Series

__all__ = ["SeriesCache"]

# Bytes, estimated: some 100,000 series with three dimensions. Azure allows 50,000 active ones.
MAX_CACHE_BYTES = 64 * 1024 * 1024
# Bytes of a series or a metric beside its own texts, measured.
_ENTRY_BYTES = 600
# Python's bytes for a byte of text that is not ASCII: one such character widens all of its text.
_WIDE = 5


class _Metric(dict[bytes, Series]):
    """The series of a metric, by their dimensions as a JSON object."""

    def __init__(self, cache: SeriesCache, namespace: str, name: str) -> None:
        super().__init__()
        self._cache = cache
        self._namespace = namespace
        self._name = name

    def __missing__(self, raw: bytes) -> Series:
        series = self[raw] = Series.of(self._namespace, self._name, parse_dimensions(raw))
        is_wide = not raw.isascii() or b"\\u" in raw
        self._cache.size += _ENTRY_BYTES + len(raw) * (_WIDE if is_wide else 1)
        return series


class _Namespace(dict[str, _Metric]):
    """The metrics of a namespace."""

    def __init__(self, cache: SeriesCache, name: str) -> None:
        super().__init__()
        self._cache = cache
        self._name = name

    def __missing__(self, metric: str) -> _Metric:
        series = self[metric] = _Metric(self._cache, self._name, metric)
        self._cache.size += _ENTRY_BYTES + getsizeof(metric)
        return series


class SeriesCache(dict[str, _Namespace]):
    """`cache[namespace][metric][dimensions]`, where dimensions are a JSON object or empty.

    Raises ValidationError for invalid dimensions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.size = 0  # Bytes.

    def __missing__(self, namespace: str) -> _Namespace:
        metrics = self[namespace] = _Namespace(self, namespace)
        self.size += _ENTRY_BYTES + getsizeof(namespace)
        return metrics

    def shrink(self) -> None:
        """Forget everything if the cache is full: tracking use would cost at each look-up."""
        if self.size > MAX_CACHE_BYTES:
            self.clear()
            self.size = 0
