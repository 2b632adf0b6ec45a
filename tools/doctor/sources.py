"""The sources: each is sampled once, as by the timer; nothing is published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
from azure.storage.queue import QueueServiceClient

from shared.clients.http import Deadline
from shared.clients.storage import account_client, open_queue_service
from shared.resource_ids import is_in_scopes
from shared.sources import Source
from shared.sources.sampler import DEADLINE, Sample
from shared.text import plural
from tools.doctor.context import Context, is_loopback, require
from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.fixes import quoted
from tools.doctor.settings import CONNECTION
from tools.doctor.storage import RETRY, account_id, account_name, firewall, queue_names

__all__ = ["check_sources"]

_MAX_SHOWN = 3  # Errors.
# What storage, or Azure Resource Manager, says if a role is missing.
_NO_ROLE = re.compile(r"using this permission|\b403\b|AuthorizationFailed")
_FIREWALL = re.compile(r"not authorized to perform this operation\.")

_Entry = dict[str, Any]


def check_sources(context: Context) -> Iterator[Finding]:
    """Sample each source once."""
    settings = require(context.settings, "settings")
    if not context.sources:
        yield skipped("no sources")
        return
    entries: list[Any] = msgspec.json.decode(settings.sources.encode())
    for source in context.sources:
        entry = _entry(source.name, entries)
        what = f"{source.name} ({entry['kind']})"
        if context.account is None and entry.get("connection") == CONNECTION:
            yield skipped(f"{what}: not sampled: needs storage")
        elif context.claims is None and _needs_identity(context, entry):
            yield skipped(f"{what}: not sampled: needs identity")
        elif url := _silent(context, entry):
            fix = context.fixes.start_azurite(urlsplit(url).port)
            yield failed(f"{what}: nothing listens at {urlsplit(url).netloc}", *fix)
        else:
            yield _sample(context, source, entry, what)


def _entry(name: str, entries: list[Any]) -> _Entry:
    """Return the entry of a source, which has its name or its position."""
    named = [one for one in entries if isinstance(one, dict) and one.get("name") == name]
    entry: _Entry = named[0] if named else entries[int(name.rpartition("[")[2].rstrip("]"))]
    return entry


def _sample(context: Context, source: Source, entry: _Entry, what: str) -> Finding:
    sample = Sample(source, context.now())
    sample.take(Deadline(DEADLINE))
    resource_id = source.destination.target.resource_id
    points = plural(sample.points, "point")
    if sample.errors:
        errors = "; ".join(sample.errors[:_MAX_SHOWN])
        fix = _fix(context, entry, " ".join(sample.errors))
        return failed(f"{what}: {points}, {plural(sample.error_count, 'error')}: {errors}", *fix)
    if not is_in_scopes(resource_id, require(context.settings, "settings").allowed_scopes):
        fix = context.fixes.allow(context.environ["METRICS_ALLOWED_SCOPES"], resource_id)
        return failed(f"{what}: {resource_id} is not in METRICS_ALLOWED_SCOPES", *fix)
    if not sample.points:
        fix = _fix(context, entry, "")
        return warning(f"{what}: nothing to measure; no name matches its patterns", *fix)
    minutes = sample.rollup.minutes.values()
    metrics = sorted({series.metric for group in minutes for series in group})
    return ok(f"{what}: {points} of {', '.join(metrics)}")


def _needs_identity(context: Context, entry: _Entry) -> bool:
    if isinstance(name := entry.get("connection"), str):
        return context.connection(name).managed_identity
    return entry["kind"] in ("service_bus", "storage_queue") or "audience" in entry


def _silent(context: Context, entry: _Entry) -> str:
    """Return the URL of storage on this machine that does not listen, without any retry."""
    url = _service(context, entry).url if "connection" in entry else ""
    return url if is_loopback(url) and not context.can_connect(url) else ""


def _service(context: Context, entry: _Entry) -> QueueServiceClient:
    """Return a client for the account of a storage_queue."""
    name = entry.get("connection")
    if isinstance(name, str):
        return open_queue_service(context.connection(name), RETRY)
    return account_client(str(entry["account"]), context.clients.credential(), RETRY)


def _fix(context: Context, entry: _Entry, errors: str) -> list[str]:
    kind, fixes, no_role = entry["kind"], context.fixes, _NO_ROLE.search(errors)
    if kind == "storage_queue":
        service = _service(context, entry)
        name = account_name(service)
        if no_role:
            return fixes.grant("Storage Queue Data Reader", context.claims, account_id(name))
        if _FIREWALL.search(errors):
            return firewall(name)
        names = queue_names(service)
        return [f"# The queues of {name}: {', '.join(names) or 'none, or they cannot be listed'}"]
    if kind == "service_bus":
        namespace = str(entry.get("serviceBus") or entry["resourceId"])
        if no_role:
            return fixes.grant("Reader", context.claims, namespace)
        return [f"az resource show --ids {quoted(namespace)} --query properties.status"]
    url = str(entry.get("url")).partition("?")[0]  # A query may contain a key.
    return [f"curl -sS -o /dev/null -w '%{{http_code}}' {quoted(url)}"]
