"""Series by how producers write them, so that all points of one share it and none reads it anew."""

from __future__ import annotations

from collections import Counter

from shared.messages.validation import dimensions
from shared.model import Series

__all__ = ["KnownSeries", "known_series"]

# Bytes of dimensions that are remembered; what a producer pads with spaces would fill the memory.
_MOST_REMEMBERED = 1024
# Of series, as many as Azure lets be active, and some; of metrics and namespaces as many, so that a
# producer that makes them up does not fill the memory. Each takes 500 to 900 bytes.
_MOST_KNOWN = 65_536


class KnownSeries(dict[str, "_Metrics"]):
    """`known[namespace][metric][dimensions]`, dimensions being a JSON object as bytes, or nothing.

    In three steps, the first of which the plain points of a message take together. While a series
    is known it is the same one again. Raises RefusedError for what are no dimensions.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()

    def __missing__(self, namespace: str) -> _Metrics:
        self.count_one("namespace")
        metrics = self[namespace] = _Metrics(self, namespace)
        return metrics

    def count_one(self, kind: str) -> None:
        """Count one more. All are forgotten when there are too many of a kind.

        A message that is just being read goes on with what it holds, which nobody else finds.
        """
        if self._counts[kind] >= _MOST_KNOWN:
            self.clear()  # To know which was used last would cost at every look-up.
            self._counts.clear()
        self._counts[kind] += 1


class _Metrics(dict[str, "_Written"]):
    """The metrics of a namespace."""

    def __init__(self, known: KnownSeries, namespace: str) -> None:
        super().__init__()
        self._known = known
        self._namespace = namespace

    def __missing__(self, metric: str) -> _Written:
        self._known.count_one("metric")
        written = self[metric] = _Written(self._known, self._namespace, metric)
        return written


class _Written(dict[bytes, Series]):
    """The series of a metric, by their dimensions as they are written."""

    def __init__(self, known: KnownSeries, namespace: str, metric: str) -> None:
        super().__init__()
        self._known = known
        self._namespace = namespace
        self._metric = metric

    def __missing__(self, raw: bytes) -> Series:
        series = Series.of(self._namespace, self._metric, dimensions(raw))
        if len(raw) <= _MOST_REMEMBERED:
            self._known.count_one("series")
            self[raw] = series
        return series


known_series = KnownSeries()
