"""The app settings: whether the app and its triggers start with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches

from shared.clients.storage import open_queue_service, resolve_connection
from shared.errors import ConfigurationError
from shared.settings import DEFAULTS, Settings
from shared.sources import load_sources
from shared.text import plural
from tools.app_settings import LOCAL_SETTINGS
from tools.doctor.context import Context
from tools.doctor.dotnet import check_schedule
from tools.doctor.findings import Finding, SkippedError, failed, ok, warning
from tools.doctor.fixes import Home, Template
from tools.doctor.host_json import FUNCTIONS

__all__ = ["CONNECTION", "KNOWN", "check_settings", "check_triggers"]

CONNECTION = "MetricsStorage"
_DEVELOPMENT = "UseDevelopmentStorage=true"
_REQUIRED_OR_NONE = ("QUEUE", "DEAD_LETTER_QUEUE", "SAMPLE_SCHEDULE", "RESOURCE_ID", "REGION")
# A test compares these with what the code reads.
KNOWN = {*DEFAULTS, *(f"METRICS_{name}" for name in (*_REQUIRED_OR_NONE, "ALLOWED_SCOPES"))}
# Members of a connection that the relay reads, and what the host may read besides.
_MEMBERS = ("queueServiceUri", "serviceUri", "accountName", "credential", "clientId")
_HOST_MEMBERS = ("blobServiceUri", "tableServiceUri", "fileServiceUri", "managedIdentityResourceId")
# What the host looks for, in its order; it uses the first that exists. Source: Functions host.
_HOST_NAMES = (f"ConnectionStrings:{CONNECTION}", f"AzureWebJobs{CONNECTION}", CONNECTION)
_EVERY_MINUTE = "0 * * * * *"
# Replace a wrong setting, to find the next one; other settings are left out.
_PLACEHOLDERS = {
    "METRICS_QUEUE": "metrics",
    "METRICS_DEAD_LETTER_QUEUE": "metrics-dead-letter",
    CONNECTION: _DEVELOPMENT,
}


def check_settings(context: Context) -> Iterator[Finding]:
    """Report every wrong setting as the app would, wrong sources, and names that nothing reads."""
    environ, fixes = context.environ, context.fixes
    identity = environ.get("IDENTITY_ENDPOINT", "")
    if not _has_any(environ):
        yield failed(
            f"no settings: no --settings, no {LOCAL_SETTINGS} here, none in the environment",
            "# For an app on this machine:",
            f"cp local.settings.sample.json {LOCAL_SETTINGS}",
            "# For an app in Azure:",
            f"az functionapp config appsettings list {fixes.app_options} > app.json",
            fixes.tool("doctor", "--settings", "app.json", "--credential", "azure_cli"),
        )
        return
    if fixes.home is Home.RUN and identity and not context.can_connect(identity):
        text = f"{fixes.file} is of a make run that has ended: nothing listens at {identity}"
        yield failed(text, "# In another terminal:", "make run")
        return
    wrong = dict(_wrong(environ))
    if not wrong:
        settings = Settings.from_env(environ)
        try:
            open_queue_service(settings.storage)
        except ConfigurationError as exc:
            wrong = {CONNECTION: str(exc)}
        else:
            credential = context.options.credential or settings.credential
            context.settings = replace(settings, credential=credential)
    misspelt = dict(_misspelt(context))
    findings = [
        failed(text, *misspelt.pop(name).fix)
        if name in misspelt
        else _wrong_setting(context, name, text)
        for name, text in wrong.items()
    ]
    findings += [*misspelt.values(), *_two_connections(context), *_wrong_sources(context)]
    yield from findings or [ok(f"complete; {plural(len(context.sources), 'source')}")]


def check_triggers(context: Context) -> Iterator[Finding]:
    """Report what keeps the host from running the two functions."""
    environ, fixes = context.environ, context.fixes
    if not _has_any(environ):
        raise SkippedError("not checked: needs settings")
    findings = [*_schedule(context)]
    runtime = environ.get("FUNCTIONS_WORKER_RUNTIME", "").strip()
    if runtime not in ("", "python"):
        text = f"FUNCTIONS_WORKER_RUNTIME is {runtime!r}: expected python"
        findings.append(failed(text, *fixes.set("FUNCTIONS_WORKER_RUNTIME", "python")))
    own = "AzureWebJobsStorage"
    if not _keys(environ, own):
        text = f"{own} is not set, nor {own}__accountName: the host keeps the timer's state there"
        fix = fixes.set(own, _DEVELOPMENT)
        if fixes.home is Home.APP:
            fix = fixes.set(f"{own}__accountName", Template("$STORAGE"))
        findings.append(warning(text, *fix))
    for function in FUNCTIONS:
        for key in (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled"):
            if environ.get(key, "").strip().lower() in ("1", "true"):
                text = f"{key} is set: {function} does not run"
                findings.append(failed(text, *fixes.unset(key)))
    yield from findings or [ok(f"the timer runs at {environ['METRICS_SAMPLE_SCHEDULE']!r}")]


def _has_any(environ: Mapping[str, str]) -> bool:
    return any(name.startswith(("METRICS_", CONNECTION)) for name in environ)


def _wrong(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield name and error of each wrong setting, replacing one after the other."""
    corrected = dict(environ)
    seen: set[str] = set()
    while True:
        try:
            Settings.from_env(corrected)
        except ConfigurationError as exc:
            name = str(exc).partition(" ")[0]
            if name in seen:
                return
            yield name, str(exc)
            seen.add(name)
            corrected.pop(name, None)
            if name in _PLACEHOLDERS:
                corrected[name] = _PLACEHOLDERS[name]
        else:
            return


