"""What `send` says at its end: how much was sent and how fast, what is left and how to go on."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import RelayError
from tools.dispatch import Outcome
from tools.settle import Settled
from tools.spool import Spool, Stored
from tools.wording import printable, things

__all__ = ["amount", "failed", "left_over", "sent", "settled"]


def amount(spool: Spool) -> str:
    """How much there is to send."""
    least = f" ({spool.minimum.messages():,} at the least)"
    return (
        f"{things(spool.points, 'point')} in {things(len(spool.messages), 'message')}{least}, "
        f"{spool.bytes:,} bytes"
    )


def sent(spool: Spool, outcome: Outcome, checking: float, sending: float) -> str:
    """How much was sent, and how fast."""
    if len(outcome.put) == len(spool.messages):
        if spool.points == 1:
            return f"Sent {amount(spool)}."
        rate = spool.points / (checking + sending)
        return (
            f"Sent {amount(spool)}.\n"
            f"Read and packed in {checking:.1f} s, sent in {sending:.1f} s: {rate:,.0f} points/s."
        )
    points = sum(spool.messages[index].points for index in outcome.put)
    return (
        f"Sent {points:,} of {things(spool.points, 'point')}, "
        f"{len(outcome.put):,} of {things(len(spool.messages), 'message')}."
    )


def failed(outcome: Outcome) -> Iterator[str]:
    """Why not all was sent, and what is not known."""
    if outcome.failure:
        yield outcome.failure
    if outcome.in_doubt:
        yield (
            f"{things(len(outcome.in_doubt), 'message')} may be in the queue already, for the "
            "answer was lost; sent again, its points count twice."
        )


def left_over(
    spool: Spool, outcome: Outcome, name: str | None, start: int, command: str
) -> Iterator[str]:
    """How to send what is left, neither twice nor forgotten.

    `name` is of the file that it came from, None where that cannot be read again; `start` is the
    entry at which it was begun. Else what is left is written into a file. `command` sends a file
    that is named after it.
    """
    yield from failed(outcome)
    if name is not None and (entry := outcome.resume(spool, start)):
        yield f"Go on with: {command} {shlex.quote(name)} --from-line {entry}"
        return
    unsent = outcome.unsent(spool)
    file = _keep(spool, unsent)
    points = sum(stored.points for stored in unsent)
    yield (
        f"What is left, {things(points, 'point')}, is in {file}; "
        f"go on with: {command} {shlex.quote(str(file))}"
    )


def _keep(spool: Spool, unsent: Iterable[Stored]) -> Path:
    """Write the messages into a file of this folder; of the temporary one where that cannot be.

    Raises RelayError where neither can.
    """
    name = f"unsent-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.jsonl"
    why = ""
    for file in (Path(name), Path(tempfile.gettempdir(), name)):
        try:
            # Nobody else's to read: the temporary folder is everybody's.
            with open(file, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
                out.writelines(spool.read(stored) + b"\n" for stored in unsent)
        except OSError as exc:
            why = str(exc)
        else:
            return file
    raise RelayError(f"what is left could not be kept: {why}")


def settled(found: Settled, messages: int) -> Iterator[str]:
    """What became of the messages."""
    if found.waiting:
        yield (
            f"Still in the queue: {found.waiting:,} of {things(messages, 'message')}, not taken "
            "yet, or Azure does not take their points for now (the relay's log says why)."
        )
    else:
        gone = "is" if messages == 1 else "are"
        yield f"{things(messages, 'message')} {gone} settled."
    for one in found.refusals:
        yield printable(f"dead-lettered as {one.reason}: {one.detail}")
    if found.hidden:
        yield (
            f"{things(found.hidden, 'new dead letter')} cannot be seen behind older ones, and may "
            "be of these: python -m tools dead-letter list"
        )
    if found.poisoned:
        yield (
            f"{things(found.poisoned, 'message')} came into the poison queue meanwhile: the "
            "function crashed, or its settings are wrong."
        )
    if not found.waiting and not found.quiet:
        yield (
            "Messages of others are in the queue. Points that Azure did not take for now may be "
            "among them, in new messages."
        )
