"""The command: options in, findings out."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import click

from shared.clients.credentials import CREDENTIALS
from shared.errors import ConfigurationError
from shared.resource_ids import validate_region
from tools.app_settings import (
    LOCAL_SETTINGS,
    RUN_SETTINGS,
    SettingsFile,
    read_app_settings,
    read_settings_file,
    settings_option,
)
from tools.console import Command, err, out, program, progress
from tools.doctor.fixes import Fixes, Home, Template

__all__ = ["doctor"]


def _validate(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    try:
        return None if text is None else validate_region(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command(
    cls=Command,
    short_help="Check everything from the settings to the metrics store.",
    epilog="""\b
Examples:
  {program} doctor
  {program} doctor --probe --resource-id "$RESOURCE_ID"
\b
An app in Azure, checked from a laptop as the user who is signed in:
  az functionapp config appsettings list --name $APP --resource-group $GROUP > app.json
  {program} doctor --settings app.json --credential azure_cli --app $APP --group $GROUP
""",
)
@settings_option
@click.option("--resource-id", metavar="ID", help="Publish to it; else METRICS_RESOURCE_ID.")
@click.option(
    "--region",
    metavar="NAME",
    callback=_validate,
    help="Its region; else METRICS_REGION, else looked up.",
)
@click.option(
    "--probe",
    is_flag=True,
    help="Publish one value of the namespace MetricRelayProbe, and read it back; takes up to three "
    "minutes.",
)
@click.option(
    "--credential",
    type=click.Choice(list(CREDENTIALS)),
    help="Use it in place of METRICS_CREDENTIAL and the identity of MetricsStorage.",
)
@click.option("--app", metavar="NAME", help="Name of the function app in Azure.")
@click.option("--group", metavar="NAME", help="Its resource group.")
@click.option(
    "--subscription",
    metavar="ID",
    help="Its subscription; else that of METRICS_RESOURCE_ID. With all three, check whether the "
    "app runs.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "sarif", "junit"]),
    default="text",
    show_default=True,
    help="How to print the findings.",
)
@click.pass_context
def doctor(
    context: click.Context,
    *,
    settings_file: SettingsFile | None,
    resource_id: str | None,
    region: str | None,
    probe: bool,
    credential: str | None,
    app: str | None,
    group: str | None,
    subscription: str | None,
    output_format: str,
) -> None:
    """Check settings, identity, queues, sources and metrics store, and print a fix for each fault.

    Changes nothing; only --probe publishes a value. Exits with 1 if a check failed, else with 0.
    """
    # The SDKs are slow to import.
    from tools.doctor.checks import CHECKS, run_checks
    from tools.doctor.context import Context
    from tools.doctor.findings import FORMATS, Status, show

    environ = read_app_settings(settings_file)
    own = environ.get("METRICS_RESOURCE_ID", "").split("/")
    subscription = subscription or (own[2] if len(own) > 2 else None)
    site = None
    if subscription and group and app:
        site = f"/subscriptions/{subscription}/resourceGroups/{group}"
        site += f"/providers/Microsoft.Web/sites/{app}"
    fixes = _fixes(context, settings_file, environ)
    # azure-identity reads the environment, which the Functions host makes of the settings.
    try:
        os.environ.update(environ)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"The environment cannot hold these settings: {exc}") from exc
    with progress() as bar:
        task = bar.add_task("", total=len(CHECKS))

        def report(text: str) -> None:
            bar.update(task, description=text)
            if not err.is_terminal:
                err.print(text)

        checked = Context(
            environ=environ,
            fixes=fixes,
            named_resource_id=resource_id,
            named_region=region,
            credential=credential,
            probe=probe,
            site=site,
            sleep=time.sleep,
            progress=report,
        )
        findings = run_checks(checked, lambda name: bar.update(task, description=name, advance=1))
    if output_format == "text":
        show(findings, out)
    else:
        click.echo(FORMATS[output_format](findings))
    context.exit(1 if any(finding.status is Status.FAILED for finding in findings) else 0)


def _fixes(context: click.Context, given: SettingsFile | None, environ: Mapping[str, str]) -> Fixes:
    file = given
    if file is None and LOCAL_SETTINGS.exists():
        file = read_settings_file(LOCAL_SETTINGS)
    home = Home.FILE if file and file.values else Home.SHELL
    if given and given.is_list:
        home = Home.APP
    elif given and given.path.absolute().parts[-2:] == RUN_SETTINGS.parts:
        home = Home.RUN
    return Fixes(
        home=home,
        file=str(file.path if file else LOCAL_SETTINGS),
        # A file of --settings comes before the shell, local.settings.json after it.
        shell_settings=frozenset(os.environ) - (given.values.keys() if given else set()),
        app=context.params["app"] or Template("$APP"),
        group=context.params["group"] or Template("$GROUP"),
        substituted=context.params["credential"] is not None,
        client_id=environ.get("AZURE_CLIENT_ID") or environ.get("MetricsStorage__clientId"),
        program=program(context),
        settings_options=("--settings", str(given.path)) if given else (),
    )
