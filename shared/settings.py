"""The app settings, read once into one frozen object.

Their names are a contract; the defaults stand in `DEFAULTS` and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from shared.clients.credentials import CREDENTIALS
from shared.clients.storage import Connection, resolve_connection
from shared.errors import ConfigurationError
from shared.model import MAX_NAME_LENGTH, Lane, Window
from shared.pipeline.fence import Fence
from shared.resource_ids import checked_region, checked_resource_id

__all__ = ["DEFAULTS", "Settings"]

# What is used where a setting is missing or empty; a setting that is not here has to be set
# or does nothing while it is missing.
DEFAULTS: Mapping[str, str] = {
    "METRICS_SOURCES": "[]",
    "METRICS_NAMESPACE": "QueueProcessing",
    "METRICS_ENDPOINT": "https://{region}.monitoring.azure.com",
    "METRICS_AUDIENCE": "https://monitoring.azure.com/",
    "METRICS_ARM_ENDPOINT": "https://management.azure.com",
    "METRICS_CREDENTIAL": "managed_identity",
    "METRICS_PAST_MINUTES": "20",
    "METRICS_FUTURE_MINUTES": "4",
    "METRICS_MAX_BODY_BYTES": "1000000",
    "METRICS_MAX_ACTIVE_SERIES": "50000",
}

# How Azure Functions lets an app setting replace the visibilityTimeout of host.json, and the
# value that is there.
_VISIBILITY_TIMEOUT = "AzureFunctionsJobHost__extensions__queues__visibilityTimeout"
_VISIBILITY_DEFAULT = "00:00:30"

# A series of the ten longest names and values, all escaped, must fit a body by itself.
_LEAST_BODY_BYTES = 65_536
# Of memory: twenty times what Azure allows, for who was allowed more.
_MOST_ACTIVE_SERIES = 1_000_000
# Telegraf sends up to this; what the service does beyond is not documented.
_MOST_BODY_BYTES = 4_000_000
# Source: "Naming Queues and Metadata".
_QUEUE_NAME = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator decides."""

    queue: str
    dead_letter_queue: str
    storage: Connection
    sources: str
    resource_id: str | None
    region: str | None
    namespace: str
    endpoint: str  # A template: {region} stands for the region of a resource.
    audience: str
    arm_endpoint: str
    credential: str
    client_id: str | None
    fence: Fence
    window: Window
    max_body_bytes: int
    max_active_series: int  # Of a subscription and region.
    own: Lane | None  # The app's own resource, where what it measures of itself belongs.
    retry_delay: timedelta  # How long what could not be published now stays unseen.
    environ: Mapping[str, str] = field(repr=False)  # For connections; may hold secrets.

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the app settings. Raises ConfigurationError with name, value and what is expected.

        Whether METRICS_SOURCES holds good sources is for `shared.sources` to say, so that a bad
        one does not stop the others.
        """
        read = _Reader(environ)
        queue = read.checked("METRICS_QUEUE", _queue_name)

        def other_queue(text: str) -> str:
            if text == queue:  # A dead letter would be refused there, and again, for ever.
                raise ValueError("expected another queue than METRICS_QUEUE")
            return _queue_name(text)

        resource_id = read.optional("METRICS_RESOURCE_ID", checked_resource_id)
        region = read.optional("METRICS_REGION", checked_region)
        return cls(
            queue=queue,
            dead_letter_queue=read.checked(
                "METRICS_DEAD_LETTER_QUEUE", other_queue, f"{queue}-dead-letter"
            ),
            storage=resolve_connection(environ, "MetricsStorage"),
            sources=read.checked("METRICS_SOURCES", str),
            resource_id=resource_id,
            region=region,
            namespace=read.checked("METRICS_NAMESPACE", _namespace),
            endpoint=read.checked("METRICS_ENDPOINT", _endpoint),
            audience=read.checked("METRICS_AUDIENCE", str),
            arm_endpoint=read.checked("METRICS_ARM_ENDPOINT", _arm_endpoint),
            credential=read.checked("METRICS_CREDENTIAL", _credential),
            client_id=read.optional("AZURE_CLIENT_ID", str),
            fence=Fence.of(read.optional("METRICS_ALLOWED_SCOPES", _scopes) or ""),
            window=Window(
                timedelta(minutes=read.number("METRICS_PAST_MINUTES", 1, 30)),
                timedelta(minutes=read.number("METRICS_FUTURE_MINUTES", 0, 5)),
            ),
            max_body_bytes=read.number(
                "METRICS_MAX_BODY_BYTES", _LEAST_BODY_BYTES, _MOST_BODY_BYTES
            ),
            max_active_series=read.number("METRICS_MAX_ACTIVE_SERIES", 1, _MOST_ACTIVE_SERIES),
            own=_function_app(environ)
            or (Lane(region or "", resource_id) if resource_id else None),
            retry_delay=read.duration(_VISIBILITY_TIMEOUT, _VISIBILITY_DEFAULT),
            environ=environ,
        )

    @property
    def arm_audience(self) -> str:
        """The audience of tokens for ARM: its own address, or Azure's for a stand-in."""
        endpoint = self.arm_endpoint
        return f"{endpoint if endpoint.startswith('https:') else DEFAULTS['METRICS_ARM_ENDPOINT']}/"

    def connection(self, name: str) -> Connection:
        """The storage connection of that name. Raises ConfigurationError."""
        return resolve_connection(self.environ, name)


