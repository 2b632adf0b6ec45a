"""The metrics store: whether it answers, takes a value, and shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests

from shared.clients.http import Deadline, NoAuth
from shared.errors import SourceError
from shared.model import Rollup, Series, Target
from shared.publisher.client import AzureMonitorStore
from shared.publisher.responses import Action, Response, classify
from shared.text import plural
from tools.doctor.context import Context, proxy_note, require
from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.fixes import CERTIFICATE, TIME_SYNC, Template, quoted

__all__ = [
    "METRIC",
    "NAMESPACE",
    "check_clock",
    "check_endpoint",
    "check_publish",
    "check_visible",
    "read_metric",
]

NAMESPACE, METRIC = "MetricRelayProbe", "Probe"
# Seconds: to connect, and to answer.
_TIMEOUT = (5.0, 10.0)
# Source: "Metrics - List". The first version that is generally available.
_METRICS_API_VERSION = "2018-01-01"
# Seconds. Source: "Custom metrics": a new metric appears after up to three minutes.
VISIBLE_WITHIN = 180
_POLL_INTERVAL = 10
_READ_DEADLINE = 30.0
# Seconds; a Date has no fraction, and the answer takes some time too.
_MAX_SKEW = 60.0
_REGIONS = (
    "https://learn.microsoft.com/azure/azure-monitor/metrics/"
    "metrics-custom-overview#supported-regions"
)


def check_endpoint(context: Context) -> Iterator[Finding]:
    """Connect to the ingestion endpoint of the region, without a token."""
    settings = require(context.settings, "settings")
    url = settings.endpoint.replace("{region}", require(context.region, "region"))
    try:
        with context.clients.session.get(
            url, auth=NoAuth(), timeout=_TIMEOUT, allow_redirects=False, stream=True
        ) as response:
            context.note_date("the metrics store", response.headers.get("Date"))
    except requests.RequestException as exc:
        text = f"{url} cannot be reached{proxy_note(url)}: {type(exc).__name__}: {exc}"
        yield failed(text, *_unreachable(str(exc), context))
        return
    context.endpoint_answers = True
    yield ok(f"{url} answers{proxy_note(url)}")


def check_clock(context: Context) -> Iterator[Finding]:
    """Compare this machine's clock with those of the services that have answered."""
    settings = require(context.settings, "settings")
    clocks = list(context.clocks)
    issued = context.claims.issued if context.claims else None
    # A token from a cache is old; one from the future shows that this clock is behind.
    if issued is not None and issued > (now := context.now().timestamp()):
        clocks.append(("the identity", now - issued))
    if not clocks:
        yield skipped("no service has answered with its time")
        return
    service, ahead = max(clocks, key=lambda clock: abs(clock[1]))
    apart = timedelta(seconds=round(abs(ahead)))
    window = settings.time_window
    limit = window.future if ahead > 0 else window.past
    text = f"this machine is {apart} {'ahead of' if ahead > 0 else 'behind'} {service}"
    if apart > limit:
        yield failed(f"{text}: the store refuses its values (at most {limit})", *TIME_SYNC)
    elif apart.total_seconds() > _MAX_SKEW:
        yield warning(text, *TIME_SYNC)
    else:
        yield ok(f"this machine and {service} agree within {apart.seconds or 1} s")


def check_publish(context: Context) -> Iterator[Finding]:
    """With --probe, publish one value."""
    if not context.options.probe:
        yield skipped("not tried: --probe publishes one value")
        return
    settings = require(context.settings, "settings")
    resource_id = require(context.resource_id, "resource")
    require(context.audience_matches, "audience")
    require(context.endpoint_answers, "endpoint")
    target = Target(require(context.region, "region"), resource_id)
    now = context.now()
    try:
        before = _count(context, now)
    except SourceError:  # `visible` reports it.
        before = 0.0
    rollup = Rollup(target)
    rollup.add(now, Series(NAMESPACE, METRIC), 1.0)
    store = AzureMonitorStore(
        endpoint=settings.endpoint,
        max_body_bytes=settings.max_body_bytes,
        tokens=context.clients.tokens(settings.audience),
        session=context.clients.session,
    )
    (body,) = store.encode(rollup.aggregate())
    answer = store.post(target, body.data)
    if classify(answer).action is Action.PUBLISHED:
        context.probed = now, before
    yield _explain(answer, target, context)


