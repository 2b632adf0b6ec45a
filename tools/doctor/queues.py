"""The three queues: what waits, what crashed the function, what was refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from tools.doctor.commands import Commands, Open, inside, of_account
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.patient import Account, Patient, needed

__all__ = ["check_dead_letters", "check_ingress", "check_poison"]

# Source: "Peek Messages": 32 at most.
_MOST_PEEKED = 32
# A message is seen every two seconds, and settled within some seconds more.
_LONG_WAIT = timedelta(minutes=2)
_MOST_DETAIL = 300
# Members of a document that the Functions host takes for its own; see docs/messages.md.
_OF_THE_HOST = {
    "id",
    "dequeuecount",
    "insertiontime",
    "expirationtime",
    "nextvisibletime",
    "popreceipt",
}


def check_ingress(patient: Patient) -> Iterator[Finding]:
    """How many messages wait, and for how long the oldest has."""
    account, settings = _readable(patient), needed(patient.settings, "settings")
    queue = account.service.get_queue_client(settings.queue)
    count = _count(queue)
    if count is None:
        yield failed(
            f"there is no queue {settings.queue}; neither the host nor the app makes it",
            f"az storage queue create --name {settings.queue} {_sign_in(account)}",
        )
        return
    seen = _peeked(queue)
    now = patient.now()
    oldest = max((now - one.inserted_on for one in seen if one.inserted_on), default=timedelta())
    tries = max((one.dequeue_count or 0 for one in seen), default=0)
    if not seen:
        # Counted, and yet not to be seen: in work, or put off until its next try.
        hidden = f"{count} in work or waiting for another try" if count else "nothing waits"
        yield ok(f"{settings.queue}: {hidden}")
        return
    waits = f"{settings.queue}: about {count} messages, the oldest for {_shown(oldest)}"
    if tries:
        waits += f", tried up to {tries} times"
    if oldest > settings.time_window.past:
        yield failed(
            f"{waits}: nobody drains it, and points older than {settings.time_window.past} expire",
            *patient.commands.look,
        )
    elif oldest > _LONG_WAIT or tries > 1:
        yield warning(
            f"{waits}: the function does not run, or something is in its way",
            *patient.commands.look,
        )
    else:
        yield ok(waits)


def check_poison(patient: Patient) -> Iterator[Finding]:
    """What the host gave up: it crashed the function, or never reached it."""
    account, settings = _readable(patient), needed(patient.settings, "settings")
    name = f"{settings.queue}-poison"
    queue = account.service.get_queue_client(name)
    count = _count(queue)
    if not count:
        yield ok(f"{name}: empty" if count == 0 else f"there is no {name}, so nothing was in it")
        return
    causes = [cause for cause in map(_cause, _peeked(queue)) if cause]
    because = f": {causes[0]}" if causes else ", which the app's log has the cause of"
    yield failed(
        f"{name}: about {count} messages crashed the function or never reached it{because}",
        f"az storage message peek --queue-name {name} --num-messages {_MOST_PEEKED} "
        f"{_sign_in(account)}",
        *patient.commands.look,
    )


def check_dead_letters(patient: Patient) -> Iterator[Finding]:
    """What was refused, why, and whether it becomes more."""
    account, settings = _readable(patient), needed(patient.settings, "settings")
    name = settings.dead_letter_queue
    queue = account.service.get_queue_client(name)
    before = count = _count(queue) or 0
    if patient.options.watch:
        patient.sleep(patient.options.watch)
        count = _count(queue) or 0
    if not count:
        yield ok(f"{name}: empty")
        return
    letters = [_letter(one) for one in _peeked(queue)]
    reasons = Counter(str(letter.get("reason")) for letter in letters)
    shown = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    detail = next((str(letter["detail"]) for letter in letters if "detail" in letter), "")
    found = (
        f"{name}: {count} dead letters; of the first {len(letters)}: {shown}; "
        f"the first says: {detail[:_MOST_DETAIL]}"
    )
    remedy = [
        patient.commands.list_dead_letters(),
        *(line for reason in reasons for line in _against(reason, patient)),
    ]
    if count > before:
        seconds = patient.options.watch
        yield failed(f"{found}; {count - before} more within {seconds:g} s", *remedy)
    else:
        yield warning(found, *remedy)


def _readable(patient: Patient) -> Account:
    needed(patient.queues_are_readable, "storage roles")
    return needed(patient.account, "storage")


def _count(queue: QueueClient) -> int | None:
    """Messages in a queue, approximately; None where there is none."""
    try:
        return queue.get_queue_properties().approximate_message_count or 0
    except ResourceNotFoundError:
        return None


def _peeked(queue: QueueClient) -> list[QueueMessage]:
    """The first messages that are visible, left as they are."""
    return list(queue.peek_messages(_MOST_PEEKED))


def _cause(message: QueueMessage) -> str:
    """Why the host could not give a message to the function, where the message shows it."""
    taken = sorted(name for name in _json(message) if name.lower() in _OF_THE_HOST)
    if not taken:
        return ""
    return f"a member named {taken[0]} is taken by the Functions host for its own"


def _letter(message: QueueMessage) -> dict[str, Any]:
    return _json(message) or {"reason": "no dead letter of Metric Relay"}


def _json(message: QueueMessage) -> dict[str, Any]:
    try:
        document = json.loads(message.content)
    except (ValueError, TypeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _against(reason: str, patient: Patient) -> list[str]:
    """What helps against a reason, beside what its detail says."""
    commands: Commands = patient.commands
    scopes = patient.environ.get("METRICS_ALLOWED_SCOPES", "")
    match reason:
        case "forbidden_scope":
            return [
                "# forbidden_scope: if producers may write there,",
                commands.set("METRICS_ALLOWED_SCOPES", Open(f"{inside(scopes)},$RESOURCE_ID")),
            ]
        case "expired":
            return ["# expired: the detail says what held them up, or that their time was old."]
        case "cardinality":
            return ["# cardinality: a dimension whose values never end; see docs/series.md."]
        case "invalid":
            return ["# invalid: the producer is wrong, where the detail says; docs/messages.md."]
        case _:
            return []


def _sign_in(account: Account) -> str:
    return of_account(account.name, "MetricsStorage", by_key=account.by_key)


def _shown(duration: timedelta) -> str:
    return str(timedelta(seconds=int(duration.total_seconds())))
