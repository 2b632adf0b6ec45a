"""App settings of a file and of the environment: which one applies, and what is not such a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from shared.errors import ConfigurationError
from tools.__main__ import main
from tools.app_settings import read_app_settings, read_settings_file

ENVIRON = {"METRICS_QUEUE": "environment", "PATH": "/bin"}
LOCAL = {"IsEncrypted": False, "Values": {"METRICS_QUEUE": "local", "METRICS_PAST_MINUTES": 30}}


def test_a_file_that_is_given_goes_over_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    file.write_text(json.dumps(LOCAL), encoding="utf-8-sig")
    settings = {"METRICS_QUEUE": "local", "METRICS_PAST_MINUTES": "30", "PATH": "/bin"}
    assert read_app_settings(read_settings_file(file), ENVIRON) == settings
    listed = [{"name": "METRICS_QUEUE", "value": "azure", "slotSetting": False}]
    file.write_text(json.dumps(listed), encoding="utf-8")
    assert read_app_settings(read_settings_file(file), ENVIRON) == {
        "METRICS_QUEUE": "azure",
        "PATH": "/bin",
    }


def test_the_environment_goes_over_local_settings_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_app_settings(None, ENVIRON) == ENVIRON
    Path("local.settings.json").write_text(json.dumps(LOCAL), encoding="utf-8")
    assert read_app_settings(None, ENVIRON) == {**ENVIRON, "METRICS_PAST_MINUTES": "30"}


WRONG = {
    "no JSON": ("METRICS_QUEUE=x", "does not hold app settings"),
    "no values": ({"METRICS_QUEUE": "x"}, "does not hold app settings"),
    "a list of others": (["x"], "does not hold app settings"),
    "a number": (7, "does not hold app settings"),
    "encrypted": ({"IsEncrypted": True, "Values": {}}, "is encrypted; run `func settings decrypt`"),
    "null": ({"Values": {"MetricsStorage": None}}, "has no value for MetricsStorage"),
    "an object for a value": ({"Values": {"METRICS_SOURCES": {}}}, "does not hold app settings"),
    "a number for a name": ([{"name": 1, "value": "x"}], "does not hold app settings"),
    "half a character": ([{"name": "A", "value": "\ud800"}], "does not hold app settings"),
    "hidden values": ([{"name": "METRICS_QUEUE", "value": None}], "has no value for METRICS_QUEUE"),
}


@pytest.mark.parametrize(("content", "error"), WRONG.values(), ids=WRONG)
def test_a_file_that_holds_no_settings_is_an_error(
    content: Any, error: str, tmp_path: Path
) -> None:
    file = tmp_path / "app.json"
    text = content if isinstance(content, str) else json.dumps(content)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"app.json {error}"):
        read_settings_file(file)


def test_a_pipe_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `--settings <(az functionapp config appsettings list …)`."""
    monkeypatch.chdir(tmp_path)
    for command in (["doctor"], ["send", "--metric", "a", "--value", "1"], ["dead-letter", "list"]):
        reader, writer = os.pipe()
        os.write(writer, b'{"Values": {"METRICS_SOURCES": "[", "MetricsStorage": "nothing"}}')
        os.close(writer)
        with patch.dict(os.environ):
            done = CliRunner().invoke(main, [*command, "--settings", f"/dev/fd/{reader}"])
        os.close(reader)
        assert "MetricsStorage is not a valid connection string" in done.output
