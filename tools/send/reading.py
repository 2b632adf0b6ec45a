"""Files of messages -> roll-ups of valid points, and what is invalid with its place in the file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, NamedTuple

from shared.errors import ConfigurationError, RelayError, ValidationError
from shared.messages.body import MAX_BODY_BYTES, decode_body, is_json, split_documents
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.messages.writer import write_messages
from shared.model import Rejection, Rollup, Target, TimeWindow, merge
from shared.settings import DEFAULTS

__all__ = ["Batch", "Entry", "Reader", "one_line", "read_entries", "time_window"]

# Points that are rolled up before their messages are written. More make fuller messages if many
# resources take turns; memory grows with them.
MAX_BATCH_POINTS = 10_000

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_ALMOST_A_MINUTE = timedelta(seconds=59)


class Entry(NamedTuple):
    """A line of a file or, if the file is one JSON text, a document of it."""

    where: str  # points.jsonl:3, points.json[2] or points.json.
    body: bytes


def read_entries(file: BinaryIO, name: str) -> Iterator[Entry]:
    """Yield what a file holds. Raises RelayError for UTF-16.

    Lines are read one by one, so that memory does not grow with the file. A JSON text that spans
    lines is read whole.
    """
    is_first = True
    for number, line in enumerate(file, 1):
        text = line.removeprefix(_UTF8_BOM) if number == 1 else line
        if number == 1 and (text.startswith(_UTF16_BOMS) or b"\0" in text):
            raise RelayError(f"{name} is UTF-16; send UTF-8")
        if not text.strip():
            continue
        if is_first and text.lstrip().startswith((b"{", b"[")) and not is_json(text):
            yield from _read_whole(text + file.read(), name, number - 1)
            return
        is_first = False
        yield Entry(f"{name}:{number}", text)


def _read_whole(content: bytes, name: str, skipped: int) -> Iterator[Entry]:
    """Yield the documents of a JSON text, or the lines of a text that is not JSON."""
    try:
        for where, document in split_documents(decode_body(content, sys.maxsize)):
            if where.startswith("line "):
                number = int(where.removeprefix("line ").rstrip(":"))
                yield Entry(f"{name}:{number + skipped}", document)
            else:
                yield Entry(f"{name}{where}", document)
    except ValidationError:  # The parser says what is wrong.
        yield Entry(name, content)


class Batch:
    """Roll-ups on their way into messages."""

    def __init__(self) -> None:
        self.points = 0
        self._rollups: dict[Target, list[Rollup]] = {}

    def add(self, rollup: Rollup) -> None:
        """Add a roll-up."""
        self.points += rollup.points
        self._rollups.setdefault(rollup.target, []).append(rollup)

    @property
    def is_full(self) -> bool:
        """Whether it is time to write the messages."""
        return self.points >= MAX_BATCH_POINTS

    def write(self, now: datetime) -> Iterator[bytes]:
        """Yield the messages, and forget what is in them. `now` is UTC."""
        merged = [merge(group) for group in self._rollups.values()]
        self.points, self._rollups = 0, {}
        yield from write_messages([_late(rollup, now) for rollup in merged], MAX_BODY_BYTES)


def _late(rollup: Rollup, now: datetime) -> Rollup:
    """Return a roll-up whose times are late in their minutes, but not in the future.

    The store keeps minutes; a point at the end of the time window must not leave it because its
    time was cut to the minute.
    """
    return Rollup(
        rollup.target,
        {
            minute + _ALMOST_A_MINUTE if minute + _ALMOST_A_MINUTE <= now else minute: group
            for minute, group in rollup.minutes.items()
        },
    )


class Reader:
    """Checks entries as the function does."""

    def __init__(
        self,
        defaults: Defaults,
        window: TimeWindow,
        reject: Callable[[str, Rejection], object],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`reject` is called with the location of each rejection."""
        self._parser = MessageParser(defaults, window, max_bytes=sys.maxsize)
        self._reject = reject
        self._now = now
        self.points = 0  # Valid ones.
        self.invalid = 0  # Points, or parts that are not points.
        self.without_resource = 0

    def read(self, entry: Entry, batch: Batch) -> None:
        """Add the valid points of an entry to a batch."""
        now = self._now()
        parsed = self._parser.parse(entry.body, enqueued=now, now=now)
        for rollup in parsed.rollups:
            batch.add(rollup)
            self.points += rollup.points
            if not rollup.target.resource_id:
                self.without_resource += rollup.points
        for rejection in parsed.rejections:
            self.invalid += rejection.points
            self._reject(entry.where, rejection)


def one_line(content: bytes) -> bytes:
    """Return JSON in one line; what is not JSON stays as it is."""
    return b" ".join(content.splitlines()) if is_json(content) else content.rstrip(b"\r\n")


def time_window(settings: Mapping[str, str]) -> TimeWindow:
    """Return the time window of the relay as far as the settings are known here.

    Raises ConfigurationError.
    """

    def minutes(name: str) -> timedelta:
        text = settings.get(name, "").strip() or DEFAULTS[name]
        if not text.isdecimal():
            raise ConfigurationError(f"{name} is {text!r}: expected a whole number of minutes")
        return timedelta(minutes=int(text))

    return TimeWindow(minutes("METRICS_PAST_MINUTES"), minutes("METRICS_FUTURE_MINUTES"))
