"""What `send` prints at its end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.send.watching import Watched
from tools.wording import things

__all__ = ["Report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the points."""

    dry_run: bool
    points: int  # Valid ones.
    invalid: int
    without_resource: int
    sent: int  # Messages, as are the next two.
    not_sent: int
    unsent_file: Path | None
    error: str  # Why sending ended early.
    watched: Watched | None

    @property
    def is_good(self) -> bool:
        """Whether all points were sent and, as far as that was watched, published."""
        bad = self.invalid or self.not_sent or self.error or not self.points
        return not bad and (self.watched is None or self.watched.is_good)

    def to_json(self) -> str:
        """Return the object that --json prints."""
        watched = self.watched
        return json.dumps(
            {
                "validPoints": self.points,
                "invalidPoints": self.invalid,
                "messagesSent": 0 if self.dry_run else self.sent,
                "messagesNotSent": self.sent if self.dry_run else self.not_sent,
                "unsentFile": None if self.unsent_file is None else str(self.unsent_file),
                "error": self.error or None,
                "watch": watched
                and {
                    "waiting": watched.waiting,
                    "deadLetters": watched.dead_letters,
                    "poison": watched.poison,
                },
            }
        )

    def text(self) -> str:
        """Return how much was sent."""
        points, messages = things(self.points, "point"), things(self.sent, "message")
        if self.dry_run:
            return f"{things(self.points, 'valid point')}, {messages}; nothing was sent."
        if self.not_sent:
            return f"Sent {messages}; {self.not_sent:,} not sent."
        return f"Sent {points} in {messages}."

    def problems(self, program: str) -> Iterator[str]:
        """Yield what is wrong, and what to do. `program` is how the user calls this program."""
        if self.invalid:
            yield f"{things(self.invalid, 'invalid point')}."
        elif not self.points and not self.not_sent:
            yield "There are no points."
        if self.without_resource:
            yield (
                f"{things(self.without_resource, 'point')} without a resource ID: the relay uses "
                "its METRICS_RESOURCE_ID."
            )
        if self.error:
            yield f"Error: {self.error}"
        if self.unsent_file is not None:
            file = shlex.quote(str(self.unsent_file))
            first = "Correct the invalid points there, then send" if self.invalid else "Send"
            yield (
                f"What was not sent is in {file}. {first} it with the same options: "
                f"{program} send {file}"
            )
        yield from self._watch_problems(program)

    def _watch_problems(self, program: str) -> Iterator[str]:
        watched = self.watched
        if watched is None:
            return
        if watched.waiting:
            yield f"Still in the queue: {things(watched.waiting, 'message')}."
        if watched.dead_letters:
            yield (
                f"{things(watched.dead_letters, 'new dead letter')}; for the reasons: "
                f"{program} dead-letter list"
            )
        if watched.poison:
            yield (
                f"{things(watched.poison, 'new message')} in the poison queue: the function "
                "crashed, or its settings are wrong."
            )