def _wrong_setting(context: Context, name: str, text: str) -> Finding:
    fixes, value = context.fixes, context.environ.get(name, "")
    local = fixes.home is not Home.APP
    if value.startswith("@Microsoft.KeyVault("):
        return warning(
            f"{name} is in a key vault, which only the platform reads",
            "# To use its value in this shell alone:",
            f'export {name}="$SECRET"',
        )
    match name:
        case "METRICS_QUEUE":
            fix = fixes.set(name, "metrics")
        case "MetricsStorage" if local:
            fix = ["# Azurite on this machine; for an account in Azure, set its __accountName:"]
            fix += fixes.set(name, _DEVELOPMENT)
        case "MetricsStorage":
            account = context.environ.get("AzureWebJobsStorage__accountName")
            fix = ["# With the identity of the app, without a key:"]
            fix += fixes.unset(name) if value else []
            fix += fixes.set(f"{name}__accountName", account or Template("$STORAGE"))
            fix += fixes.set(f"{name}__credential", "managedidentity")
        case "METRICS_RESOURCE_ID":
            fix = ["# The resources that exist:", 'az resource list --query "[].id" -o tsv']
            fix += fixes.set(name, Template("$RESOURCE_ID"))
        case "METRICS_REGION":
            fix = fixes.set(name, Template("$REGION"))
        case "METRICS_CREDENTIAL" if local:
            fix = fixes.set(name, "azure_cli")
        case "METRICS_ALLOWED_SCOPES":
            # Never empty, even if the variables are: that would allow everything.
            scope = Template("/subscriptions/$SUBSCRIPTION/resourceGroups/$GROUP_OF_RESOURCES")
            fix = fixes.set(name, scope)
        case _:
            fix = fixes.unset(name)
    return failed(text, *fix)


def _misspelt(context: Context) -> Iterator[tuple[str, Finding]]:
    """Yield each name that nothing reads, with its finding: what was meant has its default."""
    members = [f"{CONNECTION}__{member}" for member in _MEMBERS]
    others = [f"{CONNECTION}__{member}" for member in _HOST_MEMBERS]
    known = {_stem(name): name for name in (*KNOWN, CONNECTION, *members)}
    for name in sorted(context.environ):
        starts = name.upper()
        if name in (*known.values(), *others) or not starts.startswith("METRIC"):
            continue
        alike = get_close_matches(_stem(name), known, n=1, cutoff=0.8)
        text, fix = f"{name} is not a setting of Metric Relay", context.fixes.unset(name)
        if alike and context.environ.get(meant := known[alike[0]]):
            yield name, warning(f"{text}; {meant} is set, too", *fix)
        elif alike:
            set_it = context.fixes.set(meant, context.environ[name])
            yield name, warning(f"{text}; did you mean {meant}?", *fix, *set_it)
        elif starts.startswith(("METRICS_", CONNECTION.upper())):  # Else another program's.
            yield name, warning(text, *fix)


def _stem(name: str) -> str:
    """Return what tells settings apart: NAMESPACE for METRICS_NAMESPACE and METRIC_NAMESPACE."""
    return re.sub("^METRICS?_?", "", name.upper())


def _two_connections(context: Context) -> Iterator[Finding]:
    """Report that the host finds two connections, of which it uses the first."""
    found = {name: keys for name in _HOST_NAMES if (keys := _keys(context.environ, name))}
    if len(found) > 1:
        used, *unused = found
        accounts = [f"{name} ({_account(context.environ, name)})" for name in found]
        yield warning(
            f"{' and '.join(accounts)} are set: the Functions host uses {used} alone",
            f"# Keep one of them. To keep {used}:",
            *(line for name in unused for key in found[name] for line in context.fixes.unset(key)),
        )


def _account(environ: Mapping[str, str], name: str) -> str:
    """Return the host of the account that a connection names."""
    settings = {
        key.replace(name, CONNECTION).replace(name.replace(":", "__"), CONNECTION): environ[key]
        for key in _keys(environ, name)
    }
    with suppress(ConfigurationError):
        return open_queue_service(resolve_connection(settings, CONNECTION)).primary_hostname or "?"
    return "not valid"


def _keys(environ: Mapping[str, str], name: str) -> list[str]:
    """Return the settings of a connection, which is one string or several members."""
    names = (name, name.replace(":", "__"))
    starts = tuple(f"{one}__" for one in names)
    return [key for key in environ if environ[key] and (key in names or key.startswith(starts))]


def _wrong_sources(context: Context) -> Iterator[Finding]:
    if context.settings is not None:
        context.sources, errors = load_sources(context.settings.sources, context.clients)
        for error in errors:
            yield failed(error, "# docs/sources/README.md has the members of each kind.")


def _schedule(context: Context) -> Iterator[Finding]:
    name = "METRICS_SAMPLE_SCHEDULE"
    schedule, fix = context.environ.get(name, "").strip(), context.fixes.set(name, _EVERY_MINUTE)
    if not schedule:
        yield failed(f"{name} is not set: the host does not run sample_sources", *fix)
        return
    try:
        check_schedule(schedule)
    except ValueError as exc:
        expected = f"expected NCRONTAB, such as {_EVERY_MINUTE!r}"
        yield failed(f"{name} is {schedule!r}: {exc}; {expected}", *fix)
