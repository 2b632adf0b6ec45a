"""The app settings: whether the app and its triggers start with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches

from cronsim import CronSim, CronSimError

from shared.clients.connections import MEMBERS
from shared.clients.storage import open_queue_service
from shared.errors import ConfigurationError, RelayError
from shared.settings import DEFAULTS, Settings
from shared.sources import load_sources
from shared.text import plural
from tools.app_settings import LOCAL_SETTINGS, RUN_SETTINGS
from tools.doctor.context import CONNECTION, Context
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.fixes import Home, Template
from tools.doctor.host_json import FUNCTIONS, parse_time_span
from tools.doctor.storage import use_identity
from tools.ingress import check_loopback

__all__ = ["KNOWN", "SCHEDULE", "check_settings", "last_tick"]

_DEVELOPMENT = "UseDevelopmentStorage=true"
SCHEDULE, _EVERY_MINUTE = "METRICS_SAMPLE_SCHEDULE", "0 * * * * *"
_REQUIRED_OR_NONE = ("QUEUE", "DEAD_LETTER_QUEUE", "SAMPLE_SCHEDULE", "RESOURCE_ID", "REGION")
_HOST = "AzureWebJobsStorage"
_HOST_ACCOUNT = re.compile(rf"(?i)(ConnectionStrings__)?{_HOST}((__|:)(accountName|\w*Uri))?")
# What cronsim knows and NCRONTAB does not: the last day, weekdays, other blanks, 7 for Sunday.
_NOT_NCRONTAB = re.compile(r"(?i)(?<!JU)L|W(?!ED)|#|[^\S ]|(?<!/)\b7\b[^ ]* *$")
# A test compares these with what the code reads.
KNOWN = {*DEFAULTS, *(f"METRICS_{name}" for name in (*_REQUIRED_OR_NONE, "ALLOWED_SCOPES"))}
_CONNECTIONS = re.compile(r'"connection"\s*:\s*"([^"]+)"')
# What replaces a wrong setting; other settings are removed.
_VALUES = {
    "METRICS_QUEUE": "metrics",
    SCHEDULE: _EVERY_MINUTE,
    "METRICS_RESOURCE_ID": Template("$RESOURCE_ID"),
    "METRICS_REGION": Template("$REGION"),
    # Never empty, even if the variables are: that would allow everything.
    "METRICS_ALLOWED_SCOPES": Template(
        "/subscriptions/$SUBSCRIPTION/resourceGroups/$GROUP_OF_RESOURCES"
    ),
}


def check_settings(context: Context) -> list[Finding]:
    """Report every wrong setting as the app would, wrong sources, and names that nothing reads."""
    environ, fixes = context.environ, context.fixes
    identity = environ.get("IDENTITY_ENDPOINT", "")
    if not any(name.startswith(("METRICS_", CONNECTION)) for name in environ):
        text = f"--settings, {LOCAL_SETTINGS} and the environment have no settings of the relay"
        fix = [
            "# For an app on this machine:",
            f"cp local.settings.sample.json {LOCAL_SETTINGS}",
            "# For an app in Azure:",
            f"az functionapp config appsettings list {fixes.app_options} > app.json",
            fixes.tool("doctor", "--settings", "app.json", "--credential", "azure_cli"),
        ]
        if RUN_SETTINGS.exists():
            fix = [fixes.tool("doctor", "--settings", str(RUN_SETTINGS))]
        return [failed(text, *fix)]
    if fixes.home is Home.RUN:
        try:
            check_loopback(identity)
        except RelayError:
            text = f"The make run that wrote {fixes.file} has ended: nothing listens at {identity}"
            return [failed(text, "# In another terminal:", "make run")]
    errors, misspelt = dict(_errors(environ)), dict(_misspelt(context))
    findings: list[Finding] = []
    unused = dict.fromkeys(misspelt.values())
    for name, text in (errors | _host_errors(environ)).items():
        if environ.get(name, "").startswith("@Microsoft.KeyVault("):
            replace_it = f"# In {fixes.file}, replace the reference by the value."
            findings.append(warning(f"Only the platform reads the key vault of {name}", replace_it))
        elif name in misspelt:
            similar = misspelt[name]
            unused.pop(similar, None)
            more = "" if name in environ else f"; {similar.message}"
            findings.append(failed(f"{text}{more}", *similar.fix))
        else:
            findings.append(failed(text, *_fix(context, name)))
    findings += unused
    if not errors:
        settings = Settings.from_env(environ)
        credential = context.credential or settings.credential
        context.settings = replace(settings, credential=credential)
        context.sources, errors_of_sources = load_sources(settings.sources, context.clients)
        see = "# docs/sources/README.md has the members of each kind."
        findings += [failed(error, see) for error in errors_of_sources]
    findings += _check_disabled(context)
    sources = plural(len(context.sources), "source")
    return findings or [ok(f"All settings are valid, with {sources}")]


def _host_errors(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with the settings that only the host reads, by name."""
    errors = {}
    if not any(text and _HOST_ACCOUNT.fullmatch(name) for name, text in environ.items()):
        use = "the host keeps the lease and the status of the timer there"
        errors[_HOST] = f"{_HOST} is not set, nor {_HOST}__accountName: {use}"
    schedule = environ.get(SCHEDULE, "")
    if not schedule.strip():
        errors[SCHEDULE] = f"{SCHEDULE} is not set: the host does not run sample_sources"
        return errors
    try:
        last_tick(schedule, datetime(2000, 1, 1, tzinfo=UTC))
    except ValueError as exc:
        expected = f"expected NCRONTAB, such as {_EVERY_MINUTE!r}"
        errors[SCHEDULE] = f"{SCHEDULE} is {schedule!r}: {exc}; {expected}"
    return errors


