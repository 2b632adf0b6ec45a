"""What goes wrong with one message, one region or one queue does not stop the others."""

from __future__ import annotations

import gzip
import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from local.stack import Backend, run_app
from tests.integration.test_telemetry import Eventually

SITES = "/subscriptions/1/resourceGroups/g/providers/Microsoft.Web/sites"
HUNG, HEALTHY, MIXED, RUBBISH = 320, 100, 40, 40
# Resident memory of the host and the app, in MiB.
MAX_RESIDENT = 300


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve on a free port, which is yielded."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


class Store(_Handler):
    """Accepts points by their dimension; rejects the metric `bad`; never answers for `hung`."""

    accepted: ClassVar[Counter[str]]
    given_up: ClassVar[int]

    def do_POST(self) -> None:
        documents = [
            json.loads(line)["data"]["baseData"]
            for line in gzip.decompress(self.body()).splitlines()
        ]
        if self.path.startswith("/hung/"):
            self.connection.recv(1)  # Until the client closes the connection.
            Store.given_up += 1
            self.close_connection = True
        elif any(one["metric"] == "bad" for one in documents):
            self.answer(400, b'{"error": {"code": "BadRequest", "message": "no"}}')
        else:
            for one in documents:
                for series in one["series"] if one["metric"] == "good" else ():
                    Store.accepted[series["dimValues"][0]] += series["count"]
            self.answer(200, b"{}")


@pytest.fixture
def store() -> Iterator[str]:
    """The endpoint of a store, as METRICS_ENDPOINT takes it."""
    Store.accepted, Store.given_up = Counter(), 0
    with serve(Store) as port:
        yield f"http://127.0.0.1:{port}/{{region}}"


def message(resource: str, region: str, *points: tuple[str, int]) -> str:
    """Return a message of points, each with its metric and a number that tells it from others."""
    return json.dumps(
        {
            "resourceId": f"{SITES}/{resource}",
            "region": region,
            "points": [
                {"metric": metric, "value": 1, "dimensions": {"Number": str(number)}}
                for metric, number in points
            ],
        }
    )


def enqueue(backend: Backend, queue: str, messages: list[str]) -> None:
    client = backend.storage.create_queue(queue)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(client.send_message, messages))


@pytest.mark.slow
def test_a_region_that_hangs_holds_up_no_other(
    backend: Backend, queue: str, store: str, eventually: Eventually
) -> None:
    messages = [message(f"h{number}", "hung", ("hung", number)) for number in range(HUNG)]
    messages += [message("site", "healthy", ("good", number)) for number in range(HEALTHY)]
    random.Random(1).shuffle(messages)
    enqueue(backend, queue, messages)
    with run_app(backend, {"METRICS_ENDPOINT": store}, queue=queue):
        assert eventually(lambda: len(Store.accepted), HEALTHY.__eq__) == HEALTHY
        # Without a circuit breaker, requests to the region time out by the hundreds first.
        assert Store.given_up < HUNG / 8
    assert set(Store.accepted.values()) == {1}


@pytest.mark.slow
def test_points_count_once_while_the_dead_letter_queue_accepts_nothing(
    backend: Backend, queue: str, store: str, eventually: Eventually
) -> None:
    port = urlsplit(str(backend.storage.url)).port
    accepts = threading.Event()
    refused: list[str] = []

    class Proxy(_Handler):
        """In front of Azurite; refuses what goes into the dead-letter queue at first."""

        def do_GET(self) -> None:
            body = self.body()
            if self.command == "POST" and "-dead-letter/" in self.path and not accepts.is_set():
                refused.append(self.path)
                self.answer(503)
                return
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            kept = {"content-type", "x-ms-error-code", "x-ms-approximate-messages-count"}
            headers = {k: v for k, v in response.getheaders() if k.lower() in kept}
            self.answer(response.status, response.read(), headers)
            connection.close()

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    enqueue(
        backend,
        queue,
        [message("site", "healthy", ("good", number), ("bad", number)) for number in range(MIXED)],
    )
    backend.storage.create_queue(f"{queue}-dead-letter")
    ingress = backend.storage.get_queue_client(queue)
    with serve(Proxy) as proxy:
        connection = backend.azurite.connection_string.replace(f":{port}", f":{proxy}")
        settings = {
            "METRICS_ENDPOINT": store,
            "MetricsStorage": connection,
            # A message that failed would be shown again at once.
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
        }
        with run_app(backend, settings, queue=queue):
            assert eventually(lambda: len(Store.accepted), MIXED.__eq__) == MIXED
            eventually(lambda: len(refused), lambda count: count > 4 * MIXED)
            assert set(Store.accepted.values()) == {1}
            accepts.set()
            length = eventually(
                lambda: ingress.get_queue_properties().approximate_message_count, (0).__eq__
            )
            assert length == 0
    assert Store.accepted == {str(number): 1 for number in range(MIXED)}
    dead_letters = backend.storage.get_queue_client(f"{queue}-dead-letter")
    assert dead_letters.get_queue_properties().approximate_message_count == MIXED


@pytest.mark.slow
def test_rubbish_costs_little(
    backend: Backend, queue: str, store: str, eventually: Eventually
) -> None:
    rubbish = "[" + "5," * 32_000 + "5]"
    messages = [rubbish] * RUBBISH
    messages += [message("site", "healthy", ("good", number)) for number in range(HEALTHY)]
    random.Random(1).shuffle(messages)
    enqueue(backend, queue, messages)
    with run_app(backend, {"METRICS_ENDPOINT": store}, queue=queue) as host:
        assert eventually(lambda: len(Store.accepted), HEALTHY.__eq__) == HEALTHY
        ingress = backend.storage.get_queue_client(queue)
        length = eventually(
            lambda: ingress.get_queue_properties().approximate_message_count, (0).__eq__
        )
        assert length == 0
        status = Path(f"/proc/{host.pid}/status")
        if status.exists():  # On Linux.
            peak = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM:"))
            assert int(peak.split()[1]) / 1024 < MAX_RESIDENT
    dead_letters = backend.storage.get_queue_client(f"{queue}-dead-letter")
    assert dead_letters.get_queue_properties().approximate_message_count == RUBBISH
