"""The emulator as users start it: a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from .client import Client, document

ROOT = Path(__file__).parents[3]


def start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "local.monitor", *options]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_serves_and_stops(stop: signal.Signals) -> None:
    with start("--port", "0", "--strict", "--client-id", "known") as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"Azure Monitor emulator on (http://127\.0\.0\.1:\d+)\n", line)
            assert found
            client = Client(found[1])
            with client.http:
                assert client.identity(client_id="unknown").status_code == 400
                assert client.identity(client_id="known").ok
                assert client.post(document()).status_code == 404
                client.fault(latency=3600)
                with pytest.raises(requests.ReadTimeout):
                    client.http.post(client.metrics_url(), json={}, timeout=0.1)
                process.send_signal(stop)
                output, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, output) == (0, "")
    assert "Traceback" not in errors


def test_it_speaks_tls_when_asked() -> None:
    with start("--tls") as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(
                r"Azure Monitor emulator on (https://127\.0\.0\.1:\d+) with the CA in (\S+)\n", line
            )
            assert found
            client = Client(found[1])
            with client.http:
                with pytest.raises(requests.exceptions.SSLError):
                    client.post(document())
                client.http.trust_env = False  # REQUESTS_CA_BUNDLE would come first.
                client.http.verify = found[2]
                assert client.post(document()).ok
                origin = {"Origin": found[1]}
                url = f"{found[1]}/_local/faults"
                assert client.http.get(url, headers=origin, timeout=30).ok
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert not Path(found[2]).exists()


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("--port", str(port)) as process:
            output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert errors == f"Cannot listen on port {port}: Address already in use\n"


def test_a_port_that_is_none_is_said() -> None:
    with start("--port", "99999") as process:
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (2, "")
    assert errors.endswith("argument --port: 99999 is not a number from 0 to 65535\n")