def last_tick(schedule: str, moment: datetime) -> datetime:
    """Return when a schedule was last due before a moment. Raises ValueError."""
    if span := parse_time_span(schedule):  # The host takes one, too, and counts from its start.
        return moment - span
    if found := _NOT_NCRONTAB.search(schedule):
        raise ValueError(f"{found[0]!r} is not in NCRONTAB")
    try:
        ticks = CronSim(schedule, moment, reverse=True)
        # Given a day and a weekday, crontab fires on either, NCRONTAB where both agree.
        ticks.day_and = True
        return next(ticks)
    except (CronSimError, StopIteration) as exc:
        raise ValueError(str(exc) or "no date matches it") from exc


def _check_disabled(context: Context) -> list[Finding]:
    """Report functions that the host does not run."""
    return [
        failed(f"{key} is set: {function} does not run", *context.fixes.unset(key))
        for function in FUNCTIONS
        for key in (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled")
        if context.environ.get(key, "").strip().lower() in ("1", "true")
    ]


def _errors(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield name and error of each wrong setting, replacing one after the other."""
    corrected = dict(environ)
    names: set[str] = set()
    while True:
        try:
            open_queue_service(Settings.from_env(corrected).storage)
        except ConfigurationError as exc:
            name = str(exc).partition(" ")[0]
            if name in names:
                return
            yield name, str(exc)
            names.add(name)
            corrected.pop(name, None)
            corrected |= {"METRICS_QUEUE": "metrics"} if name == "METRICS_QUEUE" else {}
            corrected |= {CONNECTION: _DEVELOPMENT} if name == CONNECTION else {}
        else:
            return


def _fix(context: Context, name: str) -> list[str]:
    """Return the fix of a wrong setting."""
    fixes = context.fixes
    if name in (CONNECTION, _HOST) and fixes.home is Home.APP:
        other = _HOST if name == CONNECTION else CONNECTION
        account = context.environ.get(f"{other}__accountName") or Template("$STORAGE")
        return use_identity(account, context, name)
    if name in (CONNECTION, _HOST):
        lines = [f"# Azurite on this machine; for an account in Azure, set {name}__accountName:"]
        return [*lines, *fixes.set(name, _DEVELOPMENT)]
    if name in _VALUES:
        return fixes.set(name, _VALUES[name])
    return fixes.unset(name)


def _misspelt(context: Context) -> Iterator[tuple[str, Finding]]:
    """Yield each name that nothing reads, with its finding; and the setting that it should set.

    So that setting has one fix, even if it is required.
    """
    names = (*KNOWN, CONNECTION, *(f"{CONNECTION}__{member}" for member in MEMBERS))
    known = {_stem(name): name for name in names}
    # Sources may name other connections.
    connections = {*_CONNECTIONS.findall(context.environ.get("METRICS_SOURCES", ""))} - {CONNECTION}
    for name in sorted(context.environ):
        starts = name.upper()
        ours = starts.startswith("METRIC") and re.split("__|:", name)[0] not in connections
        if name in names or not ours:
            continue
        alike = get_close_matches(_stem(name), known, n=1, cutoff=0.8)
        text, fix = f"{name} is not a setting of Metric Relay", context.fixes.unset(name)
        if alike and context.environ.get(meant := known[alike[0]]):
            yield name, warning(f"{text}; {meant} is set, too", *fix)
        elif alike:
            set_it = context.fixes.set(meant, context.environ[name])
            finding = warning(f"{text}; did you mean {meant}?", *fix, *set_it)
            yield name, finding
            yield meant.partition("__")[0], finding
        elif starts.startswith(("METRICS_", CONNECTION.upper())):  # Else another program's.
            yield name, warning(text, *fix)


def _stem(name: str) -> str:
    """Return what tells settings apart: NAMESPACE for METRICS_NAMESPACE and METRIC_NAMESPACE."""
    return re.sub("^METRICS?_?", "", name.upper())
