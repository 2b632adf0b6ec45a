"""host.json: defaults, what is read, and every way to get it wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from local.functions.errors import ConfigurationError
from local.functions.host_json import QueueOptions, parse_time_span, read
from tests.time_spans import MAX_VISIBILITY, TIME_SPANS


def write(folder: Path, **queues: object) -> Path:
    """Write a host.json with these queue options; return the file."""
    file = folder / "host.json"
    file.write_text(json.dumps({"version": "2.0", "extensions": {"queues": queues}}))
    return file


def test_defaults(tmp_path: Path) -> None:
    expected = QueueOptions(
        batch_size=16,
        new_batch_threshold=8,
        max_polling_interval=60,
        visibility_timeout=0,
        max_dequeue_count=5,
        message_encoding="base64",
    )
    assert read(tmp_path, {}) == expected
    (tmp_path / "host.json").write_text('{"version": "2.0", "extensionBundle": {"id": "any"}}')
    assert read(tmp_path, {}) == expected


def test_everything(tmp_path: Path) -> None:
    write(
        tmp_path,
        batchSize=32,
        newBatchThreshold=1000,
        maxPollingInterval="00:00:00.1000000",
        visibilityTimeout="1.02:03:04",
        maxDequeueCount=1,
        messageEncoding="None",
    )
    assert read(tmp_path, {}) == QueueOptions(
        batch_size=32,
        new_batch_threshold=1000,
        max_polling_interval=0.1,
        visibility_timeout=((24 + 2) * 60 + 3) * 60 + 4,
        max_dequeue_count=1,
        message_encoding="none",
    )


def test_app_settings_replace_single_values(tmp_path: Path) -> None:
    write(tmp_path, batchSize=32, newBatchThreshold=256)
    prefix = "AzureFunctionsJobHost__extensions__queues__"
    environ = {f"{prefix}visibilityTimeout": "00:00:01", f"{prefix}batchSize": "1"}
    assert read(tmp_path, environ) == QueueOptions(
        batch_size=1, new_batch_threshold=256, visibility_timeout=1
    )
    with pytest.raises(
        ConfigurationError,
        match=rf"extensions\.queues or an app setting {prefix}\*: Expected `int`, got `str` - at",
    ):
        read(tmp_path, {f"{prefix}batchSize": "many"})


def test_the_threshold_follows_the_batch_size(tmp_path: Path) -> None:
    write(tmp_path, batchSize=5)
    assert read(tmp_path, {}).new_batch_threshold == 2


def test_names_numbers_and_comments_are_read_as_dotnet_does(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(
        """{
        // A comment, with "quotes".
        "version": "2.0", /* Another,
        } */
        "Extensions": {"QUEUES": {"BATCHSIZE": "8", "maxPollingInterval": "00:00:02",}},
        "note": "// not a comment, /* nor this */,}",
        }"""
    )
    assert read(tmp_path, {}) == QueueOptions(
        batch_size=8, new_batch_threshold=4, max_polling_interval=2
    )
    setting = "AzureFunctionsJobHost__Extensions__QUEUES__batchsize"
    assert read(tmp_path, {setting: "3"}).batch_size == 3


@pytest.mark.parametrize(("text", "span"), TIME_SPANS.items())
def test_time_spans(text: str, span: timedelta | None, tmp_path: Path) -> None:
    assert parse_time_span(text) == span
    write(tmp_path, visibilityTimeout=text)
    if span is not None and timedelta() <= span <= MAX_VISIBILITY:
        assert read(tmp_path, {}).visibility_timeout == span.total_seconds()
    else:
        with pytest.raises(ConfigurationError, match="visibilityTimeout"):
            read(tmp_path, {})


POLLING = "must be from 0:00:00.100000 to 10675199 days, 0:00:00"
VISIBILITY = "must be from 0:00:00 to 7 days, 0:00:00"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batchSize", 0, "Expected `int` >= 1 - at `$.batchSize`"),
        ("batchSize", 33, "Expected `int` <= 32 - at `$.batchSize`"),
        ("batchSize", "many", "Expected `int`, got `str` - at `$.batchSize`"),
        ("batchSize", "33", "Expected `int` <= 32 - at `$.batchSize`"),
        ("batchSize", 8.5, "Expected `int`, got `float` - at `$.batchSize`"),
        ("batchSize", True, "Expected `int`, got `bool` - at `$.batchSize`"),
        ("newBatchThreshold", -1, "Expected `int` >= 0 - at `$.newBatchThreshold`"),
        ("maxDequeueCount", 0, "Expected `int` >= 1 - at `$.maxDequeueCount`"),
        (
            "maxPollingInterval",
            "00:00:00.09",
            f'maxPollingInterval: "00:00:00.09", which .NET reads as 0:00:00.090000, {POLLING}',
        ),
        ("maxPollingInterval", "soon", 'maxPollingInterval: "soon" is not a time span hh:mm:ss'),
        (
            "visibilityTimeout",
            "7.00:00:01",
            f'visibilityTimeout: "7.00:00:01", which .NET reads as 7 days, 0:00:01, {VISIBILITY}',
        ),
        (
            "visibilityTimeout",
            30,
            f"visibilityTimeout: 30, which .NET reads as 30 days, 0:00:00, {VISIBILITY}",
        ),
        ("messageEncoding", "utf8", "Invalid enum value 'utf8' - at `$.messageEncoding`"),
        ("batchSizes", 1, "Object contains unknown field `batchSizes`"),
    ],
)
def test_errors_name_file_path_and_limit(
    name: str, value: object, said: str, tmp_path: Path
) -> None:
    file = write(tmp_path, **{name: value})
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, {})
    assert str(caught.value) == f"{file}: extensions.queues: {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes: line 1 column 2"),
        ("[]", 'must be an object with "version": "2.0"'),
        ('{"version": "1.0"}', 'must be an object with "version": "2.0"'),
        ('{"version": "2.0", "extensions": 1}', "extensions: must be an object"),
        ('{"version": "2.0", "extensions": {"queues": []}}', "queues: must be an object"),
    ],
)
def test_files_that_are_no_host_json(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, {})
    assert str(caught.value).startswith(f"{file}: {said}")
