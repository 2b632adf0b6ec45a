"""The command, end to end: some faults, against Azurite and the emulator."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result

from local.stack import Backend
from tests.secrets_in_logs import kinds_of
from tools.__main__ import main
from tools.doctor.checks import CHECKS

REGION = "westeurope"


@pytest.fixture
def settings(
    backend: Backend, queue: str, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """The settings of a relay with nothing wrong, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    backend.control("DELETE", "state")
    resources = [{"resourceId": site, "region": REGION}]
    backend.control("PUT", "resources", json={"resources": resources})
    backend.storage.create_queue(queue)
    source = {"kind": "storage_queue", "resourceId": site, "region": REGION}
    source |= {"connection": "MetricsStorage", "queues": [queue]}  # type: ignore[dict-item]
    yield {
        **backend.app_settings(queue),
        "METRICS_RESOURCE_ID": site,
        "METRICS_REGION": REGION,
        "METRICS_ALLOWED_SCOPES": site.partition("/providers/")[0],
        "METRICS_SOURCES": json.dumps([source]),
    }
    backend.control("DELETE", "state")


def invoke(environ: Mapping[str, str | None], *options: str) -> Result:
    """Run the command, which adds the settings to the environment of its process."""
    with patch.dict(os.environ):
        return CliRunner().invoke(main, ["doctor", *options], env=environ, prog_name="metric-relay")


def run(environ: Mapping[str, str | None], *options: str) -> tuple[dict[str, dict[str, Any]], int]:
    """The worst finding of each check, and the exit code; no secret is in anything printed."""
    result = invoke(environ, "--format", "json", *options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert kinds_of(result.stdout + result.stderr) == []
    findings = sorted(json.loads(result.stdout), key=lambda one: bool(one["status"] == "failed"))
    return {one["check"]: one for one in findings}, result.exit_code


def test_a_relay_with_nothing_wrong_is_right_and_its_probe_visible(
    settings: dict[str, Any], backend: Backend, site: str
) -> None:
    found, code = run(settings, "--probe")
    skipped = [name for name, one in found.items() if one["status"] == "skipped"]
    assert [name for name, one in found.items() if one["status"] not in ("ok", "skipped")] == []
    assert (skipped, code, list(found)) == (["app"], 0, list(CHECKS))
    (value,) = backend.metrics(resourceId=site)
    assert (value["namespace"], value["metric"]) == ("MetricRelayProbe", "Probe")


def test_nothing_is_published_without_being_asked_for(
    settings: dict[str, Any], backend: Backend, site: str
) -> None:
    assert run(settings)[0]["publish"]["status"] == "skipped"
    assert backend.metrics(resourceId=site) == []


@pytest.mark.parametrize(
    ("path", "document", "message", "fix"),
    [
        (
            "roles",
            {"assignments": [{"scope": "/", "role": "Owner"}]},
            "403 AuthenticationFailed",
            "az role assignment create --role 'Monitoring Metrics Publisher'",
        ),
        (
            "clock",
            {"offsetSeconds": -1900},
            "the clocks of this machine and of Azure Monitor differ",
            "sudo timedatectl set-ntp true",
        ),
    ],
)
def test_a_value_that_is_not_accepted_has_a_fix(
    settings: dict[str, Any], backend: Backend, path: str, document: Any, message: str, fix: str
) -> None:
    backend.control("PUT", path, json=document)
    found, code = run(settings, "--probe")
    assert code == 1
    assert message in found["publish"]["message"]
    assert fix in "\n".join(found["publish"]["fix"])


def write(file: Path, settings: Mapping[str, Any], *, listed: bool = False) -> Path:
    """A file of settings, or what `az functionapp config appsettings list` prints."""
    values = [{"name": name, "value": text} for name, text in settings.items()]
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(values if listed else {"Values": settings}))
    return file


