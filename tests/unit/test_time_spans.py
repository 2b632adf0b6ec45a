"""The app reads the time span that it shares with the host as .NET does, or refuses it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from shared.errors import ConfigurationError
from shared.settings import MAX_HOURS, Settings
from tests.time_spans import TIME_SPANS

SETTING = "AzureFunctionsJobHost__extensions__queues__visibilityTimeout"
REQUIRED = {"METRICS_QUEUE": "metrics", "MetricsStorage__accountName": "orders"}
READ = {
    text: span
    for text, span in TIME_SPANS.items()
    if span is not None
    and span < timedelta(hours=MAX_HOURS + 1)
    and re.fullmatch(r"\d\d:\d\d:\d\d", text.strip())
}


@pytest.mark.parametrize(("text", "span"), READ.items())
def test_hours_minutes_and_seconds_are_read(text: str, span: timedelta) -> None:
    assert Settings.from_env({**REQUIRED, SETTING: text}).retry_delay == span


@pytest.mark.parametrize("text", [text for text in TIME_SPANS if text and text not in READ])
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=SETTING):
        Settings.from_env({**REQUIRED, SETTING: text})
