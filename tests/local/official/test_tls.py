"""Microsoft's JavaScript clients, which send tokens over TLS only, reading from the emulator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from local import node

CLIENT = Path(__file__).parent / "javascript"
HEADER = "local-identity-header"
SITE = (
    "/subscriptions/7d1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop"
    "/providers/Microsoft.Web/sites/shop"
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[tuple[str, str]]:
    """The URL of an emulator that speaks TLS and holds one value, and the file of its CA."""
    command = [sys.executable, "-m", "local.monitor", "--tls"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            *_, url, _, _, _, _, authority = process.stdout.readline().split()
            with requests.Session() as http:
                http.trust_env = False  # REQUESTS_CA_BUNDLE would come first.
                http.verify = authority
                _publish(http, url)
            yield url, authority
        finally:
            process.terminate()


def _publish(http: requests.Session, url: str) -> None:
    token = http.get(
        f"{url}/msi/token",
        params={"api-version": "2019-08-01", "resource": "https://monitoring.azure.com/"},
        headers={"X-IDENTITY-HEADER": HEADER},
        timeout=30,
    ).json()["access_token"]
    series = [{"dimValues": ["NL"], "min": 3, "max": 20, "sum": 28, "count": 3}]
    base = {"metric": "Orders", "namespace": "Shop", "dimNames": ["Country"], "series": series}
    http.post(
        f"{url}/westeurope{SITE}/metrics",
        json={"time": datetime.now(UTC).isoformat(), "data": {"baseData": base}},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    ).raise_for_status()


def _environment(url: str, authority: str) -> dict[str, str]:
    identity = {"IDENTITY_ENDPOINT": f"{url}/msi/token", "IDENTITY_HEADER": HEADER}
    return {**os.environ, **identity, "NODE_EXTRA_CA_CERTS": authority}


@pytest.mark.slow
def test_javascript(emulator: tuple[str, str], tmp_path: Path) -> None:
    try:
        executable, npm = str(node.node()), node.npm()
    except LookupError as exc:
        pytest.skip(str(exc))
    for file in CLIENT.iterdir():
        shutil.copy(file, tmp_path)
    install = [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    installed = subprocess.run(
        install, cwd=tmp_path, env=node.environment(), capture_output=True, text=True
    )
    if installed.returncode:
        pytest.skip(f"npm cannot install the clients: {installed.stderr.strip()[-500:]}")
    ran = subprocess.run(
        [executable, "read_back.mjs", emulator[0], SITE],
        cwd=tmp_path,
        env=_environment(*emulator),
        capture_output=True,
        text=True,
    )
    assert not ran.returncode, ran.stderr
    assert json.loads(ran.stdout) == {"batch": {"NL": [28]}, "arm": 28, "definitions": ["Orders"]}
