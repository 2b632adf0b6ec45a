"""Checks in Azure Resource Manager: the resource that metrics go to, its region, and the app."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.app import build_regions
from shared.clients.http import Deadline
from shared.errors import RegionError, SourceError
from shared.model import Target
from shared.publisher.sender import Timing
from shared.resource_ids import is_in_scopes, parent_of, validate_resource_id
from shared.telemetry import NAMESPACE
from tools.doctor.context import Context
from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.fixes import quoted
from tools.doctor.host_json import FUNCTIONS
from tools.doctor.publishing import READ_DEADLINE, read_metric
from tools.doctor.settings import SCHEDULE, last_tick

__all__ = ["check_app", "check_region", "check_resource"]

LIST_RESOURCES = 'az resource list --query "[].id" --output tsv'
# Sources: "Web Apps - Get", "Web Apps - List Functions".
_API_VERSION = "2024-04-01"
# A metric shows after up to three minutes; how far before the last tick to look for a sample.
_LATE, _SEARCHED = timedelta(minutes=15), timedelta(hours=2)


def check_resource(context: Context) -> list[Finding]:
    """Check the resource ID, and that METRICS_ALLOWED_SCOPES contains it."""
    settings = context.settings
    given = context.named_resource_id or settings.resource_id
    if given is None:
        text = "Name a resource with --resource-id, or set METRICS_RESOURCE_ID"
        return [failed(text, LIST_RESOURCES) if context.probe else skipped(text)]
    try:
        resource_id = validate_resource_id(given)
    except ValueError as exc:
        return [failed(str(exc), LIST_RESOURCES)]
    if not is_in_scopes(resource_id, settings.allowed_scopes):
        text = f"{resource_id} is not in METRICS_ALLOWED_SCOPES: the app dead-letters its points"
        fix = context.fixes.allow(context.environ["METRICS_ALLOWED_SCOPES"], resource_id)
        return [failed(f"{text} as forbidden_scope", *fix)]
    context.resource = resource_id
    return [ok(resource_id)]


def check_region(context: Context) -> list[Finding]:
    """Compare the region in Azure Resource Manager with the one that the operator names."""
    settings, parent = context.settings, parent_of(context.resource)
    name, named = "--region", context.named_region
    if named is None:
        name = "METRICS_REGION"
        # It is the region of METRICS_RESOURCE_ID alone.
        if settings.resource_id and parent_of(settings.resource_id) == parent:
            named = settings.region
    identity, fixes = context.identity, context.fixes
    try:
        region = _look_up(context)
    except RegionError as exc:
        denied = "Reader on it" in str(exc) or " 403" in str(exc)
        # The app lists the group of the resource.
        fix = fixes.grant("Reader", identity, parent.group) if denied else []
        fix += ["# Messages may name the region, and METRICS_REGION that of METRICS_RESOURCE_ID."]
        if named is None:
            return [failed(str(exc), *fix)]
        context.region = named
        return [warning(f"{name} is {named}, which cannot be compared: {exc}", *fix)]
    if named not in (region, None):
        fix = ["# Leave --region out."]
        if name == "METRICS_REGION":
            fix = fixes.set(name, region)
        return [failed(f"The resource is in {region}, but {name} is {named}", *fix)]
    context.region = region
    return [ok(f"The resource is in {region}")]


def _look_up(context: Context) -> str:
    """Look the region up as the app does. Raises RegionError."""
    settings = replace(context.settings, region=None)
    regions = build_regions(settings, context.clients, Timing())
    return asyncio.run(regions.resolve(Target("", context.resource))).region


def check_app(context: Context) -> list[Finding]:
    """Look at the app that --app, --group and --subscription name."""
    site = context.site
    if site is None:
        return [skipped("--app, --group and --subscription name the app in Azure")]
    identity, base = context.identity, f"{context.settings.arm_endpoint}{site}"
    query, deadline = f"?api-version={_API_VERSION}", Deadline(READ_DEADLINE)
    try:
        app: Any = context.arm.get(f"{base}{query}", deadline)
        url = f"{base}/functions{query}"
        functions = list(context.arm.arm_items(url, list[dict[str, Any]], deadline))
    except SourceError as exc:
        fix = context.fixes.grant("Reader", identity, site) if " 403 " in str(exc) else []
        return [failed(str(exc), *fix)]
    findings = _check_functions(context, functions)
    state = (app.get("properties") or {}).get("state") if isinstance(app, dict) else None
    if state != "Running":
        start = f"az functionapp start {context.fixes.app_options}"
        findings.append(failed(f"The state of the app is {state or 'not known'}", start))
    findings = findings or [ok(f"The app runs, and has {' and '.join(FUNCTIONS)}")]
    return [*findings, _check_last_sample(context, site)] if context.sources else findings


def _check_functions(context: Context, functions: list[dict[str, Any]]) -> list[Finding]:
    """Report functions that are not indexed, or disabled."""
    disabled = {
        str(item.get("name")).rpartition("/")[2]: (item.get("properties") or {}).get("isDisabled")
        for item in functions
    }
    findings = []
    for name in FUNCTIONS:
        if name not in disabled:
            text = f"The app has no {name}: it was not published, its code does not load, or a "
            publish = f"func azure functionapp publish {quoted(context.fixes.app)} --python"
            findings.append(failed(f"{text}setting of the trigger is missing", publish))
        elif disabled[name]:
            fix = context.fixes.unset(f"AzureWebJobs.{name}.Disabled")
            findings.append(failed(f"{name} is disabled", *fix))
    return findings


def _check_last_sample(context: Context, site: str) -> Finding:
    """Report when the timer last sampled, from the relay's metrics on itself."""
    now, fix = context.now(), context.fixes.read_log()
    schedule = context.environ.get(SCHEDULE, "")
    every = min(source.destination.every for source in context.sources)
    try:
        due = last_tick(schedule, now - _LATE - every).replace(second=0, microsecond=0)
        start = due - _SEARCHED
        last = max(_sample_times(context, site, start, now), default=None)
        late = last is None or datetime.fromisoformat(last) < due
    except (SourceError, ValueError) as exc:
        return warning(f"The time of the last sample is not known: {exc}")
    if last is None:
        return warning(f"Azure Monitor shows no sample since {start:%Y-%m-%d %H:%M} UTC", *fix)
    text = f"The app last sampled at {last}"
    return warning(text, *fix) if late else ok(text)


def _sample_times(context: Context, site: str, start: datetime, end: datetime) -> list[str]:
    """Return the times of samples. Raises SourceError if nothing can be read."""
    # Flex Consumption does not tell an app its own resource ID; see docs/telemetry.md.
    owners = dict.fromkeys((site, context.settings.resource_id or site))
    times: list[str] = []
    errors: list[SourceError] = []
    for owner in owners:
        try:
            values = read_metric(context, owner, (NAMESPACE, "SampleDuration"), start, end)
        except SourceError as exc:
            errors.append(exc)
        else:
            times += [time for time, _ in values]
    if len(errors) == len(owners):
        raise errors[-1]
    return times
