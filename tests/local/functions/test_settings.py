"""App settings from the environment and local.settings.json."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.functions.errors import ConfigurationError, DisabledError
from local.functions.settings import expand, load

from .support import QUEUE_TRIGGER, RunHost


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text(
        '{"IsEncrypted": false, "Values": {"A": "file", "B": "file", "C": 1.50, "D": true}}'
    )
    environ = {"A": "environment"}
    load(tmp_path, environ)
    assert environ == {"A": "environment", "B": "file", "C": "1.5", "D": "true"}


def test_the_file_may_be_missing_or_without_values(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    load(tmp_path, environ)
    (tmp_path / "local.settings.json").write_text("{}")
    load(tmp_path, environ)
    assert environ == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "must be an object whose member Values is an object"),
        ('{"Values": []}', "must be an object whose member Values is an object"),
        (
            '{"IsEncrypted": true}',
            "IsEncrypted: true: only Core Tools can read it (func settings decrypt)",
        ),
        ('{"Values": {"A": ["x"]}}', 'Values.A: ["x"]: must be a string'),
        ('{"Values": {"A": null}}', "Values.A: null: must be a string"),
    ],
)
def test_bad_files(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, {})
    assert str(caught.value) == f"{file}: {said}"


def test_references_are_replaced() -> None:
    environ = {"NAME": "metrics", "STAGE": "test"}
    assert expand("%NAME%-%STAGE%", environ, "here") == "metrics-test"
    assert expand("metrics", environ, "here") == "metrics"


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}])
def test_a_missing_reference(environ: dict[str, str]) -> None:
    with pytest.raises(DisabledError) as caught:
        expand("%NAME%", environ, "function work: queue_name")
    assert str(caught.value) == "function work: queue_name: %NAME%: app setting NAME is missing"


def test_the_app_finds_them_in_its_environment_when_it_is_imported(
    tmp_path: Path, run_host: RunHost
) -> None:
    (tmp_path / "local.settings.json").write_text(
        '{"Values": {"QUEUE": "from-the-file", "ONLY": "from the file", "STORAGE": "unused"}}'
    )
    source = """
import os
import azure.functions as func

print(os.environ["ONLY"], os.getcwd(), flush=True)
app = func.FunctionApp()

TRIGGER
async def work(message: func.QueueMessage) -> None: ...
""".replace("TRIGGER", QUEUE_TRIGGER)
    host = run_host(source)
    host.wait_for(f"from the file {tmp_path}$")
    host.wait_for(rf"ready: work \(queueTrigger {run_host.settings['QUEUE']}\)$")
