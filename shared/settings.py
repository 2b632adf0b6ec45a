"""The app settings, read once into one frozen object.

The names of the settings are a contract; the defaults are in `DEFAULTS` and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from shared.clients.credentials import CREDENTIALS
from shared.clients.http import validate_url
from shared.clients.storage import QUEUE_NAME, QUEUE_NAME_RULE, Connection, resolve_connection
from shared.errors import ConfigurationError
from shared.model import MAX_NAME_LENGTH, Target, TimeWindow
from shared.resource_ids import validate_region, validate_resource_id
from shared.text import masked, quoted

__all__ = ["DEFAULTS", "Settings"]

_T = TypeVar("_T")

# The values of settings that are missing or empty. A setting without a default is required, or
# has no effect while it is missing.
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

# The app setting that replaces the visibilityTimeout of host.json, and the value in host.json.
# Source: "App settings reference for Azure Functions".
_VISIBILITY_TIMEOUT = "AzureFunctionsJobHost__extensions__queues__visibilityTimeout"
_DEFAULT_VISIBILITY_TIMEOUT = "00:00:30"

# Hours of a .NET TimeSpan of the form hh:mm:ss; the host takes 24 and more for days.
MAX_HOURS = 23
# Bytes of a body. At least: a series of the ten longest names and values, all escaped. At most:
# what Telegraf sends; the limit of the service is not documented.
_MIN_BODY_BYTES, _MAX_BODY_BYTES = 65_536, 4_000_000
# Series of a subscription and region: 20 times the default quota of Azure; limits the memory.
_MAX_ACTIVE_SERIES = 1_000_000
# Minutes. Source: an error of the service names 30 back, the documentation 5 ahead.
_MAX_PAST_MINUTES, _MAX_FUTURE_MINUTES = 30, 5

_SCOPE = re.compile(r"/subscriptions/[^/\s]+(?:/[^/\s]+)*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The decisions of an operator."""

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
    allowed_scopes: tuple[str, ...]  # Lower-case prefixes that end in a slash; none allow all.
    time_window: TimeWindow
    max_body_bytes: int
    max_active_series: int  # Of a subscription and region.
    own_target: Target | None  # The resource that gets the relay's metrics on itself.
    retry_delay: timedelta  # The visibility timeout of what could not be published.
    environ: Mapping[str, str] = field(repr=False)  # For connections; may contain secrets.

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the app settings.

        Raises ConfigurationError with name, value and what is expected. `shared.sources` parses
        METRICS_SOURCES, so that an invalid source does not stop the others.
        """
        read = _Reader(environ)
        queue = read.required("METRICS_QUEUE", _parse_queue_name)
        visibility_timeout = next(filter(_is_visibility_timeout, environ), _VISIBILITY_TIMEOUT)

        def parse_dead_letter_queue(text: str) -> str:
            if text == queue:  # A dead letter would be dead-lettered again and again.
                raise ValueError("expected another queue than METRICS_QUEUE")
            if text == f"{queue}-poison":
                raise ValueError(
                    "expected another queue than the one in which the Functions host puts messages "
                    "that crash the function"
                )
            return _parse_queue_name(text)

        resource_id = read.optional("METRICS_RESOURCE_ID", validate_resource_id)
        region = read.optional("METRICS_REGION", validate_region)
        default_target = Target(region or "", resource_id) if resource_id else None
        return cls(
            queue=queue,
            dead_letter_queue=read.required(
                "METRICS_DEAD_LETTER_QUEUE", parse_dead_letter_queue, f"{queue}-dead-letter"
            ),
            storage=resolve_connection(environ, "MetricsStorage"),
            sources=read.required("METRICS_SOURCES", str),
            resource_id=resource_id,
            region=region,
            namespace=read.required("METRICS_NAMESPACE", _parse_namespace),
            endpoint=read.url("METRICS_ENDPOINT"),
            audience=read.required("METRICS_AUDIENCE", str),
            arm_endpoint=read.url("METRICS_ARM_ENDPOINT"),
            credential=read.required("METRICS_CREDENTIAL", _parse_credential),
            client_id=read.optional("AZURE_CLIENT_ID", str),
            allowed_scopes=read.optional("METRICS_ALLOWED_SCOPES", _parse_scopes) or (),
            time_window=TimeWindow(
                timedelta(minutes=read.number("METRICS_PAST_MINUTES", 1, _MAX_PAST_MINUTES)),
                timedelta(minutes=read.number("METRICS_FUTURE_MINUTES", 0, _MAX_FUTURE_MINUTES)),
            ),
            max_body_bytes=read.number("METRICS_MAX_BODY_BYTES", _MIN_BODY_BYTES, _MAX_BODY_BYTES),
            max_active_series=read.number("METRICS_MAX_ACTIVE_SERIES", 1, _MAX_ACTIVE_SERIES),
            own_target=_function_app(environ) or default_target,
            retry_delay=read.required(
                visibility_timeout, _parse_duration, _DEFAULT_VISIBILITY_TIMEOUT
            ),
            environ=environ,
        )

    @property
    def arm_audience(self) -> str:
        """The audience of tokens for Azure Resource Manager: its URL, or Azure's locally."""
        endpoint = self.arm_endpoint
        return f"{endpoint if endpoint.startswith('https:') else DEFAULTS['METRICS_ARM_ENDPOINT']}/"

    def connection(self, name: str) -> Connection:
        """Return the storage connection of that name. Raises ConfigurationError."""
        return resolve_connection(self.environ, name)