def test_fixes_are_for_where_the_settings_are(settings: dict[str, Any], tmp_path: Path) -> None:
    nothing, wrong = dict.fromkeys(settings), {**settings, "METRICS_REGION": "west-europe"}

    def fix(environ: Mapping[str, Any], *options: str) -> str:
        text: str = run(environ, *options)[0]["settings"]["fix"][-1]
        return text

    assert fix(wrong) == 'export METRICS_REGION="$REGION"'
    write(tmp_path / "local.settings.json", wrong)
    assert fix(nothing) == '# In local.settings.json, set METRICS_REGION="$REGION"'
    assert fix({**nothing, "METRICS_REGION": "x-y"}) == 'export METRICS_REGION="$REGION"'
    file = write(tmp_path / "my.json", wrong)
    options = ("--settings", str(file))
    assert fix({**nothing, "METRICS_REGION": "x"}, *options).startswith(f"# In {file}, set")
    assert fix(nothing, "--settings", str(write(tmp_path / "a.json", wrong, listed=True))) == (
        'az functionapp config appsettings set --name "$APP" --resource-group "$GROUP" '
        '--settings "METRICS_REGION=$REGION"'
    )
    file = write(tmp_path / ".local" / "run.settings.json", wrong)
    assert fix(nothing, "--settings", str(file)) == 'export METRICS_REGION="$REGION"'


def test_the_doctor_calls_itself_with_the_same_settings(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    values = {**settings, "IDENTITY_ENDPOINT": "http://127.0.0.1:1"}
    file = write(tmp_path / "an app's.json", values)
    found, _ = run(dict.fromkeys(settings), "--settings", str(file), "--probe")
    again = f"metric-relay doctor --credential azure_cli --settings {shlex.quote(str(file))}"
    assert again in found["identity"]["fix"]


def test_an_app_in_azure_is_checked_as_another_identity(
    settings: dict[str, Any], tmp_path: Path, backend: Backend, site: str
) -> None:
    """The emulator's identity is used in place of that of the user who is signed in."""
    values = {**settings, "METRICS_CREDENTIAL": "azure_cli"}
    file = write(tmp_path / "app.json", values, listed=True)
    backend.control("PUT", "roles", json={"assignments": [{"scope": "/", "role": "Reader"}]})
    options = ["--settings", str(file), "--credential", "managed_identity", "--probe"]
    found, _ = run(dict.fromkeys(settings), *options, "--app", "relay", "--group", "g")
    assert found["publish"]["fix"][-1] == (
        f"az role assignment create --role 'Monitoring Metrics Publisher' --scope {site} "
        '--assignee "$(az functionapp identity show --name relay --resource-group g '
        '--query principalId -o tsv)"'
    )
    # The subscription is that of METRICS_RESOURCE_ID; the emulator knows no function apps.
    assert "/resourceGroups/g/providers/Microsoft.Web/sites/relay" in found["app"]["message"]


def test_a_secret_in_the_wrong_setting_is_not_repeated(settings: dict[str, Any]) -> None:
    """`run` looks for secrets in all that is printed."""
    settings |= {
        "METRICS_QUEUE": settings["MetricsStorage"],
        "METRICS_REGION": f"Bearer {'x' * 40}",
        "METRICS_NAMESPACE": f"sig={'y' * 300}",
    }
    assert run(settings)[1] == 1


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--region", "west-europe"], 2, "'west-europe' is not a region"),
        (["--format", "yaml"], 2, "'yaml' is not one of"),
        (["--settings", "app.json"], 1, "app.json has no value"),
    ],
)
def test_wrong_options_are_refused(
    settings: dict[str, Any], tmp_path: Path, options: list[str], code: int, text: str
) -> None:
    (tmp_path / "app.json").write_text('[{"name": "METRICS_QUEUE", "value": null}]')
    result = invoke(settings, *options)
    assert result.exit_code == code
    assert text in result.stderr


@pytest.mark.parametrize("wrong", [{"": "x"}, {"A=B": "x"}, {"A": "\0"}])
def test_settings_that_no_environment_can_hold_are_refused(
    wrong: dict[str, str], tmp_path: Path
) -> None:
    file = write(tmp_path / "my.json", wrong)
    result = invoke({}, "--settings", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The environment cannot hold these settings: ")


def test_text_is_for_people(settings: dict[str, Any]) -> None:
    environ = {**settings, "METRICS_AUDIENCE": "https://monitor.azure.com"}
    result = invoke(environ)
    lines = result.stdout.splitlines()
    index = next(i for i, line in enumerate(lines) if line.startswith("✗ identity"))
    assert lines[index + 1] == "    unset METRICS_AUDIENCE"
    assert "\x1b" not in result.stdout  # Colours are for terminals.
