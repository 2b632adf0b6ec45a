"""The app settings: whether the app starts with them, and its triggers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches

from local.functions.ncrontab import Schedule
from shared.clients.storage import open_queue_service
from shared.errors import ConfigurationError
from shared.settings import DEFAULTS, Settings
from shared.sources import load_sources
from tools.app_settings import LOCAL_SETTINGS
from tools.doctor.commands import Commands, Home, Open
from tools.doctor.findings import Finding, SkippedError, failed, ok, warning
from tools.doctor.patient import Patient

__all__ = ["KNOWN", "check", "check_triggers"]

# Every setting that begins METRICS_; a test holds it to what the code reads.
KNOWN = frozenset(
    {
        *DEFAULTS,
        "METRICS_QUEUE",
        "METRICS_DEAD_LETTER_QUEUE",
        "METRICS_SAMPLE_SCHEDULE",
        "METRICS_RESOURCE_ID",
        "METRICS_REGION",
        "METRICS_ALLOWED_SCOPES",
    }
)
_EVERY_MINUTE = "0 * * * * *"
# What is put in the place of a wrong setting, to find the next one; without any it is left out.
_PLACEHOLDERS = {
    "METRICS_QUEUE": "metrics",
    "METRICS_DEAD_LETTER_QUEUE": "metrics-dead-letter",
    "MetricsStorage": "UseDevelopmentStorage=true",
}
_FUNCTIONS = ("drain_metrics", "sample_sources")


def check(patient: Patient) -> Iterator[Finding]:
    """Every setting that is wrong, as the app would say it; sources and misspelt names too."""
    if not _has_any(patient.environ):
        yield failed(
            f"there are none: no --settings, no {LOCAL_SETTINGS} here, nothing in the environment",
            "# For an app on this machine:",
            f"cp local.settings.sample.json {LOCAL_SETTINGS}",
            "# For an app in Azure:",
            f"az functionapp config appsettings list {patient.commands.of_app} > app.json",
            "python -m tools doctor --settings app.json --credential azure_cli",
        )
        return
    wrong = list(_wrong(patient.environ))
    for name, text in wrong:
        yield failed(text, *_remedy(name, patient))
    if not wrong:
        settings = Settings.from_env(patient.environ)
        try:
            open_queue_service(settings.storage)
        except ConfigurationError as exc:
            wrong.append(("MetricsStorage", str(exc)))
            yield _unopened(str(exc), patient)
        else:
            credential = patient.options.credential or settings.credential
            patient.settings = replace(settings, credential=credential)
    odd = list(_misspelt(patient))
    yield from odd
    if patient.settings is None:
        return
    patient.sources, problems = load_sources(patient.settings.sources, patient.context)
    for problem in problems:
        yield failed(
            problem,
            "# Its members, and an example of each kind, are in docs/sources/README.md; then:",
            "test -s sources.json && "
            + patient.commands.set("METRICS_SOURCES", Open("$(cat sources.json)")),
        )
    if not odd and not problems:
        yield ok(f"complete; {len(patient.sources)} sources")


def check_triggers(patient: Patient) -> Iterator[Finding]:
    """What the Functions host reads: the schedule, its own storage, functions that are off."""
    if not _has_any(patient.environ):
        raise SkippedError("not looked at: settings comes first")
    wrong = list(_wrong_triggers(patient.environ, patient.commands))
    yield from wrong
    if not wrong:
        yield ok(f"sampling by {patient.environ['METRICS_SAMPLE_SCHEDULE']!r}")


def _wrong(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name and complaint of each setting that is wrong, by mending one after the other."""
    mended = dict(environ)
    seen: set[str] = set()
    while True:
        try:
            Settings.from_env(mended)
        except ConfigurationError as exc:
            name = str(exc).partition(" ")[0]
            yield name, str(exc)
            if name in seen:
                return
            seen.add(name)
            mended.pop(name, None)
            if name in _PLACEHOLDERS:
                mended[name] = _PLACEHOLDERS[name]
        else:
            return


def _has_any(environ: Mapping[str, str]) -> bool:
    return any(name.startswith(("METRICS_", "MetricsStorage")) for name in environ)