@dataclass(repr=False)
class _Reader:
    """Reads settings; its errors name setting, value and what is expected."""

    environ: Mapping[str, str]

    def optional(self, name: str, parse: Callable[[str], _T], default: str = "") -> _T | None:
        text = self.environ.get(name, "").strip() or default or DEFAULTS.get(name, "")
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as exc:
            expected = str(exc).replace(quoted(text), masked(text))
            raise ConfigurationError(f"{name} is {masked(text)}: {expected}") from exc

    def required(self, name: str, parse: Callable[[str], _T], default: str = "") -> _T:
        value = self.optional(name, parse, default)
        if value is None:
            raise ConfigurationError(f"{name} is not set")
        return value

    def number(self, name: str, minimum: int, maximum: int) -> int:
        def parse(text: str) -> int:
            if re.fullmatch("[0-9]{1,9}", text) and minimum <= int(text) <= maximum:
                return int(text)
            raise ValueError(f"expected a whole number from {minimum} to {maximum}")

        return self.required(name, parse)

    def url(self, name: str) -> str:
        """Return a URL that a path can be appended to, and that then gets a token."""
        example = DEFAULTS[name]

        def parse(text: str) -> str:
            url = text.replace("{region}", "region")
            misplaced = ("{region}" in text) != ("{region}" in example)
            if misplaced or re.search(r"[^!-~]|[?#@\\{}]", url):
                raise ValueError(f"expected a URL such as {example}")
            validate_url(url, example)
            return text.rstrip("/")

        return self.required(name, parse)


def _is_visibility_timeout(name: str) -> bool:
    """Return whether the host, which compares these names without case, reads the setting so."""
    return name.replace(":", "__").lower() == _VISIBILITY_TIMEOUT.lower()


def _function_app(environ: Mapping[str, str]) -> Target | None:
    """Return the function app as the platform describes it; some plans name no resource group.

    Source: "Environment variables and app settings in Azure App Service".
    """
    subscription = environ.get("WEBSITE_OWNER_NAME", "").partition("+")[0]
    group, site = environ.get("WEBSITE_RESOURCE_GROUP", ""), environ.get("WEBSITE_SITE_NAME", "")
    app = f"resourceGroups/{group}/providers/Microsoft.Web/sites/{site}"
    try:
        return Target(
            validate_region(environ.get("REGION_NAME", "")),
            validate_resource_id(f"/subscriptions/{subscription}/{app}"),
        )
    except ValueError:
        return None


def _parse_scopes(text: str) -> tuple[str, ...]:
    scopes = [scope.strip().rstrip("/") for scope in text.split(",") if scope.strip()]
    if not scopes:  # Commas alone were not meant to allow everything.
        raise ValueError("expected prefixes of resource IDs, separated by commas")
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise ValueError(
                f"{masked(scope)} is not a prefix of a resource ID, such as /subscriptions/… or "
                "/subscriptions/…/resourceGroups/…"
            )
    return tuple(f"{scope.lower()}/" for scope in scopes)


def _parse_queue_name(text: str) -> str:
    if not QUEUE_NAME.fullmatch(text):
        raise ValueError(f"expected a queue name: {QUEUE_NAME_RULE}")
    return text


def _parse_namespace(text: str) -> str:
    if len(text) > MAX_NAME_LENGTH:
        raise ValueError(f"{len(text)} characters, at most {MAX_NAME_LENGTH}")
    return text


def _parse_credential(text: str) -> str:
    if text not in CREDENTIALS:
        raise ValueError(f"expected one of {', '.join(CREDENTIALS)}")
    return text


def _parse_duration(text: str) -> timedelta:
    match = re.fullmatch("([0-9]{1,2}):([0-5][0-9]):([0-5][0-9])", text)
    if not match:
        raise ValueError("expected hh:mm:ss")
    hours, minutes, seconds = map(int, match.groups())
    if hours > MAX_HOURS:
        raise ValueError(
            f"expected at most {MAX_HOURS}:59:59; .NET takes {hours} for days, and a queue accepts "
            "a visibility timeout of 7 days at most"
        )
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