def check_visible(context: Context) -> Iterator[Finding]:
    """Read the published value back, as long as the store may take to show it."""
    if not context.options.probe:
        yield skipped("not tried: --probe reads the value back")
        return
    resource_id = require(context.resource_id, "resource")
    time, before = require(context.probed, "publish")
    error = ""
    for waited in range(0, VISIBLE_WITHIN + 1, _POLL_INTERVAL):
        if waited:
            context.progress(f"visible: waited {waited} of {VISIBLE_WITHIN} s")
            context.sleep(_POLL_INTERVAL)
        try:
            if _count(context, time) > before:
                yield ok(f"{NAMESPACE}/{METRIC} was read back after {waited} s")
                return
            error = ""
        except SourceError as exc:
            error = f": {exc}"
            # The service answers 400 or 404 until it knows the namespace.
            if not re.search(r": (?:400|404|429|5\d\d)\b", error):
                fix: list[str] = []
                if re.search(r": 40[13]\b", error):
                    fix = context.fixes.grant("Monitoring Reader", context.claims, resource_id)
                yield warning(f"accepted, but it cannot be read{error}", *fix)
                return
    text = f"accepted, but not visible: {resource_id} shows no value of {NAMESPACE}/{METRIC} after "
    text += f"{plural(VISIBLE_WITHIN // 60, 'minute')}{error}"
    if "/microsoft.storage/storageaccounts/" in resource_id.lower():
        yield failed(
            f"{text}; for storage accounts, Azure Monitor may drop custom metrics without an error",
            "# Publish to another resource, such as the function app, with the account as a "
            "dimension.",
        )
    else:
        yield failed(text, "# Azure Monitor may be late; try again in some minutes.")


def read_metric(
    context: Context, resource_id: str, name: tuple[str, str], start: datetime, end: datetime
) -> list[tuple[str, float]]:
    """Return time and count of each minute that has values. Raises SourceError."""
    settings = require(context.settings, "settings")
    query = {
        "api-version": _METRICS_API_VERSION,
        "metricnamespace": name[0],
        "metricnames": name[1],
        "aggregation": "count",
        "interval": "PT1M",
        "timespan": f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
    }
    text = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    url = f"{settings.arm_endpoint}{resource_id}/providers/Microsoft.Insights/metrics?{text}"
    document: Any = context.arm.get(url, Deadline(_READ_DEADLINE))
    try:
        return [
            (str(point["timeStamp"]), float(point["count"]))
            for value in document["value"]
            for series in value["timeseries"]
            for point in series["data"]
            if point.get("count")
        ]
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        raise SourceError(f"the metrics API returned an unexpected answer: {exc!r}") from exc


def _count(context: Context, time: datetime) -> float:
    """Return the count of probes in the minute of a time. Raises SourceError."""
    minute = time.replace(second=0, microsecond=0)
    end = minute + timedelta(minutes=1)
    resource_id = require(context.resource_id, "resource")
    values = read_metric(context, resource_id, (NAMESPACE, METRIC), minute, end)
    return sum(count for _, count in values)


def _explain(answer: Response, target: Target, context: Context) -> Finding:
    """Return the finding for the answer to a published value."""
    fixes, action = context.fixes, classify(answer)
    match answer.status:
        case _ if action.action is Action.PUBLISHED:
            return ok(f"a value of {NAMESPACE}/{METRIC} was accepted for {target.resource_id}")
        case 401:
            tenant = context.claims.tenant if context.claims else ""
            subscription = quoted(target.resource_id.split("/")[2])
            return failed(
                f"{answer}: the token is of tenant {tenant or '?'}; is the resource in it?",
                f"az account show --subscription {subscription} --query tenantId --output tsv",
            )
        case 403:
            return failed(
                f"{answer}: Monitoring Metrics Publisher is missing, or was assigned minutes ago; "
                "Owner is not enough",
                *fixes.grant("Monitoring Metrics Publisher", context.claims, target.resource_id),
            )
        case 404:
            return failed(
                f"{answer}: the resource does not exist, or was created moments ago",
                f"az resource show --ids {quoted(target.resource_id)} --query location",
            )
        case _ if action.action is Action.OTHER_REGION:
            return failed(
                f"{answer}: the resource is in another region, or its region takes no custom "
                f"metrics ({_REGIONS})",
                *fixes.set("METRICS_REGION", action.region or Template("$REGION")),
            )
        case _ if action.action is Action.DROP_EXPIRED:
            return failed(f"{answer}: the clocks of this machine and the store differ", *TIME_SYNC)
        case _ if action.action is Action.RETRY:
            return warning(
                f"{answer}: the store is busy or does not answer; the app retries",
                "# Try again in a minute; https://azure.status.microsoft shows outages.",
            )
        case _:
            return failed(f"{answer}: the store refuses the value")


def _unreachable(text: str, context: Context) -> list[str]:
    own = context.environ.get("METRICS_ENDPOINT")
    lines = context.fixes.unset("METRICS_ENDPOINT") if own else []
    if "resolve" in text:
        return [*lines, f"# Is it a region with custom metrics? {_REGIONS}"]
    if "SSL" in text or "certificate" in text:
        return [
            *lines,
            *CERTIFICATE,
        ]
    return [*lines, "# A proxy is set by HTTPS_PROXY and NO_PROXY; a firewall must allow port 443."]
