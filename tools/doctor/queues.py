"""The three queues: what waits, what the host gave up, what was refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from itertools import islice
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from shared.text import plural
from tools.doctor.context import Account, Context, require
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.fixes import Fixes, Template, escaped, quoted
from tools.doctor.settings import CONNECTION
from tools.doctor.storage_errors import DEVELOPMENT

__all__ = ["check_dead_letters", "check_ingress", "check_poison", "queue_command"]

# Source: "Peek Messages".
MAX_PEEKED = 32
MAX_LISTED = 200  # Queues of an account.
# An idle queue is polled every two seconds, and a message is settled within some seconds.
_LONG_WAIT = timedelta(minutes=2)
_MAX_DETAIL = 300  # Characters.
_HINTS = {
    "expired": "the detail says what delayed it, or that its time was old",
    "cardinality": "a dimension with too many values; see docs/series.md",
    "invalid": "correct the producer, where the detail says; see docs/messages.md",
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
        *queue_command(
            context.fixes,
            account,
            CONNECTION,
            f"az storage message peek --queue-name {name} --num-messages {MAX_PEEKED}",
        ),
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
    fix = [
        context.fixes.tool("dead-letter", "list"),
        *(line for reason in reasons for line in _reason(reason, context)),
    ]
    if count > before:
        yield failed(f"{text}; {count - before} more within {seconds:g} s", *fix)
    else:
        yield warning(text, *fix)


def queue_command(fixes: Fixes, account: Account, setting: str, command: str) -> list[str]:
    """Return an az command on the queues of an account, with how it authenticates."""
    if account.name != DEVELOPMENT:
        mode = "key" if account.by_key else "login"
        return [f"{command} --account-name {quoted(account.name)} --auth-mode {mode}"]
    if fixes.in_shell(setting) and _VARIABLE.fullmatch(setting):
        return [f'{command} --connection-string "${setting}"']
    return [
        f"# $CONNECTION_STRING is the value of {setting} in {fixes.file}:",
        f'{command} --connection-string "$CONNECTION_STRING"',
    ]


def _account(context: Context) -> Account:
    require(context.queues_readable, "storage roles")
    return require(context.account, "storage")


def _missing(context: Context, account: Account, name: str) -> Finding:
    """Name the queues that exist: more often the name is wrong than the queue is missing."""
    try:
        names = [queue.name for queue in islice(account.service.list_queues(), MAX_LISTED)]
    except HttpResponseError:  # May not be listed.
        names = []
    ingress = [one for one in names if not one.endswith(("-poison", "-dead-letter"))]
    alike = get_close_matches(name, ingress, n=1, cutoff=0.7)
    create = queue_command(
        context.fixes, account, CONNECTION, f"az storage queue create --name {name}"
    )
    text = f"there is no queue {name} in {account.name}"
    if not ingress:
        return failed(text, *create)
    shown = ", ".join(ingress[:10]) + (", …" if len(ingress) > 10 else "")
    text += f"; queues: {shown}"
    if alike:
        fix = context.fixes.set("METRICS_QUEUE", alike[0])
        return failed(f"{text}; did you mean {alike[0]}?", *fix)
    return failed(
        text,
        *context.fixes.set("METRICS_QUEUE", Template("$QUEUE")),
        "# Or, if the name is right, create it:",
        *create,
    )


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


def _reason(reason: str, context: Context) -> list[str]:
    """Return what helps against a reason, beside its detail."""
    if reason == "forbidden_scope":
        scopes = escaped(context.environ.get("METRICS_ALLOWED_SCOPES", ""))
        allow = context.fixes.set("METRICS_ALLOWED_SCOPES", Template(f"{scopes},$RESOURCE_ID"))
        return ["# forbidden_scope: if producers may publish there,", *allow]
    return [f"# {reason}: {_HINTS[reason]}."] if reason in _HINTS else []
