"""The result of `send`, as JSON and as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec

from shared.text import plural

__all__ = ["Result", "Watched"]


class Watched(msgspec.Struct, rename="camel"):
    """Messages in the queues at the end of `--watch`."""

    waiting: int  # In the ingress queue.
    dead_letters: int  # New ones, of any producer.
    poison: int  # New ones in the poison queue, of any producer.


class Result(msgspec.Struct, rename="camel", kw_only=True):
    """The numbers of points and messages; --json prints them as they are."""

    valid_points: int = 0
    invalid_points: int = 0  # Parts that are not points, too.
    messages_sent: int = 0
    messages_not_sent: int = 0
    unsent_file: str | None = None
    error: str | None = None  # Why sending ended early, or the unsent file is not complete.
    watch: Watched | None = None

    @property
    def is_good(self) -> bool:
        """Whether the points are valid and, as far as that is known, sent and published."""
        bad = self.invalid_points or self.error or not self.valid_points
        return not bad and self.watch in (None, Watched(0, 0, 0))

    def add_error(self, text: str) -> None:
        """Report an error, after those that came before it."""
        self.error = f"{self.error}; {text}" if self.error else text

    def text(self, *, dry_run: bool) -> str:
        """Return how much was sent."""
        messages = plural(self.messages_sent, "message")
        if dry_run:
            messages = plural(self.messages_not_sent, "message")
            return f"{plural(self.valid_points, 'valid point')}, {messages}; nothing was sent."
        if self.messages_not_sent:
            return f"Sent {messages}; {self.messages_not_sent:,} not sent."
        return f"Sent {plural(self.valid_points, 'point')} in {messages}."

    def problems(self, program: str) -> Iterator[str]:
        """Yield what is wrong, and what to do. `program` is how the user calls this program."""
        if self.invalid_points:
            yield f"{plural(self.invalid_points, 'invalid point')}."
        elif not (self.valid_points or self.messages_not_sent or self.error):
            yield "There are no points."
        if self.error:
            yield f"Error: {self.error}"
        if self.unsent_file:
            file = shlex.quote(self.unsent_file)
            first = "Correct the invalid points, then send" if self.invalid_points else "Send"
            yield (
                f"What was not sent is in {file}. {first} the file with the same options: "
                f"{program} send {file}"
            )
        watch = self.watch or Watched(0, 0, 0)
        if watch.waiting:
            yield f"Still in the queue: {plural(watch.waiting, 'message')}."
        if watch.dead_letters:
            yield (
                f"{plural(watch.dead_letters, 'new dead letter')}. To see the reasons, with the "
                f"same options of the queue: {program} dead-letter list"
            )
        if watch.poison:
            yield (
                f"{plural(watch.poison, 'new message')} in the poison queue: the function "
                "crashed, or its settings are wrong."
            )
