"""The three queues: what waits, what the host gave up, what was rejected."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from difflib import get_close_matches

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from shared.text import plural
from tools.dead_letter.records import parse
from tools.doctor.context import AZURITE, CONNECTION, Context
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.fixes import quoted
from tools.doctor.storage import queue_names

__all__ = ["check_dead_letters", "check_ingress", "check_poison"]

# Source: "Peek Messages".
_MAX_PEEKED = 32
_MAX_SHOWN = 10  # Queues.
# An idle queue is polled every two seconds, and a message is settled within some seconds.
_LONG_WAIT = timedelta(minutes=2)


def check_ingress(context: Context) -> list[Finding]:
    """Report how many messages wait, and for how long the oldest has."""
    name, past = context.settings.queue, context.settings.time_window.past
    queue, count = _open(context, name)
    if count is None:
        return [_missing(context, name)]
    messages, now = list(queue.peek_messages(_MAX_PEEKED)), context.now()
    oldest = max((now - one.inserted_on for one in messages if one.inserted_on), default=None)
    tries = max((one.dequeue_count or 0 for one in messages), default=0)
    if oldest is None:
        # Counted but not visible: taken, or waiting for the next try.
        hidden = ", in work or waiting for a retry" if count else ""
        return [ok(f"{name} has {plural(count, 'message')}{hidden}")]
    age = timedelta(seconds=int(oldest.total_seconds()))
    text = f"{name} has about {plural(count, 'message')}; the oldest has waited {age}"
    if tries:
        text += f" and was tried up to {plural(tries, 'time')}"
    if oldest > past:
        text += f": the app does not drain it, and points older than {past} expire"
        return [failed(text, *context.fixes.read_log())]
    if oldest > _LONG_WAIT or tries > 1:
        return [warning(f"{text}: the app does not drain it, or fails", *context.fixes.read_log())]
    return [ok(text)]


def check_poison(context: Context) -> list[Finding]:
    """Report what the host gave up."""
    name = f"{context.settings.queue}-poison"
    _, count = _open(context, name)
    if not count:
        return [ok(f"{name} has 0 messages")]
    text = f"{name} has about {plural(count, 'message')} that crashed the function or never reached"
    fix = [*context.fixes.read_log(), "# Once the cause is gone:"]
    fix += [context.fixes.tool("dead-letter", "replay", "--poison")]
    return [failed(f"{text} it; the log of the app has the cause", *fix)]


def check_dead_letters(context: Context) -> list[Finding]:
    """Report what was rejected, and why."""
    name = context.settings.dead_letter_queue
    queue, count = _open(context, name)
    if not count:
        return [ok(f"{name} has 0 messages")]
    messages = queue.peek_messages(_MAX_PEEKED)
    dead_letters = [parse("", str(one.content), context.now()) for one in messages]
    reasons = Counter(one.reason for one in dead_letters).most_common()
    shown = ", ".join(f"{number} {reason}" for reason, number in reasons)
    text = f"{name} has {plural(count, 'message')}"
    if dead_letters:  # Else another command hides them.
        text += f"; the first {len(dead_letters)}: {shown}"
        text += f"; detail of the first: {dead_letters[0].detail}"
    see = "# docs/dead-letters.md explains the reasons."
    return [warning(text, context.fixes.tool("dead-letter", "list"), see)]


def _open(context: Context, name: str) -> tuple[QueueClient, int | None]:
    """Return a client and the approximate number of messages, None if there is no queue."""
    queue = context.storage_account.service.get_queue_client(name)
    try:
        return queue, queue.get_queue_properties().approximate_message_count or 0
    except ResourceNotFoundError:
        return queue, None


def _missing(context: Context, name: str) -> Finding:
    """Name the queues that exist: more often the name is wrong than the queue is missing."""
    account, fixes = context.storage_account, context.fixes
    names = [
        one for one in queue_names(account.service) if not one.endswith(("-poison", "-dead-letter"))
    ]
    text = f"{account.name} has no queue {name}"
    if names:
        more = ", …" if len(names) > _MAX_SHOWN else ""
        text += f"; its queues: {', '.join(names[:_MAX_SHOWN])}{more}"
    if alike := get_close_matches(name, names, n=1, cutoff=0.7):
        return failed(f"{text}; did you mean {alike[0]}?", *fixes.set("METRICS_QUEUE", alike[0]))
    choose = "# Name another queue in METRICS_QUEUE, or create this one:"
    options = f"--account-name {quoted(account.name)} --auth-mode "
    options += "key" if account.by_key else "login"
    if account.name == AZURITE:
        choose = f"# Name another queue in METRICS_QUEUE, or export {CONNECTION} and create this:"
        options = f'--connection-string "${CONNECTION}"'
    return failed(text, choose, f"az storage queue create --name {name} {options}")
