"""The resource that metrics are published to: whether it may be, and its region."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from shared.app import build_regions
from shared.errors import RegionError
from shared.model import Target
from shared.resource_ids import is_in_scopes, parent_of, validate_region, validate_resource_id
from tools.doctor.context import Context, require
from tools.doctor.findings import Finding, SkippedError, failed, ok, skipped, warning
from tools.doctor.fixes import Template, quoted

__all__ = ["check_region", "check_resource"]

_NONE = "no resource: name one with --resource-id, or set METRICS_RESOURCE_ID"


def check_resource(context: Context) -> Iterator[Finding]:
    """Check the resource ID, and that METRICS_ALLOWED_SCOPES contains it."""
    settings = require(context.settings, "settings")
    given = context.options.resource_id or settings.resource_id
    if given is None:
        none = failed(_NONE, _list_resources("")) if context.options.probe else skipped(_NONE)
        yield none
        return
    try:
        resource_id = validate_resource_id(given)
    except ValueError as exc:
        yield failed(str(exc), _list_resources(given))
        return
    if not is_in_scopes(resource_id, settings.allowed_scopes):
        yield failed(
            f"{resource_id} is not in METRICS_ALLOWED_SCOPES: its points are dead-lettered as "
            "forbidden_scope",
            *context.fixes.allow(context.environ["METRICS_ALLOWED_SCOPES"], resource_id),
        )
        return
    context.resource_id = resource_id
    yield ok(resource_id)


def check_region(context: Context) -> Iterator[Finding]:
    """Compare the region in Azure Resource Manager with the one that the operator names."""
    require(context.settings, "settings")
    resource_id = require(context.resource_id, "resource")
    name, named = _named(context, resource_id)
    if context.claims is None:
        context.region = named
        note = f"; {name} says {named}" if named else ""
        raise SkippedError(f"not looked up: needs identity{note}")
    try:
        region = _look_up(context, resource_id)
    except RegionError as exc:
        fix = _fix(context, str(exc), resource_id)
        if named is None:
            yield failed(str(exc), *fix)
        else:
            context.region = named
            yield warning(f"{name} says {named}; it cannot be compared: {exc}", *fix)
        return
    if named is not None and named != region:
        fixes = context.fixes
        fix = ["# Leave --region out."] if name == "--region" else fixes.set(name, region)
        yield failed(f"the resource is in {region}, {name} says {named}", *fix)
        return
    context.region = region
    yield ok(f"{region}, from Azure Resource Manager" + (f" and {name}" if named else ""))


def _named(context: Context, resource_id: str) -> tuple[str, str | None]:
    """Return what names the region, and the region; METRICS_REGION is of METRICS_RESOURCE_ID."""
    if context.options.region:
        return "--region", validate_region(context.options.region)
    settings = require(context.settings, "settings")
    default = settings.resource_id
    if default and parent_of(default).resource_id == parent_of(resource_id).resource_id:
        return "METRICS_REGION", settings.region
    return "METRICS_REGION", None


def _look_up(context: Context, resource_id: str) -> str:
    """Look the region up as the app does. Raises RegionError."""
    settings = replace(require(context.settings, "settings"), region=None)
    regions = build_regions(settings, context.clients, context.timing)
    return asyncio.run(regions.resolve(Target("", resource_id))).region


def _fix(context: Context, text: str, resource_id: str) -> list[str]:
    fixes, group = context.fixes, parent_of(resource_id).group  # The group is what is listed.
    set_region = fixes.set("METRICS_REGION", Template("$REGION"))
    if "global" in text:
        return set_region
    if " 403" in text:
        fix = fixes.grant("Reader", context.claims, group)
    elif "ResourceGroupNotFound" in text or "is not among" in text:
        fix = [f"az resource show --ids {quoted(resource_id)} --query location"]
        fix += ["# If that shows it:", *fixes.grant("Reader", context.claims, group)]
    else:
        own = context.environ.get("METRICS_ARM_ENDPOINT")
        fix = fixes.unset("METRICS_ARM_ENDPOINT") if own else []
    # Comments: pasted without a region, it would replace one.
    name_it = [f"# {line.removeprefix('# ')}" for line in set_region]
    return [*fix, "# Or name the region in messages, or for METRICS_RESOURCE_ID:", *name_it]


def _list_resources(given: str) -> str:
    """Return a command that lists the resources of a subscription or group, or all."""
    parts = given.strip("/").split("/")
    where = ""
    if len(parts) >= 2 and parts[0].lower() == "subscriptions":
        where += f" --subscription {quoted(parts[1])}"
    if len(parts) >= 4 and parts[2].lower() == "resourcegroups":
        where += f" --resource-group {quoted(parts[3])}"
    return f'az resource list{where} --query "[].id" --output tsv'
