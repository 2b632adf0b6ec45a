"""Files of messages -> checked messages of value sets, and what is invalid with its place."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, NamedTuple

import click

from shared.errors import RelayError, ValidationError
from shared.messages.body import MAX_BODY_BYTES, is_json, split_documents
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.messages.writer import write_messages
from shared.model import Rollup, Target, TimeWindow, merge
from shared.settings import Settings
from shared.text import clean
from tools.send.result import Result

__all__ = ["Entry", "PointReader", "read_entries", "time_window", "write"]

# Points that are rolled up before their messages are written. More make fuller messages if many
# resources take turns; memory grows with them.
MAX_BATCH_POINTS = 10_000

_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ALMOST_A_MINUTE = timedelta(seconds=59)
# A place in a text, as `split_documents` names it.
_LINE = re.compile(r"line (\d+)(?:, column \d+)?:")


class Entry(NamedTuple):
    """A line of a file or, if the file is one JSON text, a document of it."""

    where: str  # points.jsonl:3, points.json[2] or points.json.
    body: bytes


def read_entries(file: BinaryIO, name: str) -> Iterator[Entry]:
    """Yield what a file holds. Raises RelayError for UTF-16, or if the file cannot be read.

    Lines are read one by one, so that memory does not grow with the file. A JSON text that spans
    lines is read whole.
    """
    try:
        yield from _read_lines(file, name)
    except OSError as exc:
        raise RelayError(f"{name} cannot be read: {exc.strerror}") from exc


def _read_lines(file: BinaryIO, name: str) -> Iterator[Entry]:
    is_first = True
    for number, line in enumerate(file, 1):
        text = line.removeprefix(codecs.BOM_UTF8)
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
        documents = list(split_documents(content.strip()))
    except ValidationError:  # The parser says what is wrong.
        yield Entry(name, content)
        return
    for where, document in documents:
        place = _LINE.sub(lambda found: f":{int(found[1]) + skipped}", where)
        yield Entry(name + place, document)


class PointReader:
    """Checks entries as the function does, and rolls up their valid points."""

    def __init__(
        self,
        defaults: Defaults,
        window: TimeWindow,
        result: Result,
        keep: Callable[[bytes], object],
    ) -> None:
        """`keep` is called with what is invalid."""
        self._parser = MessageParser(defaults, window, max_bytes=sys.maxsize)
        self._result = result
        self._keep = keep
        self._rollups: dict[Target, list[Rollup]] = {}
        self._points = 0  # In the roll-ups.

    @property
    def is_full(self) -> bool:
        """Whether it is time to write the messages."""
        return self._points >= MAX_BATCH_POINTS

    def read(self, entry: Entry) -> None:
        """Add the valid points of an entry; keep and print what is invalid."""
        now = datetime.now(UTC)
        parsed = self._parser.parse(entry.body, enqueued=now, now=now)
        for rejection in parsed.rejections:
            self._keep(rejection.content)
            self._result.invalid_points += rejection.points
            where = f"{entry.where}: " if entry.where else ""
            click.echo(clean(f"{where}{rejection.detail}"), err=True)
        for rollup in parsed.rollups:
            self._rollups.setdefault(rollup.target, []).append(rollup)
            self._points += rollup.points
            self._result.valid_points += rollup.points

    def take_messages(self) -> list[bytes]:
        """Return the messages of the points that were added since the last call."""
        messages = list(write(self._rollups.values(), datetime.now(UTC)))
        self._rollups, self._points = {}, 0
        return messages


def write(groups: Iterable[Iterable[Rollup]], now: datetime) -> Iterator[bytes]:
    """Yield messages of roll-ups, a group for each target. `now` is UTC.

    The store keeps minutes. Times are late in their minutes, but not in the future: a point at the
    end of the time window must not leave it because its time was cut to the minute.
    """
    rollups = []
    for merged in map(merge, groups):
        minutes = {}
        for minute, group in merged.minutes.items():
            late = minute + _ALMOST_A_MINUTE
            minutes[late if late <= now else minute] = group
        rollups.append(Rollup(merged.target, minutes))
    return write_messages(rollups, MAX_BODY_BYTES)


def time_window(settings: Mapping[str, str]) -> TimeWindow:
    """Return the time window of the relay, as far as it is in these settings.

    Raises ConfigurationError.
    """
    names = {"METRICS_PAST_MINUTES", "METRICS_FUTURE_MINUTES"} & settings.keys()
    required = {"METRICS_QUEUE": "metrics", "MetricsStorage": "UseDevelopmentStorage=true"}
    return Settings.from_env(required | {name: settings[name] for name in names}).time_window
