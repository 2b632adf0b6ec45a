"""Azurite as a child: where messages stay, and identities instead of keys."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite

from .support import RunHost, eventually


def test_a_folder_keeps_messages_over_a_restart(tmp_path: Path) -> None:
    with (
        Azurite(folder=tmp_path) as azurite,
        QueueServiceClient.from_connection_string(azurite.connection_string) as service,
    ):
        port = azurite.port
        queue = service.create_queue("metrics")
        queue.send_message("kept")
        azurite.restart()
        assert azurite.port == port
        assert [message.content for message in queue.peek_messages()] == ["kept"]


def test_memory_forgets_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # An account of one's own in the environment does not change the well-known one.
    monkeypatch.setenv("AZURITE_ACCOUNTS", "mine:bWluZQ==")
    with (
        Azurite() as azurite,
        QueueServiceClient.from_connection_string(azurite.connection_string) as service,
    ):
        service.create_queue("metrics")
        azurite.restart()
        assert list(service.list_queues()) == []
    assert list(tmp_path.iterdir()) == []


class IdentityEndpoint(BaseHTTPRequestHandler):
    """What App Service answers a managed identity, with tokens that Azurite takes for real."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.asked.append((self.headers["X-IDENTITY-HEADER"], query))
        now = int(time.time())
        claims = {
            "iss": f"https://sts.windows.net/{uuid.uuid4()}/",
            "aud": query["resource"],
            "iat": now,
            "nbf": now - 60,
            "exp": now + 3600,
        }
        token = jwt.encode(claims, "k" * 32, algorithm="HS256")
        body = json.dumps(
            {
                "access_token": token,
                "expires_on": str(now + 3600),
                "resource": query["resource"],
                "token_type": "Bearer",
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def identity_endpoint() -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """The endpoint's URL, and the header and query of each request."""
    asked: list[tuple[str, dict[str, str]]] = []
    handler = type("Handler", (IdentityEndpoint,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/msi/token", asked
        finally:
            server.shutdown()
            thread.join()


def test_the_host_connects_with_a_managed_identity(
    run_host: RunHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Azurite(oauth=True) as azurite, identity_endpoint() as (url, asked):
        assert azurite.queue_endpoint.startswith("https://127.0.0.1:")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(azurite.certificate))
        del run_host.settings["STORAGE"]
        host = run_host(
            QUEUE="metrics",
            STORAGE__queueServiceUri=azurite.queue_endpoint,
            STORAGE__credential="managedidentity",
            STORAGE__clientId="an-identity",
            IDENTITY_ENDPOINT=url,
            IDENTITY_HEADER="a-secret",
            REQUESTS_CA_BUNDLE=str(azurite.certificate),
        )
        with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
            queue = service.create_queue("metrics")
            queue.send_message("hello")
            host.wait_for("ran hello ")
            eventually(lambda: not queue.get_queue_properties().approximate_message_count, "done")
        host.stop()
    assert azurite.certificate is not None
    assert not azurite.certificate.exists()
    assert len(asked) == 1
    header, query = asked[0]
    assert header == "a-secret"
    assert query["resource"] == "https://storage.azure.com"
    assert query["client_id"] == "an-identity"
