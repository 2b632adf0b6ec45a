"""The app in Azure: whether it runs, has its functions, and when it last sampled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from shared.clients.http import Deadline
from shared.errors import SourceError
from shared.telemetry import NAMESPACE
from tools.doctor.context import Context, require
from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.fixes import quoted
from tools.doctor.host_json import FUNCTIONS
from tools.doctor.publishing import read_metric

__all__ = ["check_app"]

# Sources: "Web Apps - Get", "Web Apps - List Functions".
_API_VERSION = "2024-04-01"
_DEADLINE = 30.0  # Seconds.
# A metric shows after up to three minutes; sources may be sampled every hour.
_LATE, _SEARCHED = timedelta(minutes=15), timedelta(hours=2)


def check_app(context: Context) -> Iterator[Finding]:
    """Look at the app that --app, --group and --subscription name, in Azure Resource Manager."""
    site = context.options.site
    if site is None:
        yield skipped("not checked: --app, --group and --subscription name the app in Azure")
        return
    settings = require(context.settings, "settings")
    require(context.claims, "identity")
    base, version = f"{settings.arm_endpoint}{site}", f"api-version={_API_VERSION}"
    try:
        state: Any = context.arm.get(f"{base}?{version}", Deadline(_DEADLINE))
        functions = list(
            context.arm.arm_items(
                f"{base}/functions?{version}", list[dict[str, Any]], Deadline(_DEADLINE)
            )
        )
    except SourceError as exc:
        fixes, no_role = context.fixes, " 403 " in str(exc)
        yield failed(str(exc), *(fixes.grant("Reader", context.claims, site) if no_role else []))
        return
    findings = [*_state(context, state), *_functions(context, functions)]
    yield from findings or [ok(f"running, with {' and '.join(FUNCTIONS)}")]
    if context.sources:
        yield _last_sample(context, site)


def _state(context: Context, site: Any) -> Iterator[Finding]:
    try:
        state = str(site["properties"]["state"])
    except (LookupError, TypeError):
        state = "unknown"
    if state != "Running":
        yield failed(f"its state is {state}", f"az functionapp start {context.fixes.app_options}")


def _functions(context: Context, functions: list[dict[str, Any]]) -> Iterator[Finding]:
    """Report functions that are not indexed, or disabled."""
    disabled = {
        str(item.get("name")).rpartition("/")[2]: (item.get("properties") or {}).get("isDisabled")
        for item in functions
    }
    missing = [name for name in FUNCTIONS if name not in disabled]
    if missing:
        yield failed(
            f"{' and '.join(missing)} not found: the app was not published, its code does not "
            "load, or a setting of the trigger is missing",
            f"func azure functionapp publish {quoted(context.fixes.app)} --python",
        )
    for name in FUNCTIONS:
        if disabled.get(name):
            setting = f"AzureWebJobs.{name}.Disabled"
            yield failed(f"{name} is disabled", *context.fixes.unset(setting))


def _last_sample(context: Context, site: str) -> Finding:
    """Report when the timer last sampled, from the relay's metrics on itself."""
    now, fix = context.now(), context.fixes.read_log()
    try:
        values = read_metric(context, site, (NAMESPACE, "SampleDuration"), now - _SEARCHED, now)
    except SourceError as exc:
        return warning(f"the last sample is not known: {exc}")
    last = max((time for time, _ in values), default=None)
    if last is None:
        return warning(f"no sample is visible in the last {_SEARCHED}", *fix)
    late = now - datetime.fromisoformat(last) > _LATE
    return (warning if late else lambda text, *_: ok(text))(f"the last sample was at {last}", *fix)
