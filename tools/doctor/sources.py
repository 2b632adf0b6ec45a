"""The sources: each is sampled once, as a tick of the timer would; nothing is published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from shared.clients.deadline import Deadline
from shared.clients.storage import account_client, open_queue_service, resolve_connection
from shared.resource_ids import is_in_scopes
from shared.settings import Settings
from shared.sources import Source
from shared.sources.sampler import Sample
from tools.doctor.commands import of_account, quoted
from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.patient import Patient, needed
from tools.doctor.storage import name_of, scope_of
from tools.doctor.storage_errors import firewall
from tools.wording import things

__all__ = ["check"]

# Seconds for a source; the app gives it 35.
_DEADLINE = 35.0
_MAX_SHOWN = 3  # Errors.
# What storage, or Azure Resource Manager, says to who lacks a role.
_NO_ROLE = re.compile(r"using this permission|\b403\b|AuthorizationFailed")
_FIREWALLED = re.compile(r"not authorized to perform this operation\.")


def check(patient: Patient) -> Iterator[Finding]:
    """Sample each source, and say what it found."""
    settings = needed(patient.settings, "settings")
    if not patient.sources:
        yield skipped("METRICS_SOURCES names none that can be opened")
        return
    entries: list[Any] = msgspec.json.decode(settings.sources.encode())
    for source in patient.sources:
        entry = entries[int(source.name.rpartition("[")[2].rstrip("]"))]
        if patient.account is None and entry.get("connection") == "MetricsStorage":
            yield skipped(f"{source.name}: not sampled: storage comes first")
            continue
        if patient.claims is None and _needs_identity(entry, settings):
            yield skipped(f"{source.name}: not sampled: identity comes first")
            continue
        yield _sampled(source, entry, settings, patient)


def _sampled(
    source: Source, entry: dict[str, object], settings: Settings, patient: Patient
) -> Finding:
    sample = Sample(source, patient.now())
    sample.take(Deadline(_DEADLINE))
    what = f"{source.name} ({entry['kind']})"
    resource_id = source.destination.target.resource_id
    points = things(sample.points, "point")
    if sample.errors:
        some = "; ".join(sample.errors[:_MAX_SHOWN])
        return failed(
            f"{what}: {points}, {things(sample.error_count, 'error')}: {some}",
            *_remedy(entry, " ".join(sample.errors), patient),
        )
    if not is_in_scopes(resource_id, settings.allowed_scopes):
        return failed(
            f"{what}: {resource_id} is outside METRICS_ALLOWED_SCOPES",
            "# If it may be written to:",
            patient.commands.set(
                "METRICS_ALLOWED_SCOPES",
                f"{patient.environ['METRICS_ALLOWED_SCOPES'].rstrip(', ')},{resource_id}",
            ),
        )
    if not sample.points:
        return warning(
            f"{what}: found nothing to measure; do its patterns match anything?",
            *_remedy(entry, "", patient),
        )
    minutes = sample.rollup.minutes.values()
    metrics = sorted({series.metric for group in minutes for series in group})
    return ok(f"{what}: {points}, of {', '.join(metrics)}")


def _needs_identity(entry: dict[str, object], settings: Settings) -> bool:
    connection = entry.get("connection")
    if isinstance(connection, str):
        return resolve_connection(settings.environ, connection).managed_identity
    return entry["kind"] in ("service_bus", "storage_queue") or "audience" in entry


def _remedy(entry: dict[str, object], errors: str, patient: Patient) -> list[str]:
    kind = entry["kind"]
    if _NO_ROLE.search(errors) and kind == "service_bus":
        namespace = str(entry.get("serviceBus") or entry["resourceId"])
        return patient.commands.grant("Reader", patient.claims, namespace)
    if kind == "storage_queue":
        name, options = _account(entry, patient)
        if _NO_ROLE.search(errors):
            reader = "Storage Queue Data Reader"
            return patient.commands.grant(reader, patient.claims, scope_of(name))
        if _FIREWALLED.search(errors):
            return firewall(name)
        return [
            "# The queues that there are:",
            f'az storage queue list {options} --query "[].name" --output tsv',
        ]
    if kind == "service_bus":
        namespace = str(entry.get("serviceBus") or entry["resourceId"])
        return [f"az resource show --ids {quoted(namespace)} --query properties.status"]
    return [f"curl -sS -o /dev/null -w '%{{http_code}}' {quoted(_origin(str(entry.get('url'))))}"]


def _account(entry: dict[str, object], patient: Patient) -> tuple[str, str]:
    """The name of the account that an entry samples, and how az signs in to it."""
    setting = entry.get("connection")
    if isinstance(setting, str):
        service = open_queue_service(patient.connection(setting))
    else:
        setting, service = "", account_client(str(entry["account"]), patient.context.credential())
    name = name_of(service)
    # Only a key, or a signature, is no identity.
    return name, of_account(name, setting, by_key=not hasattr(service.credential, "get_token"))


def _origin(url: str) -> str:
    """The address without its query, which may hold a key."""
    return url.partition("?")[0]
