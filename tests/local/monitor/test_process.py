"""The emulator as users start it: a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from local.monitor.__main__ import main

from .client import Client, document

ROOT = Path(__file__).parents[3]


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], str, Client]]:
    """An emulator in a process of its own, its first line, and a client of it."""
    command = [sys.executable, "-m", "local.monitor", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            client = Client(line.split()[4])
            with client.http:
                yield process, line, client
        finally:
            process.kill()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_serves_and_stops(stop: signal.Signals) -> None:
    options = ("--port", "0", "--strict", "--client-id", "known")
    with started(*options) as (process, line, client):
        assert re.fullmatch(r"Azure Monitor emulator on http://127\.0\.0\.1:\d+\n", line)
        assert client.identity(client_id="unknown").status_code == 400
        assert client.identity(client_id="known").ok
        assert client.post(document()).status_code == 404
        client.fault(latency=3600)
        with pytest.raises(requests.ReadTimeout):
            client.http.post(client.metrics_url(), json={}, timeout=0.1)
        process.send_signal(stop)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")
    assert "Traceback" not in errors


def test_it_speaks_tls_when_asked() -> None:
    with started("--tls") as (process, line, client):
        found = re.fullmatch(
            r"Azure Monitor emulator on (https://127\.0\.0\.1:\d+) with the CA in (\S+)\n", line
        )
        assert found
        with pytest.raises(requests.exceptions.SSLError):
            client.post(document())
        client.http.trust_env = False  # REQUESTS_CA_BUNDLE would come first.
        client.http.verify = found[2]
        assert client.post(document()).ok
        url = f"{client.url}/_local/faults"
        assert client.http.get(url, headers={"Origin": found[1]}, timeout=30).ok
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert not Path(found[2]).exists()


def test_a_port_that_cannot_be_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == f"Cannot listen on port {port}: Address already in use\n"


@pytest.mark.parametrize(
    ("option", "value", "limits"),
    [
        ("--port", "65536", "0 to 65535"),
        ("--port", "http", "0 to 65535"),
        ("--token-life", "0", "1 to 1000000000"),
        ("--max-body-bytes", "-1", "1 to 1000000000"),
    ],
)
def test_a_wrong_number_is_refused(
    option: str, value: str, limits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([f"{option}={value}"])
    message = f"argument {option}: {value} is not a number from {limits}\n"
    assert capsys.readouterr().err.endswith(message)
