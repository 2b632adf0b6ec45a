"""Check the app settings of the shell in which `make run` is started."""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
from collections.abc import Mapping

from local.functions.ncrontab import Schedule
from local.stack import INGRESS, ROOT, STORAGE

__all__ = ["MACHINE", "OWN", "RunError", "app_settings"]

# As the templates have it: what names no resource, and the relay's metrics on itself, go there.
OWN = {
    "METRICS_RESOURCE_ID": "/subscriptions/1/resourceGroups/metric-relay"
    "/providers/Microsoft.Web/sites/metric-relay",
    "METRICS_REGION": "westeurope",
}
APP_SETTINGS = {
    "METRICS_QUEUE",
    "METRICS_DEAD_LETTER_QUEUE",
    "METRICS_SOURCES",
    "METRICS_SAMPLE_SCHEDULE",
    "METRICS_RESOURCE_ID",
    "METRICS_REGION",
    "METRICS_NAMESPACE",
    "METRICS_ALLOWED_SCOPES",
    "METRICS_MAX_ACTIVE_SERIES",
    "METRICS_PAST_MINUTES",
    "METRICS_FUTURE_MINUTES",
    "METRICS_MAX_BODY_BYTES",
}
PASSED_ON = (
    "AzureFunctionsJobHost__",
    "AzureWebJobs.",  # AzureWebJobs.<function>.Disabled, or, as a shell can say it,
    "AzureWebJobs_",  # AzureWebJobs_<function>_Disabled.
    "AZURE_",
    "LOCAL_",
    "WEBSITE_",
    "REGION_NAME",
)
# Names that begin so say where Azure is, or what it accepts.
REPLACED = (
    "METRICS_ENDPOINT",
    "METRICS_ARM_ENDPOINT",
    "METRICS_AUDIENCE",
    "METRICS_CREDENTIAL",
    *STORAGE,
)
MACHINE = ("IDENTITY_", "MSI_")  # Set by Azure Cloud Shell and Azure Arc, not by a person.
# The app itself checks the values, in a process of its own.
CHECK = """
import os
from shared.errors import ConfigurationError
from shared.settings import Settings
try:
    Settings.from_env(os.environ)
except ConfigurationError as exc:
    raise SystemExit(str(exc))
"""


class RunError(Exception):
    """Say in one sentence, for the person at the shell, why the app cannot be run."""


def app_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the app settings of a shell, over the defaults of `make run`.

    Raises RunError for a setting that is unknown or that the stand-ins replace, or a wrong value.
    """
    found = dict(OWN)
    for name, text in environ.items():
        if name in APP_SETTINGS or name.startswith(PASSED_ON):
            found[name] = text
        elif name.startswith(REPLACED):
            raise RunError(f"{name} is set in this shell, but make run replaces Azure: unset it.")
        elif name.startswith("METRICS_"):
            near = difflib.get_close_matches(name, sorted(APP_SETTINGS), n=1)
            hint = f"did you mean {near[0]}?" if near else "unset it."
            raise RunError(f"{name} is not a setting of the app: {hint}")
    try:
        json.loads(found.get("METRICS_SOURCES") or "[]")
    except ValueError as exc:
        raise RunError(f"METRICS_SOURCES is not JSON: {exc}.") from exc
    if schedule := found.get("METRICS_SAMPLE_SCHEDULE"):
        try:
            Schedule(schedule)
        except ValueError as exc:
            raise RunError(f"METRICS_SAMPLE_SCHEDULE: {schedule}: {exc}.") from exc
    environment = {"METRICS_QUEUE": INGRESS, "MetricsStorage": "UseDevelopmentStorage=true"}
    kept = {name: environ[name] for name in ("PATH", "HOME") if name in environ}
    said = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=ROOT,
        env={**kept, **environment, **found},
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode:
        raise RunError(said.stderr.strip().splitlines()[-1])
    return found
