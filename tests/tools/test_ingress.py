"""The connection and the queues that options and app settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.app_settings import SettingsFile
from tools.ingress import Queues, find_queues


def found(queue: str | None = None, **settings: str) -> Queues:
    values = {"MetricsStorage__accountName": "orders", **settings}
    file = SettingsFile(Path("app.json"), values, is_list=True)
    return find_queues(file, "MetricsStorage", None, queue)


@pytest.mark.parametrize(
    ("queue", "settings", "dead_letter"),
    [
        (None, {}, "rejected"),
        ("metrics", {}, "rejected"),
        ("shop", {"METRICS_QUEUE": "shop"}, "rejected"),
        ("other", {}, "other-dead-letter"),
        ("metrics", {"METRICS_QUEUE": "shop"}, "metrics-dead-letter"),
    ],
)
def test_the_dead_letter_queue_of_the_settings_is_that_of_their_ingress_queue(
    queue: str | None, settings: dict[str, str], dead_letter: str
) -> None:
    settings = {"METRICS_QUEUE": "", "METRICS_DEAD_LETTER_QUEUE": "rejected", **settings}
    assert found(queue, **settings).dead_letter == dead_letter


def test_the_managed_identity_of_an_app_is_not_that_of_a_command() -> None:
    connection = found(MetricsStorage__credential="managedidentity").connection
    assert connection.queue_service_uri == "https://orders.queue.core.windows.net"
    assert not connection.managed_identity
