"""`make run` starts a host that failed again, and ends when a stand-in does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local import run
from local.monitor.server import running
from local.processes import Child, ChildError
from local.run import only_one, register, run_host
from local.run_settings import OWN, RunError, app_settings
from local.stack import READY, ROOT, Backend, run_app, run_backend
from tests.local.monitor.client import Client

# Fails the first two times.
HOST = """
import os
import re
import sys
from pathlib import Path
starts = Path(sys.argv[1])
starts.write_text(starts.read_text() + "x")
print("Functions host ready: work", flush=True)
sys.exit(0 if starts.read_text() == "xxx" else 1)
"""


def test_a_host_that_fails_is_started_again(
    backend: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = tmp_path / "starts"
    starts.touch()
    host = (sys.executable, "-c", HOST, str(starts))
    assert run_host(backend, {}, host, delay=0) == 0
    assert starts.read_text() == "xxx"
    err = capsys.readouterr().err
    ended = r"The Functions host \(process \d+\) ended with status 1\. Starting it again"
    assert len(re.findall(ended, err)) == 2
    assert len(re.findall(r"runs again, as process \d+", err)) == 2


def test_a_host_that_does_not_start_ends_the_run(backend: Backend) -> None:
    with pytest.raises(ChildError, match="ended before it was ready"):
        run_host(backend, {}, (sys.executable, "-c", "print('wrong')"), delay=0)


@pytest.mark.parametrize("name", ["Azurite", "Azure Monitor emulator"])
def test_a_stand_in_that_dies_ends_the_run_with_one_sentence(name: str) -> None:
    source = f"import time; print({READY!r}.partition('|')[0], flush=True); time.sleep(600)"
    hosts: list[Child] = []
    with run_backend() as backend:

        def crash(host: Child) -> None:
            hosts.append(host)
            next(child for child in backend.children if child.name == name).kill()

        with pytest.raises(RunError) as caught:
            run_host(backend, {}, (sys.executable, "-c", source), on_start=crash)
    assert (
        str(caught.value)
        == f"{name} was ended by SIGKILL, so make run has stopped: start it again."
    )
    assert [host.status is None for host in hosts] == [False]


LEADS_TO_AZURE = [
    "MetricsStorage__queueServiceUri",
    "AzureWebJobsMetricsStorage",
    "ConnectionStrings__MetricsStorage",
    "ConnectionStrings:AzureWebJobsMetricsStorage",
    "AzureFunctionsJobHost:extensions:queues:batchSize",
]


def test_no_setting_of_the_shell_leads_the_app_to_azure(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*LEADS_TO_AZURE, "ConnectionStrings__Orders"]:
        monkeypatch.setenv(name, "x")
    ready = READY.partition("|")[0]
    source = f"import os; print(*os.environ, sep='\\n'); print({ready!r})"
    with run_app(backend, {}, host=(sys.executable, "-c", source)) as host:
        names = host.output.splitlines()
    assert "ConnectionStrings__Orders" in names  # A source may use it.
    assert not set(LEADS_TO_AZURE).intersection(names)


def test_settings_of_the_shell_reach_the_app() -> None:
    passed_on = {
        "METRICS_PAST_MINUTES": "10",
        "LOCAL_CRASH_INVISIBILITY": "5",
        "AzureWebJobs_sample_sources_Disabled": "true",
        "AzureWebJobs.drain_metrics.Disabled": "true",
    }
    assert app_settings({**passed_on, "HOME": "/"}) == {**OWN, **passed_on}


@pytest.mark.parametrize(
    ("region", "expected"),
    [("West Europe", ["westeurope"]), ("northeurope", ["northeurope"]), ("", [])],
)
def test_the_resource_of_the_settings_is_registered(
    region: str, expected: list[str], backend: Backend
) -> None:
    with running() as url:
        register(replace(backend, monitor_url=url), {**OWN, "METRICS_REGION": region})
        client = Client(url)
        with client.http:
            listed = client.arm("/subscriptions/1/resources?api-version=2021-04-01").json()["value"]
    assert [(each["id"], each["location"]) for each in listed] == [
        (OWN["METRICS_RESOURCE_ID"], each) for each in expected
    ]


PRINTS = """
import time
from local.run import _print_line
try:
    _print_line("host")
    time.sleep(600)
except KeyboardInterrupt:
    print("not read")
    raise SystemExit(3)
"""


@pytest.mark.parametrize(
    ("command", "status"), [(["-c", PRINTS], 3), (["-m", "local.demo"], 1)], ids=["run", "demo"]
)
def test_a_stdout_that_nothing_reads_ends_it(command: list[str], status: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("METRICS_ENDPOINT", "https://x", "METRICS_ENDPOINT is set in this shell, but make run"),
        ("AzureWebJobsMetricsStorage", "x", "AzureWebJobsMetricsStorage is set in this shell"),
        ("AzureWebJobsFeatureFlags", "x", "but make run replaces Azure: unset it"),
        ("ConnectionStrings__MetricsStorage", "x", "ConnectionStrings__MetricsStorage is set in"),
        ("ConnectionStrings:MetricsStorage", "x", "ConnectionStrings:MetricsStorage is set in"),
        ("MetricsStorage__accountName", "x", "MetricsStorage__accountName is set in this shell"),
        ("METRICS_PAST_MINUTE", "5", "did you mean METRICS_PAST_MINUTES?"),
        ("METRICS_PAST_MINUTES", "soon", "METRICS_PAST_MINUTES is .*expected a whole number"),
        ("METRICS_SAMPLE_SCHEDULE", "never", "METRICS_SAMPLE_SCHEDULE: "),
        ("METRICS_SOURCES", "[", "METRICS_SOURCES is not JSON"),
    ],
)
def test_a_setting_that_is_not_passed_on_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(RunError, match=message) as caught:
        app_settings({name: value})
    assert "\n" not in str(caught.value)


def test_a_second_run_in_the_folder_leaves_the_first_alone(tmp_path: Path) -> None:
    with (
        only_one(tmp_path),
        pytest.raises(RunError, match=rf"already runs in this folder \(process {os.getpid()}\)"),
        only_one(tmp_path),
    ):
        pass
    with only_one(tmp_path):
        pass


def test_a_folder_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(run, "app_settings", lambda _: OWN)
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run.main(["--data", str(file)]) == 1
        monkeypatch.setattr(run, "FOLDER", file / "x")
        assert run.main([]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == (
        f"Cannot use {file}: File exists.\nCannot use {file / 'x'}: Not a directory.\n"
    )


def test_ports_are_taken_again_and_data_is_kept(tmp_path: Path) -> None:
    with run_backend(tmp_path) as first:
        first.make_queue("kept")
        ports = first.ports
    with run_backend(tmp_path, ports=ports) as second:
        assert second.ports == ports
        assert [queue.name for queue in second.storage.list_queues()] == ["kept"]
        with run_backend(ports=ports) as third:
            assert not set(third.ports.values()) & set(ports.values())
