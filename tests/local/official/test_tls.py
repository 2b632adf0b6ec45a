"""Microsoft's JavaScript, Go and Java clients send tokens over TLS only, and read the emulator."""

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

CLIENTS = Path(__file__).parent
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
    trust = {"NODE_EXTRA_CA_CERTS": authority, "SSL_CERT_FILE": authority}
    return {**os.environ, **identity, **trust}


def _run(
    command: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_javascript(emulator: tuple[str, str], tmp_path: Path) -> None:
    try:
        executable, npm = str(node.node()), node.npm()
    except LookupError as exc:
        pytest.skip(str(exc))
    shutil.copytree(CLIENTS / "javascript", tmp_path, dirs_exist_ok=True)
    command = [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    installed = _run(command, tmp_path, node.environment())
    if installed.returncode:
        pytest.skip(f"npm cannot install the clients: {installed.stderr.strip()[-500:]}")
    ran = _run([executable, "read_back.mjs", emulator[0], SITE], tmp_path, _environment(*emulator))
    assert not ran.returncode, ran.stderr
    assert json.loads(ran.stdout) == {"batch": {"NL": [28]}, "arm": 28, "definitions": ["Orders"]}


@pytest.mark.slow
def test_go(emulator: tuple[str, str], tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not on PATH")
    shutil.copytree(CLIENTS / "go", tmp_path, dirs_exist_ok=True)
    built = _run([go, "build", "-o", "read_back", "."], tmp_path, dict(os.environ))
    if built.returncode:
        pytest.skip(f"go cannot build the client: {built.stderr.strip()[-500:]}")
    ran = _run([str(tmp_path / "read_back"), emulator[0], SITE], tmp_path, _environment(*emulator))
    assert not ran.returncode, ran.stderr
    assert json.loads(ran.stdout) == {"arm": {"NL": [28]}}


@pytest.mark.slow
def test_java(emulator: tuple[str, str], tmp_path: Path) -> None:
    maven, java = shutil.which("mvn"), shutil.which("java")
    if maven is None or java is None:
        pytest.skip("mvn and java are not on PATH")
    shutil.copytree(CLIENTS / "java", tmp_path, dirs_exist_ok=True)
    classpath, trust = tmp_path / "classpath.txt", tmp_path / "trust.p12"
    goal = ["dependency:build-classpath", f"-Dmdep.outputFile={classpath}"]
    resolved = _run([maven, "-B", "-q", *goal], tmp_path, dict(os.environ))
    if resolved.returncode:
        pytest.skip(f"mvn cannot find the client: {resolved.stdout.strip()[-500:]}")
    store = ["-keystore", str(trust), "-storepass", "password"]
    certificate = ["-importcert", "-noprompt", "-alias", "emulator", "-file", emulator[1]]
    imported = _run(["keytool", *certificate, *store], tmp_path, dict(os.environ))
    assert not imported.returncode, imported.stdout
    options = [f"-Djavax.net.ssl.trustStore={trust}", "-Djavax.net.ssl.trustStorePassword=password"]
    command = [java, *options, "-cp", classpath.read_text("utf-8"), "ReadBack.java"]
    ran = _run([*command, emulator[0], SITE], tmp_path, _environment(*emulator))
    assert not ran.returncode, ran.stderr
    assert json.loads(ran.stdout) == {"arm": {"NL": [28]}}