def _unopened(text: str, patient: Patient) -> Finding:
    """MetricsStorage is no connection string, or only the platform knows which."""
    if not patient.environ.get("MetricsStorage", "").startswith("@Microsoft.KeyVault("):
        return failed(text, *_remedy("MetricsStorage", patient))
    return warning(
        "MetricsStorage is in a key vault, which only the platform looks into",
        "# To look from here, in this shell alone:",
        'export MetricsStorage="$(az storage account show-connection-string '
        '--name "$STORAGE" --query connectionString --output tsv)"',
    )


def _remedy(name: str, patient: Patient) -> list[str]:
    commands, value = patient.commands, patient.environ.get(name, "")
    match name:
        case "METRICS_QUEUE":
            return [commands.set(name, "metrics")]
        case "MetricsStorage" if commands.home is Home.DEPLOYED:
            account = patient.environ.get("AzureWebJobsStorage__accountName") or Open("$STORAGE")
            return [
                "# With the app's identity, without a key:",
                *([commands.unset(name)] if value else []),
                commands.set(f"{name}__accountName", account),
                commands.set(f"{name}__credential", "managedidentity"),
            ]
        case "MetricsStorage":
            return [
                "# Azurite on this machine; an account in Azure is MetricsStorage__accountName.",
                commands.set(name, "UseDevelopmentStorage=true"),
            ]
        case "METRICS_RESOURCE_ID":
            return [
                'az resource list --query "[].id" --output tsv',
                commands.set(name, Open("$RESOURCE_ID")),
            ]
        case "METRICS_REGION":
            return [commands.set(name, Open("$REGION"))]
        case "METRICS_CREDENTIAL" if commands.home is not Home.DEPLOYED:
            return [commands.set(name, "azure_cli")]
        case "METRICS_ALLOWED_SCOPES":
            # Never empty, not even by a variable that is: that would allow everything.
            scope = Open("/subscriptions/$SUBSCRIPTION/resourceGroups/$GROUP_OF_RESOURCES")
            return [commands.set(name, scope)]
        case _:
            return [commands.unset(name)]


def _misspelt(patient: Patient) -> Iterator[Finding]:
    """Names that nobody reads; what was meant is then at its default, in silence."""
    for name in sorted(patient.environ):
        if not name.upper().startswith("METRICS_") or name in KNOWN:
            continue
        alike = get_close_matches(name.upper(), KNOWN, n=1)
        meant = f"; is {alike[0]} meant?" if alike else ""
        remedy = [patient.commands.unset(name)]
        if alike:
            remedy.append(patient.commands.set(alike[0], patient.environ[name]))
        yield warning(f"{name} is no setting of Metric Relay{meant}", *remedy)


def _wrong_triggers(environ: Mapping[str, str], commands: Commands) -> Iterator[Finding]:
    name = "METRICS_SAMPLE_SCHEDULE"
    schedule = environ.get(name, "").strip()
    try:
        if not schedule:
            yield failed(
                f"{name} is not set: the host then starts neither function",
                commands.set(name, _EVERY_MINUTE),
            )
        else:
            Schedule(schedule)
    except ValueError as exc:
        yield failed(
            f"{name} is {schedule!r}: {exc}; expected NCRONTAB, such as {_EVERY_MINUTE}",
            commands.set(name, _EVERY_MINUTE),
        )
    runtime = environ.get("FUNCTIONS_WORKER_RUNTIME", "").strip()
    if runtime not in ("", "python"):
        yield failed(
            f"FUNCTIONS_WORKER_RUNTIME is {runtime!r}: expected python",
            commands.set("FUNCTIONS_WORKER_RUNTIME", "python"),
        )
    own = "AzureWebJobsStorage"
    if not any(key == own or key.startswith(f"{own}__") for key in environ if environ[key]):
        yield warning(
            f"{own} is not set, nor {own}__accountName: the host keeps there which instance "
            "of the app ticks the timer",
            commands.set(own, "UseDevelopmentStorage=true")
            if commands.home is not Home.DEPLOYED
            else commands.set(f"{own}__accountName", Open("$STORAGE")),
        )
    for function in _FUNCTIONS:
        for key in (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled"):
            if environ.get(key, "").strip().lower() in ("1", "true"):
                yield failed(f"{key} is set: {function} does not run", commands.unset(key))
