"""A client written by hand: HTTP and JSON, nothing of the relay and nothing of the emulator."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import requests

__all__ = [
    "ARM_AUDIENCE",
    "AUDIENCE",
    "GROUP",
    "HEADER",
    "QUEUE_ACCOUNT",
    "REGION",
    "SUBSCRIPTION",
    "Client",
    "document",
    "error",
    "iso",
    "series",
]

REGION = "westeurope"
SUBSCRIPTION = "/subscriptions/5b2f8c1d-1111-4222-8333-944455566677"
GROUP = f"{SUBSCRIPTION}/resourceGroups/orders"
QUEUE_ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/ordersqueues"
AUDIENCE = "https://monitoring.azure.com/"
ARM_AUDIENCE = "https://management.azure.com/"
HEADER = "local-identity-header"
TIMEOUT = 30


def iso(offset_seconds: float = 0, since: float | None = None) -> str:
    """Now, or another moment, plus an offset, as the seed writes a time."""
    began = time.time() if since is None else since
    moment = dt.datetime.fromtimestamp(began + offset_seconds, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def series(*dim_values: str, **values: Any) -> dict[str, Any]:
    """An entry of `series`; the seed's numbers unless others are given."""
    return {"dimValues": list(dim_values), "min": 3, "max": 20, "sum": 28, "count": 3, **values}


def document(*entries: dict[str, Any], time: str | None = None, **base: Any) -> dict[str, Any]:
    """The seed's document; `time` and members of baseData may be changed."""
    return {
        "time": time or iso(),
        "data": {
            "baseData": {
                "metric": "QueueDepth",
                "namespace": "QueueProcessing",
                "dimNames": ["QueueName", "MessageType"],
                "series": list(entries) or [series("ImagesToProcess", "JPEG")],
                **base,
            }
        },
    }


def error(response: requests.Response) -> tuple[int, str]:
    """Status and error code."""
    return response.status_code, response.json()["error"]["code"]


class Client:
    """Talks to one emulator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        # When the test began: what it publishes for one minute stays in it, though the next begins.
        self.began = time.time()
        self._token: str | None = None
        self._arm_token: str | None = None

    @property
    def token(self) -> str:
        """A token for the right audience, fetched once."""
        if self._token is None:
            self._token = self.fetch_token()
        return self._token

    @property
    def arm_token(self) -> str:
        """A token for Azure Resource Manager, fetched once."""
        if self._arm_token is None:
            self._arm_token = self.fetch_token(resource=ARM_AUDIENCE)
        return self._arm_token

    def arm(self, path: str, *, token: str | None = None, **headers: str) -> requests.Response:
        """GET from Azure Resource Manager: a path with its query, or the whole URL of a link."""
        return self.http.get(
            path if path.startswith("http") else self.url + path,
            headers={"Authorization": f"Bearer {token or self.arm_token}", **headers},
            timeout=TIMEOUT,
        )

    def identity(self, secret: str | None = HEADER, **query: str) -> requests.Response:
        """Ask the identity endpoint."""
        return self.http.get(
            f"{self.url}/msi/token",
            params={"api-version": "2019-08-01", "resource": AUDIENCE, **query},
            headers={} if secret is None else {"X-IDENTITY-HEADER": secret},
            timeout=TIMEOUT,
        )

    def fetch_token(self, **query: str) -> str:
        """A new token."""
        return str(self.identity(**query).json()["access_token"])

    def metrics_url(self, region: str = REGION, resource: str = QUEUE_ACCOUNT) -> str:
        """Where the metrics of a resource are posted to."""
        return f"{self.url}/{region}{resource}/metrics"

    def post(
        self,
        body: Any,
        *,
        region: str = REGION,
        resource: str = QUEUE_ACCOUNT,
        token: str | None = None,
        **headers: str,
    ) -> requests.Response:
        """Post a document, a list of them as NDJSON, or bytes; headers with _ for -."""
        content_type = "application/json"
        if isinstance(body, list):
            content_type = "application/x-ndjson"
            body = "\n".join(json.dumps(each) for each in body)
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(
            self.metrics_url(region, resource),
            data=body,
            headers={
                "Authorization": f"Bearer {token or self.token}",
                "Content-Type": content_type,
                **given,
            },
            timeout=TIMEOUT,
        )

    def local(self, method: str, path: str, content: Any = None, **query: Any) -> requests.Response:
        """A request under /_local."""
        return self.http.request(
            method, f"{self.url}/_local/{path}", json=content, params=query, timeout=TIMEOUT
        )

    def set(self, method: str, path: str, content: Any = None) -> None:
        """A change under /_local that has to succeed."""
        self.local(method, path, content).raise_for_status()

    def fault(self, **fault: Any) -> None:
        """Order a fault."""
        self.set("POST", "faults", fault)

    def values(self, **query: str) -> list[dict[str, Any]]:
        """What the emulator has stored."""
        answer: list[dict[str, Any]] = self.local("GET", "metrics", **query).json()["values"]
        return answer

    def requests(self, **query: Any) -> dict[str, Any]:
        """The log of requests and its totals."""
        answer: dict[str, Any] = self.local("GET", "requests", **query).json()
        return answer
