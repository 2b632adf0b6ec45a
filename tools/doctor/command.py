"""The command: options in, findings out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from shared.clients.credentials import CREDENTIALS
from shared.resource_ids import validate_region
from tools.app_settings import LOCAL_SETTINGS, read_app_settings, settings_option
from tools.console import out, progress
from tools.doctor.commands import Commands, Home, Open

__all__ = ["doctor"]


@click.command(
    short_help="Say what is wrong, link by link, and what mends it.",
    epilog="""\b
Examples:
  python -m tools doctor
  python -m tools doctor --probe --resource-id "$RESOURCE_ID"
\b
An app in Azure, examined from a laptop, as whoever is signed in:
  az functionapp config appsettings list --name $APP --resource-group $GROUP > app.json
  python -m tools doctor --settings app.json --credential azure_cli --app $APP --group $GROUP
""",
)
@settings_option
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Folder with host.json; else this one.",
)
@click.option("--resource-id", metavar="ID", help="Of what to publish; else METRICS_RESOURCE_ID.")
@click.option(
    "--region", metavar="NAME", help="Where that is; else METRICS_REGION, else looked up."
)
@click.option("--probe", is_flag=True, help="Publish one value of the namespace MetricRelayProbe.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Look at the dead letters twice, so far apart, to see whether they become more.",
)
@click.option(
    "--credential",
    type=click.Choice(list(CREDENTIALS)),
    help="Look as somebody else than METRICS_CREDENTIAL and the identity of MetricsStorage.",
)
@click.option("--app", metavar="NAME", help="Name of the function app, for the commands shown.")
@click.option("--group", metavar="NAME", help="Its resource group, for the same.")
@click.option("--json", "in_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(
    context: click.Context,
    *,
    settings_file: Path | None,
    project: Path,
    resource_id: str | None,
    region: str | None,
    probe: bool,
    watch: float,
    credential: str | None,
    app: str | None,
    group: str | None,
    in_json: bool,
) -> None:
    """Say of each link of the chain what is right, what is wrong, and what mends it.

    From the settings over identity, queues and sources to the metrics store. Changes nothing;
    only --probe publishes something. Ends with 1 where a link failed, with 0 otherwise.
    """
    # The SDKs are slow to import.
    from tools.doctor.findings import Status
    from tools.doctor.patient import Options, Patient, utc_now
    from tools.doctor.report import as_json, show
    from tools.doctor.walk import CHECKS, walk

    environ = read_app_settings(settings_file)
    patient = Patient(
        environ=environ,
        options=Options(
            project=project,
            resource_id=resource_id,
            region=_checked(region),
            credential=credential,
            probe=probe,
            watch=watch,
        ),
        commands=_commands(settings_file, environ, app, group, context),
        now=utc_now,
        sleep=time.sleep,
    )
    # azure-identity reads the environment, which the host makes of the settings.
    with _exported(environ), progress() as bar:
        task = bar.add_task("", total=len(CHECKS))
        findings = walk(patient, lambda link: bar.update(task, description=link, advance=1))
    if in_json:
        click.echo(as_json(findings))
    else:
        show(findings, out)
    context.exit(1 if any(finding.status is Status.FAILED for finding in findings) else 0)


def _commands(
    file: Path | None,
    environ: Mapping[str, str],
    app: str | None,
    group: str | None,
    context: click.Context,
) -> Commands:
    name = app or environ.get("WEBSITE_SITE_NAME")
    if name or (file is not None and file.read_text("utf-8-sig").lstrip().startswith("[")):
        home = Home.DEPLOYED
    elif file is not None or LOCAL_SETTINGS.exists():
        home = Home.FILE
    else:
        home = Home.SHELL
    return Commands(
        home=home,
        app=name or Open("$APP"),
        group=group or environ.get("WEBSITE_RESOURCE_GROUP") or Open("$GROUP"),
        # Whichever of file and shell goes first: those whose value is the shell's.
        of_shell=frozenset(name for name, text in os.environ.items() if environ.get(name) == text),
        stands_in=context.params["credential"] is not None,
        client_id=environ.get("AZURE_CLIENT_ID") or environ.get("MetricsStorage__clientId"),
        settings_options=() if file is None else ("--settings", str(file)),
        doctor_options=tuple(_given(context)),
    )


def _given(context: click.Context) -> Iterator[str]:
    """The options that this call had, but those that another call has of its own."""
    for option in context.command.params:
        name = option.name or ""
        if name in ("credential", "in_json"):
            continue
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            yield option.opts[0]
            if context.params[name] is not True:
                yield str(context.params[name])


def _checked(region: str | None) -> str | None:
    try:
        return None if region is None else validate_region(region)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--region") from exc


@contextmanager
def _exported(environ: Mapping[str, str]) -> Iterator[None]:
    """The settings as the environment, for so long."""
    before = dict(os.environ)
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
