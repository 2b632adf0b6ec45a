"""Who may ask: programs and the emulator's own page, not other sites that a browser has open."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from .client import AUDIENCE, HEADER, TIMEOUT, Client, error


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "https://"]
)
@pytest.mark.parametrize("path", ["_local/faults", "_local/documents", "westeurope/x/metrics"])
def test_another_site_cannot_post(client: Client, origin: str, path: str) -> None:
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    url = f"{client.url}/{path}"
    response = client.http.post(url, data='{"status":500}', headers=headers, timeout=TIMEOUT)
    assert error(response) == (403, "Forbidden")
    assert client.local("GET", "faults").json() == {"faults": []}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["", "_local/metrics", f"msi/token?resource={AUDIENCE}"])
def test_a_name_that_points_here_cannot_read(client: Client, host: str, path: str) -> None:
    headers = {"Host": host, "X-IDENTITY-HEADER": HEADER}
    response = client.http.get(f"{client.url}/{path}", headers=headers, timeout=TIMEOUT)
    assert error(response) == (403, "Forbidden")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_the_page_of_the_emulator_may(client: Client, name: str) -> None:
    host = f"{name}:{urlsplit(client.url).port}"
    headers = {"Host": host, "Origin": f"http://{host}"}
    url = f"{client.url}/_local/faults"
    response = client.http.post(url, data='{"latency":0.001}', headers=headers, timeout=TIMEOUT)
    assert response.status_code == 201