class _Reader:
    """Takes settings from the environment; its errors name setting, value and what is expected."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def optional(self, name: str, check: Callable[[str], str], default: str = "") -> str | None:
        text = self._environ.get(name, "").strip() or default or DEFAULTS.get(name, "")
        if not text:
            return None
        try:
            return check(text)
        except ValueError as exc:
            raise ConfigurationError(f"{name} is {text!r}: {exc}") from exc

    def checked(self, name: str, check: Callable[[str], str], default: str = "") -> str:
        value = self.optional(name, check, default)
        if value is None:
            raise ConfigurationError(f"{name} is not set")
        return value

    def number(self, name: str, least: int, most: int) -> int:
        def check(text: str) -> str:
            if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
                raise ValueError(f"expected a whole number from {least} to {most}")
            return text

        return int(self.checked(name, check))

    def duration(self, name: str, default: str) -> timedelta:
        text = self._environ.get(name, "").strip() or default
        match = re.fullmatch("([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])", text)
        if not match:
            raise ConfigurationError(f"{name} is {text!r}: expected hh:mm:ss")
        hours, minutes, seconds = map(int, match.groups())
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _function_app(environ: Mapping[str, str]) -> Lane | None:
    """The function app as the platform describes it; not every plan names its resource group.

    Source: "Environment variables and app settings in Azure App Service".
    """
    subscription = environ.get("WEBSITE_OWNER_NAME", "").partition("+")[0]
    group, site = environ.get("WEBSITE_RESOURCE_GROUP", ""), environ.get("WEBSITE_SITE_NAME", "")
    region = environ.get("REGION_NAME", "").replace(" ", "").lower()
    try:
        return Lane(
            checked_region(region),
            checked_resource_id(
                f"/subscriptions/{subscription}/resourceGroups/{group}"
                f"/providers/Microsoft.Web/sites/{site}"
            ),
        )
    except ValueError:
        return None


def _scopes(text: str) -> str:
    Fence.of(text)
    return text


def _queue_name(text: str) -> str:
    if not _QUEUE_NAME.fullmatch(text):
        raise ValueError(
            "expected a queue name: 3 to 63 lower-case letters, digits and single hyphens between"
        )
    return text


def _namespace(text: str) -> str:
    if len(text) > MAX_NAME_LENGTH:
        raise ValueError(f"{len(text)} characters, at most {MAX_NAME_LENGTH}")
    return text


def _endpoint(text: str) -> str:
    if "{region}" not in text:
        raise ValueError(f"expected a URL such as {DEFAULTS['METRICS_ENDPOINT']}")
    _check_address(text.replace("{region}", "region"), DEFAULTS["METRICS_ENDPOINT"])
    return text.rstrip("/")


def _arm_endpoint(text: str) -> str:
    _check_address(text, DEFAULTS["METRICS_ARM_ENDPOINT"])
    return text.rstrip("/")


def _check_address(text: str, example: str) -> None:
    """A bearer token goes there: over TLS, or to this machine."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as exc:
        raise ValueError(f"expected a URL such as {example}") from exc
    if re.search(r"[^!-~]|[?#@\\{}]", text) or port == 0 or not url.hostname:
        raise ValueError(f"expected a URL such as {example}")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        raise ValueError("expected https:// (http:// on the loopback interface only)")


def _credential(text: str) -> str:
    if text not in CREDENTIALS:
        raise ValueError(f"expected one of {', '.join(CREDENTIALS)}")
    return text
