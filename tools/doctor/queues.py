"""The three queues: what waits, what the host gave up, what was refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from shared.text import plural
from tools.doctor.context import Account, Context, require
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.fixes import quoted
from tools.doctor.settings import CONNECTION
from tools.doctor.storage import DEVELOPMENT, queue_names

__all__ = ["check_dead_letters", "check_ingress", "check_poison"]

# Source: "Peek Messages".
MAX_PEEKED = 32
MAX_SHOWN = 10  # Queues.
# An idle queue is polled every two seconds, and a message is settled within some seconds.
_LONG_WAIT = timedelta(minutes=2)
_MAX_DETAIL = 300  # Characters.


def check_ingress(context: Context) -> Iterator[Finding]:
    """Report how many messages wait, and for how long the oldest has."""
    account, settings = _account(context), require(context.settings, "settings")
    queue = account.service.get_queue_client(settings.queue)
    count = _count(queue)
    if count is None:
        yield _missing(context, account, settings.queue)
        return
    messages, now = _peek(queue), context.now()
    oldest = max((now - one.inserted_on for one in messages if one.inserted_on), default=None)
    tries = max((one.dequeue_count or 0 for one in messages), default=0)
    if oldest is None:
        # Counted but not visible: taken, or waiting for the next try.
        hidden = f"{count} in work or waiting for a retry" if count else "empty"
        yield ok(f"{settings.queue}: {hidden}")
        return
    age = timedelta(seconds=int(oldest.total_seconds()))
    text = f"{settings.queue}: about {plural(count, 'message')}, the oldest for {age}"
    if tries:
        text += f", tried up to {plural(tries, 'time')}"
    past = settings.time_window.past
    if oldest > past:
        text += f": the app does not drain it, and points older than {past} expire"
        yield failed(text, *context.fixes.read_log())
    elif oldest > _LONG_WAIT or tries > 1:
        text += ": the app does not drain it, or fails"
        yield warning(text, *context.fixes.read_log())
    else:
        yield ok(text)


def check_poison(context: Context) -> Iterator[Finding]:
    """Report what the host gave up."""
    account, settings = _account(context), require(context.settings, "settings")
    name = f"{settings.queue}-poison"
    count = _count(account.service.get_queue_client(name))
    if not count:
        yield ok(f"{name}: empty" if count == 0 else f"{name}: does not exist, so it is empty")
        return
    yield failed(
        f"{name}: about {plural(count, 'message')} that crashed the function, or never reached it; "
        "the app's log has the cause",
        *context.fixes.read_log(),
    )


def check_dead_letters(context: Context) -> Iterator[Finding]:
    """Report what was refused, why, and with --watch whether it becomes more."""
    account, settings = _account(context), require(context.settings, "settings")
    name, seconds = settings.dead_letter_queue, context.options.watch
    queue = account.service.get_queue_client(name)
    before = count = _count(queue) or 0
    if seconds:
        context.progress(f"dead letters: watching for {seconds:g} s")
        context.sleep(seconds)
        count = _count(queue) or 0
    if not count:
        yield ok(f"{name}: empty")
        return
    dead_letters = [_decode(message) for message in _peek(queue)]
    reasons = Counter(str(one.get("reason", "not a dead letter")) for one in dead_letters)
    shown = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    detail = next((str(one["detail"]) for one in dead_letters if "detail" in one), "")
    text = (
        f"{name}: {plural(count, 'dead letter')}; the first {len(dead_letters)}: {shown}; detail "
        f"of the first: {detail[:_MAX_DETAIL]}"
    )
    explained = "# docs/dead-letters.md explains the reasons."
    fix = (context.fixes.tool("dead-letter", "list"), explained)
    if count > before:
        yield failed(f"{text}; {count - before} more within {seconds:g} s", *fix)
    else:
        yield warning(text, *fix)


def _account(context: Context) -> Account:
    require(context.queues_readable, "storage roles")
    return require(context.account, "storage")


def _missing(context: Context, account: Account, name: str) -> Finding:
    """Name the queues that exist: more often the name is wrong than the queue is missing."""
    names = [
        one for one in queue_names(account.service) if not one.endswith(("-poison", "-dead-letter"))
    ]
    text = f"there is no queue {name} in {account.name}"
    if names:
        text += f"; queues: {', '.join(names[:MAX_SHOWN])}{', …' if len(names) > MAX_SHOWN else ''}"
    if alike := get_close_matches(name, names, n=1, cutoff=0.7):
        fix = context.fixes.set("METRICS_QUEUE", alike[0])
        return failed(f"{text}; did you mean {alike[0]}?", *fix)
    create = f"az storage queue create --name {name}"
    fix = ["# Name another queue in METRICS_QUEUE, or create this one:"]
    if account.name == DEVELOPMENT:
        if not context.fixes.in_shell(CONNECTION):
            fix.append(f"# ({CONNECTION} is in {context.fixes.file}; export it first.)")
        return failed(text, *fix, f'{create} --connection-string "${CONNECTION}"')
    mode = "key" if account.by_key else "login"
    options = f"--account-name {quoted(account.name)} --auth-mode {mode}"
    return failed(text, *fix, f"{create} {options}")


def _count(queue: QueueClient) -> int | None:
    """Return the approximate number of messages, None if there is no queue."""
    try:
        return queue.get_queue_properties().approximate_message_count or 0
    except ResourceNotFoundError:
        return None


def _peek(queue: QueueClient) -> list[QueueMessage]:
    return list(queue.peek_messages(MAX_PEEKED))


def _decode(message: QueueMessage) -> dict[str, Any]:
    try:
        document = json.loads(message.content)
    except (ValueError, TypeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
