"""The metrics store: whether it answers, accepts a value, and shows it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests

from shared.clients.http import Deadline, NoAuth
from shared.errors import SourceError
from shared.model import Rollup, Series, Target
from shared.publisher.client import AzureMonitorStore
from shared.publisher.responses import Action, Response, classify
from tools.doctor.context import Context
from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.fixes import NETWORK, Template, quoted

__all__ = ["READ_DEADLINE", "check_endpoint", "check_publish", "check_visible", "read_metric"]

NAMESPACE, METRIC = "MetricRelayProbe", "Probe"
# Seconds: to connect, and to answer.
_TIMEOUT = (5.0, 10.0)
# Source: "Metrics - List". The first version that is generally available.
_METRICS_API_VERSION = "2018-01-01"
# Seconds. Source: "Custom metrics": a new metric appears after up to three minutes.
_VISIBLE_WITHIN = 180
_POLL_INTERVAL = 10
READ_DEADLINE = 30.0
_TIME_SYNC = (
    "# Set the clock. Linux with systemd (on Windows: w32tm /resync):",
    "sudo timedatectl set-ntp true",
)
_REGIONS = "https://learn.microsoft.com/azure/azure-monitor/metrics/metrics-custom-overview"


def check_endpoint(context: Context) -> list[Finding]:
    """Connect to the ingestion endpoint of the region, without a token."""
    endpoint, own = context.settings.endpoint, "METRICS_ENDPOINT"
    url = endpoint.replace("{region}", context.region)
    try:
        context.clients.session.get(
            url, auth=NoAuth(), timeout=_TIMEOUT, allow_redirects=False, stream=True
        ).close()
    except requests.RequestException as exc:
        fix = context.fixes.unset(own) if own in context.environ else []
        fix += [f"# Check that the region has custom metrics: {_REGIONS}", NETWORK]
        return [failed(f"{url} cannot be reached: {type(exc).__name__}: {exc}", *fix)]
    context.endpoint = endpoint
    return [ok(f"{url} answers")]


def check_publish(context: Context) -> list[Finding]:
    """With --probe, publish one value."""
    if not context.probe:
        return [skipped("--probe publishes one value")]
    store = AzureMonitorStore(
        endpoint=context.endpoint,
        max_body_bytes=context.settings.max_body_bytes,
        tokens=context.clients.tokens(context.audience),
        session=context.clients.session,
    )
    target, now = Target(context.region, context.resource), context.now()
    rollup = Rollup(target)
    rollup.add(now, Series(NAMESPACE, METRIC), 1.0)
    (body,) = store.encode(rollup.aggregate())
    response = store.post(target, body.data, store.token())
    if classify(response).action is not Action.PUBLISHED:
        return [_explain(response, context)]
    context.published_value = now
    return [ok(f"Azure Monitor accepted a value of {NAMESPACE}/{METRIC} for {context.resource}")]


def check_visible(context: Context) -> list[Finding]:
    """Read the published value back, as long as the store may take to show it."""
    minute = context.published_value.replace(second=0, microsecond=0)
    resource_id = context.resource
    end, name = minute + timedelta(minutes=1), (NAMESPACE, METRIC)
    error = ""
    for waited in range(0, _VISIBLE_WITHIN + 1, _POLL_INTERVAL):
        if waited:
            context.progress(f"visible: waited {waited} of {_VISIBLE_WITHIN} s")
            context.sleep(_POLL_INTERVAL)
        try:
            if read_metric(context, resource_id, name, minute, end):
                return [ok(f"Azure Monitor shows {NAMESPACE}/{METRIC} after {waited} s")]
            error = ""
        except SourceError as exc:
            error = f": {exc}"
            # The service answers 400 or 404 until it knows the namespace.
            if not re.search(r": (?:400|404|429|5\d\d)\b", error):
                denied = re.search(r": 40[13]\b", error)
                grant = context.fixes.grant("Monitoring Reader", context.identity, resource_id)
                text = f"accepted, but the value cannot be read{error}"
                return [warning(text, *(grant if denied else []))]
    text = f"accepted, but not visible: {resource_id} shows no value of {NAMESPACE}/{METRIC} after "
    text += f"{_VISIBLE_WITHIN // 60} minutes{error}"
    fix = "# Azure Monitor may be late; try again in some minutes."
    if "/microsoft.storage/storageaccounts/" in resource_id.lower():
        text += "; Azure Monitor may drop custom metrics of storage accounts without an error"
        fix = "# Publish to another resource, such as the app, with the account as a dimension."
    return [failed(text, fix)]


def read_metric(
    context: Context, resource_id: str, name: tuple[str, str], start: datetime, end: datetime
) -> list[tuple[str, float]]:
    """Return time and count of each minute that has values. Raises SourceError."""
    query = {
        "api-version": _METRICS_API_VERSION,
        "metricnamespace": name[0],
        "metricnames": name[1],
        "aggregation": "count",
        "interval": "PT1M",
        "timespan": f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
    }
    text = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    path = f"{resource_id}/providers/Microsoft.Insights/metrics?{text}"
    document: Any = context.arm.get(
        f"{context.settings.arm_endpoint}{path}", Deadline(READ_DEADLINE)
    )
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


def _explain(response: Response, context: Context) -> Finding:
    """Return the finding for a response that does not accept the value."""
    fixes, resource_id, identity = context.fixes, context.resource, context.identity
    found = classify(response)
    if found.action is Action.RETRY:
        text = f"{response}: Azure Monitor is busy or does not answer; the app retries"
        return warning(text, "# Try again in a minute; see https://azure.status.microsoft.")
    if found.action is Action.OTHER_REGION:
        text = "the resource is in another region, or its region has no custom metrics"
        fix = fixes.set("METRICS_REGION", found.region or Template("$REGION"))
        if context.named_region:
            fix = [f"# Leave --region out, or name {found.region or 'another'}."]
        return failed(f"{response}: {text} ({_REGIONS})", *fix)
    if found.action is Action.DROP_EXPIRED:
        text = "the clocks of this machine and of Azure Monitor differ"
        return failed(f"{response}: {text}", *_TIME_SYNC)
    if response.status == 403:
        role = "Monitoring Metrics Publisher"
        text = f"{role} is missing, or was assigned minutes ago; Owner does not include it"
        return failed(f"{response}: {text}", *fixes.grant(role, identity, resource_id))
    if response.status == 401:
        text = f"the token is of tenant {identity.tenant}; that of the resource may differ"
        show = f"az account show --subscription {quoted(resource_id.split('/')[2])}"
        return failed(f"{response}: {text}", f"{show} --query tenantId --output tsv")
    show = f"az resource show --ids {quoted(resource_id)} --query location"
    return failed(f"{response}: Azure Monitor rejects the value", show)
