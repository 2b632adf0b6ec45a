"""The three queues."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.doctor.context import Context
from tools.doctor.queues import check_dead_letters, check_ingress, check_poison

from .contexts import NOW, FakeQueues, account_of, fix_of, message, one, ready, skip_of


def context_of(queues: dict[str, list[Any]], hidden: int = 0, **facts: Any) -> Context:
    account = account_of(FakeQueues(queues, hidden))
    return ready(storage_account=account, **facts)


@pytest.mark.parametrize(
    ("messages", "hidden", "status", "text"),
    [
        ([], 0, "ok", "metrics has 0 messages"),
        ([], 3, "ok", "metrics has 3 messages, in work or waiting for a retry"),
        ([message("{}", 1)], 0, "ok", "metrics has about 1 message; the oldest has waited 0:01:00"),
        ([message("{}", 3)], 0, "warning", "the app does not drain it, or fails"),
        ([message("{}", 0, tries=2)], 0, "warning", "tried up to 2 times"),
        ([message("{}", 21), message("{}")], 0, "failed", "points older than 0:20:00 expire"),
    ],
)
def test_what_waits_is_reported(messages: list[Any], hidden: int, status: str, text: str) -> None:
    finding = one(check_ingress, context_of({"metrics": messages}, hidden))
    assert finding.status == status
    assert text in finding.message
    assert bool(finding.fix) == (status != "ok")


def test_a_queue_that_is_missing_is_created_if_there_is_no_other() -> None:
    fix = fix_of(check_ingress, context_of({"metrics-poison": []}), "has no queue metrics")
    create = 'az storage queue create --name metrics --connection-string "$MetricsStorage"'
    assert fix[1:] == [create]


def test_a_misspelt_queue_gets_the_name_of_the_existing_one() -> None:
    fix = fix_of(check_ingress, context_of({"metric": [], "x": []}), "did you mean metric?")
    assert fix == ["export METRICS_QUEUE=metric"]


def test_the_existing_queues_are_named() -> None:
    queues = FakeQueues({"orders": [], "zebra": []})
    context = ready(storage_account=account_of(queues, "shop", key=False))
    assert fix_of(check_ingress, context, "its queues: orders, zebra", "failed") == [
        "# Name another queue in METRICS_QUEUE, or create this one:",
        "az storage queue create --name metrics --account-name shop --auth-mode login",
    ]


def test_queues_that_may_not_be_listed_are_not_named() -> None:
    context = ready(storage_account=account_of(FakeQueues({"x": []}, refused={"list_queues"})))
    assert "queues:" not in one(check_ingress, context).message


def test_without_the_roles_queues_are_skipped() -> None:
    for check in (check_ingress, check_poison, check_dead_letters):
        assert skip_of(check, ready()) == "This check needs the storage account"


@pytest.mark.parametrize(
    ("queues", "status"),
    [({}, "ok"), ({"metrics-poison": []}, "ok"), ({"metrics-poison": [message("x")]}, "failed")],
)
def test_a_poison_queue_should_be_empty(queues: dict[str, list[Any]], status: str) -> None:
    assert one(check_poison, context_of(queues)).status == status


def dead_letter(reason: str, detail: str) -> Any:
    entry = {"detail": detail, "message": {}}
    letter = {"reason": reason, "detail": detail, "deadLetteredTime": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"}
    return message(json.dumps({**letter, "refused": [entry]}))


def test_dead_letters_are_counted_by_reason() -> None:
    letters = [dead_letter("invalid", "points: none"), dead_letter("forbidden_scope", "x")]
    context = context_of({"metrics-dead-letter": [*letters, message("junk")]})
    text = "has 3 messages; the first 3: 1 invalid, 1 forbidden_scope, 1 unreadable; detail"
    fix = fix_of(check_dead_letters, context, f"{text} of the first: points: none", "warning")
    assert fix == ["metric-relay dead-letter list", "# docs/dead-letters.md explains the reasons."]
    assert one(check_dead_letters, context_of({})).status == "ok"
    hidden = one(check_dead_letters, context_of({"metrics-dead-letter": []}, hidden=4))
    assert hidden.message == "metrics-dead-letter has 4 messages"
