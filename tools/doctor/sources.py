"""The sources: each is sampled once, as by the timer; nothing is published."""

from __future__ import annotations

import json
import re
from typing import Any

from shared.clients.http import Deadline
from shared.resource_ids import is_in_scopes
from shared.sources import Source
from shared.sources.sampler import DEADLINE, Sample
from shared.text import plural
from tools.doctor.context import CONNECTION, Context
from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.fixes import Principal, quoted, storage_id
from tools.doctor.storage import account_name, queue_names

__all__ = ["check_sources"]

_MAX_SHOWN = 3  # Errors.
# What storage, or Azure Resource Manager, says if a role is missing.
_NO_ROLE = re.compile(r"using this permission|\b403\b|AuthorizationFailed")


def check_sources(context: Context) -> list[Finding]:
    """Sample each source once."""
    settings = context.settings
    if not context.sources:
        return [skipped("METRICS_SOURCES has no valid source")]
    # json reads more than the sources do: a wrong entry must not hide the others.
    listed = list(enumerate(json.loads(settings.sources.lstrip("\ufeff \t\r\n"))))
    # A source without a name has its position; of two with one name, the first is the source.
    entries: dict[str, dict[str, Any]] = {
        str(entry.get("name") or f"METRICS_SOURCES[{index}]"): entry
        for index, entry in reversed(listed)
        if isinstance(entry, dict) and isinstance(entry.get("kind"), str)
    }
    return [_sample(context, source, entries[source.name]) for source in context.sources]


def _sample(context: Context, source: Source, entry: dict[str, Any]) -> Finding:
    what, connection = f"{source.name} ({entry['kind']})", entry.get("connection")
    if connection == CONNECTION and not context.has("storage_account"):
        return skipped(f"{what} needs the storage account")
    needs_identity = not connection and (entry["kind"] != "rest" or "audience" in entry)
    if needs_identity and not context.has("identity"):
        return skipped(f"{what} needs the identity")
    sample = Sample(source, context.now())
    sample.take(Deadline(DEADLINE))
    resource_id = source.destination.target.resource_id
    points = plural(sample.points, "point")
    if sample.errors:
        errors = "; ".join(sample.errors[:_MAX_SHOWN])
        text = f"{what} returns {points} and {plural(sample.error_count, 'error')}: {errors}"
        return failed(text, *_fix(context, source, entry, " ".join(sample.errors)))
    if not is_in_scopes(resource_id, context.settings.allowed_scopes):
        fix = context.fixes.allow(context.environ["METRICS_ALLOWED_SCOPES"], resource_id)
        return failed(f"{what}: {resource_id} is not in METRICS_ALLOWED_SCOPES", *fix)
    if not sample.points:
        return warning(f"{what} finds nothing to measure", *_fix(context, source, entry, ""))
    minutes = sample.rollup.minutes.values()
    metrics = sorted({series.metric for group in minutes for series in group})
    return ok(f"{what} returns {points} of {', '.join(metrics)}")


def _fix(context: Context, source: Any, entry: dict[str, Any], errors: str) -> list[str]:
    kind, fixes, no_role = entry["kind"], context.fixes, _NO_ROLE.search(errors)
    identity = context.identity if context.has("identity") else Principal()
    if kind == "storage_queue":
        name = account_name(source.service)
        if no_role:
            return fixes.grant("Storage Queue Data Reader", identity, storage_id(name))
        names = ", ".join(queue_names(source.service))
        return [f"# The queues of {name}: {names or 'none, or they cannot be listed'}"]
    if kind == "service_bus":
        namespace = str(entry.get("serviceBus") or entry["resourceId"])
        if no_role:
            return fixes.grant("Reader", identity, namespace)
        return [f"az resource show --ids {quoted(namespace)} --query properties.status"]
    url = str(entry.get("url")).partition("?")[0]  # A query may contain a key.
    return [f"curl -sS -o /dev/null -w '%{{http_code}}' {quoted(url)}"]
