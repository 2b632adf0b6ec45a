"""Time spans as .NET reads them, for the tests of the settings, the doctor and the host."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

__all__ = ["MAX_VISIBILITY", "TIME_SPANS"]

# Source: Put Message of the Queue service.
MAX_VISIBILITY = timedelta(days=7)

# Text -> what TimeSpan.Parse makes of it, None if it refuses. Sources: runs of the real host;
# "TimeSpan.Parse Method".
TIME_SPANS: Mapping[str, timedelta | None] = {
    "00:00:00": timedelta(),
    "00:00:30": timedelta(seconds=30),
    "01:02:03": timedelta(hours=1, minutes=2, seconds=3),
    "00:59:59": timedelta(minutes=59, seconds=59),
    "23:59:59": timedelta(hours=23, minutes=59, seconds=59),
    "24:00:00": timedelta(days=24),
    "24:23:59": timedelta(days=24, hours=23, minutes=59),
    "24:24:00": None,
    "30:00:00": timedelta(days=30),
    "99:00:00": timedelta(days=99),
    "30": timedelta(days=30),
    "1": timedelta(days=1),
    "00:30": timedelta(minutes=30),
    "24:00": None,
    "00:60": None,
    "00:60:00": None,
    "00:00:60": None,
    "1.00:00:00": timedelta(days=1),
    "1.02:03": timedelta(days=1, hours=2, minutes=3),
    "1.24:00:00": None,
    "1:02:03:04": timedelta(days=1, hours=2, minutes=3, seconds=4),
    "7.00:00:00": timedelta(days=7),
    "7.00:00:01": timedelta(days=7, seconds=1),
    "00:00:00.5": timedelta(milliseconds=500),
    "00:00:01.12345678": None,
    "-00:00:01": timedelta(seconds=-1),
    " 00:00:30 ": timedelta(seconds=30),
    "00:00:30s": None,
    "00.5": None,
    "PT30S": None,
    "": None,
}
