"""Series by how producers write them, so that all points of one share it and none reads it anew."""

from __future__ import annotations

from shared.checks import dimensions
from shared.model import Series

__all__ = ["KnownSeries", "known_series"]

# Bytes of dimensions that are remembered; what a producer pads with spaces would fill the memory.
_MOST_REMEMBERED = 1024
# Series, metrics and namespaces: as many series as Azure lets be active, and some. Each takes some
# 600 bytes.
_MOST_KNOWN = 65_536


class KnownSeries(dict[str, "_Metrics"]):
    """`known[namespace][metric][dimensions]`, dimensions being a JSON object as bytes, or nothing.

    In three steps, of which the points of a message take the first together. While a series is
    known it is the same one again. Raises RefusedError for what are no dimensions.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held = 0

    def __missing__(self, namespace: str) -> _Metrics:
        self.make_room()
        metrics = self[namespace] = _Metrics(self, namespace)
        return metrics

    def make_room(self) -> None:
        """Count one more. Forgets all when there are too many, but what is in use goes on."""
        if self._held >= _MOST_KNOWN:
            self.clear()  # To know which was used last would cost at every look-up.
            self._held = 0
        self._held += 1


class _Metrics(dict[str, "_Written"]):
    """Those of a namespace."""

    def __init__(self, known: KnownSeries, namespace: str) -> None:
        super().__init__()
        self._known = known
        self._namespace = namespace

    def __missing__(self, metric: str) -> _Written:
        self._known.make_room()
        written = self[metric] = _Written(self._known, self._namespace, metric)
        return written


class _Written(dict[bytes, Series]):
    """Those of a metric."""

    def __init__(self, known: KnownSeries, namespace: str, metric: str) -> None:
        super().__init__()
        self._known = known
        self._namespace = namespace
        self._metric = metric

    def __missing__(self, raw: bytes) -> Series:
        series = Series.of(self._namespace, self._metric, dimensions(raw))
        if len(raw) <= _MOST_REMEMBERED:
            self._known.make_room()
            self[raw] = series
        return series


known_series = KnownSeries()
