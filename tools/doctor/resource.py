"""The resource that metrics are published of: whether it is one, may be, and where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from shared.app import build_regions
from shared.errors import RegionError
from shared.model import Target
from shared.resource_ids import is_in_scopes, parent_of, validate_region, validate_resource_id
from shared.settings import DEFAULTS, Settings
from tools.doctor.commands import Open, quoted
from tools.doctor.findings import Finding, SkippedError, failed, ok, skipped, warning
from tools.doctor.patient import Patient, needed

__all__ = ["check", "check_region"]

_NONE = "no resource to look at: name one with --resource-id, or set METRICS_RESOURCE_ID"


def check(patient: Patient) -> Iterator[Finding]:
    """Its ID, and whether METRICS_ALLOWED_SCOPES has it."""
    settings = needed(patient.settings, "settings")
    given = patient.options.resource_id or settings.resource_id
    if given is None:
        if patient.options.probe:
            yield failed(f"--probe: {_NONE}", _list_of(""))
        else:
            yield skipped(_NONE)
        return
    try:
        resource_id = validate_resource_id(given)
    except ValueError as exc:
        yield failed(str(exc), _list_of(given))
        return
    if not is_in_scopes(resource_id, settings.allowed_scopes):
        scopes = patient.environ.get("METRICS_ALLOWED_SCOPES", "").strip().rstrip(",")
        yield failed(
            f"{resource_id} is outside METRICS_ALLOWED_SCOPES ({scopes}): its points are "
            "dead-lettered as forbidden_scope",
            "# If it may be written to:",
            patient.commands.set("METRICS_ALLOWED_SCOPES", f"{scopes},{resource_id}"),
        )
        return
    patient.resource_id = resource_id
    yield ok(resource_id)


def check_region(patient: Patient) -> Iterator[Finding]:
    """Where Azure Resource Manager has it, against where the operator says it is."""
    settings = needed(patient.settings, "settings")
    resource_id = needed(patient.resource_id, "resource")
    name, named = _named(patient, settings, resource_id)
    if patient.claims is None:
        patient.region = named
        raise SkippedError(
            "not looked up: identity comes first"
            + (f"; {named}, says {name}, is taken for right" if named else "")
        )
    try:
        region = _look_up(patient, settings, resource_id)
    except RegionError as exc:
        remedy = _remedy(str(exc), patient, resource_id)
        if named is None:
            yield failed(str(exc), *remedy)
        else:
            patient.region = named
            yield warning(f"{named}, says {name}; that cannot be compared: {exc}", *remedy)
        return
    if named is not None and named != region:
        mend = "# Leave --region out." if name == "--region" else patient.commands.set(name, region)
        yield failed(f"the resource is in {region}, {name} says {named}", mend)
        return
    patient.region = region
    yield ok(f"{region}, as Azure Resource Manager has it" + (f" and {name}" if named else ""))


def _named(patient: Patient, settings: Settings, resource_id: str) -> tuple[str, str | None]:
    """What names the region, and which: METRICS_REGION is that of METRICS_RESOURCE_ID."""
    if patient.options.region:
        return "--region", validate_region(patient.options.region)
    default = settings.resource_id
    if default and parent_of(default).resource_id == parent_of(resource_id).resource_id:
        return "METRICS_REGION", settings.region
    return "METRICS_REGION", None


def _look_up(patient: Patient, settings: Settings, resource_id: str) -> str:
    """As the app does it for a resource whose region nobody names. Raises RegionError."""
    regions = build_regions(replace(settings, region=None), patient.context, patient.timing)
    return asyncio.run(regions.resolve(Target("", resource_id))).region


def _remedy(text: str, patient: Patient, resource_id: str) -> list[str]:
    # Of the group, since that is what is listed.
    commands, scope = patient.commands, parent_of(resource_id).group
    name = commands.set("METRICS_REGION", Open("$REGION"))
    # A comment: pasted without a region it would take away one that is there.
    name_it = [f"# Or name the region, in messages or of METRICS_RESOURCE_ID: {name}"]
    if "AuthorizationFailed" in text or " 403" in text:
        return [*commands.grant("Reader", patient.claims, scope), *name_it]
    if "global" in text:
        return [name]
    if "ResourceGroupNotFound" in text or "is not among" in text:
        return [
            f"az resource show --ids {quoted(resource_id)} --query location",
            "# If that shows it, the identity lacks Reader:",
            *commands.grant("Reader", patient.claims, scope),
            *name_it,
        ]
    own = (patient.environ.get("METRICS_ARM_ENDPOINT") or "").rstrip("/")
    if own and own != DEFAULTS["METRICS_ARM_ENDPOINT"]:
        return [commands.unset("METRICS_ARM_ENDPOINT"), *name_it]
    return name_it


def _list_of(given: str) -> str:
    """A command that lists resource IDs, of the subscription or group that was given."""
    parts = given.strip("/").split("/")
    where = ""
    if len(parts) >= 2 and parts[0].lower() == "subscriptions":
        where += f" --subscription {quoted(parts[1])}"
    if len(parts) >= 4 and parts[2].lower() == "resourcegroups":
        where += f" --resource-group {quoted(parts[3])}"
    return f'az resource list{where} --query "[].id" --output tsv'
