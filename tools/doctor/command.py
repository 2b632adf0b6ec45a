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
from tools.console import err, out, progress
from tools.doctor.fixes import Fixes, Home, Template

__all__ = ["doctor"]

# The app settings of a `make run`.
_RUN_SETTINGS = Path(".local", "run.settings.json")
# Not repeated when a fix calls the doctor again.
_NOT_REPEATED = ("credential", "output_format")


@click.command(
    short_help="Check everything from the settings to the metrics store.",
    epilog="""\b
Examples:
  python -m tools doctor
  python -m tools doctor --probe --resource-id "$RESOURCE_ID"
\b
An app in Azure, checked from a laptop as the user who is signed in:
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
@click.option("--resource-id", metavar="ID", help="Publish to it; else METRICS_RESOURCE_ID.")
@click.option("--region", metavar="NAME", help="Its region; else METRICS_REGION, else looked up.")
@click.option(
    "--probe",
    is_flag=True,
    help="Publish one value of the namespace MetricRelayProbe, and read it back; takes up to three "
    "minutes.",
)
@click.option(
    "--watch",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Count the dead letters twice, this long apart.",
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
    settings_file: Path | None,
    project: Path,
    resource_id: str | None,
    region: str | None,
    probe: bool,
    watch: float,
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
    from tools.doctor.context import Context, Options
    from tools.doctor.findings import Status
    from tools.doctor.formats import FORMATS, show

    environ = read_app_settings(settings_file)
    own = environ.get("METRICS_RESOURCE_ID", "").split("/")
    subscription = subscription or (own[2] if app and len(own) > 2 else None)
    names = (subscription, group, app)
    options = Options(
        project=project,
        resource_id=resource_id,
        region=_validated(region),
        credential=credential,
        probe=probe,
        watch=watch,
        site="/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Web/sites/{}".format(*names)
        if all(names)
        else None,
    )
    fixes = _fixes(context, settings_file, environ)
    # azure-identity reads the environment, as in the host, which makes it of the settings.
    with _exported(environ), progress() as bar:
        task = bar.add_task("", total=len(CHECKS))

        def report(text: str) -> None:
            bar.update(task, description=text)
            if not err.is_terminal:
                err.print(text)

        checked = Context(
            environ=environ, fixes=fixes, options=options, sleep=time.sleep, progress=report
        )
        findings = run_checks(checked, lambda name: bar.update(task, description=name, advance=1))
    if output_format == "text":
        show(findings, out)
    else:
        click.echo(FORMATS[output_format](findings))
    context.exit(1 if any(finding.status is Status.FAILED for finding in findings) else 0)


def _fixes(context: click.Context, file: Path | None, environ: Mapping[str, str]) -> Fixes:
    given = context.params
    in_file = read_app_settings(file, {}) if file or LOCAL_SETTINGS.exists() else {}
    home = Home.FILE if in_file else Home.SHELL
    listed = file is not None and file.read_text("utf-8-sig").lstrip().startswith("[")
    if listed or (not in_file and "WEBSITE_SITE_NAME" in environ):
        home = Home.APP
    elif file and file.absolute().parts[-2:] == _RUN_SETTINGS.parts:
        home = Home.RUN
    return Fixes(
        home=home,
        file=str(file or LOCAL_SETTINGS),
        # A file of --settings comes before the shell, local.settings.json after it.
        shell_settings=frozenset()
        if home is Home.APP and not file
        else frozenset(os.environ) - (in_file.keys() if file else set()),
        app=given["app"] or environ.get("WEBSITE_SITE_NAME") or Template("$APP"),
        group=given["group"] or environ.get("WEBSITE_RESOURCE_GROUP") or Template("$GROUP"),
        substituted=given["credential"] is not None,
        client_id=environ.get("AZURE_CLIENT_ID") or environ.get("MetricsStorage__clientId"),
        program=context.find_root().info_name or "metric-relay",
        settings_options=("--settings", str(file)) if file else (),
        doctor_options=tuple(_repeated(context)),
    )


def _repeated(context: click.Context) -> Iterator[str]:
    """Yield the options of this call that a fix repeats."""
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _NOT_REPEATED:
            yield option.opts[0]
            if context.params[name] is not True:
                yield str(context.params[name])


def _validated(region: str | None) -> str | None:
    try:
        return None if region is None else validate_region(region)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--region") from exc


@contextmanager
def _exported(environ: Mapping[str, str]) -> Iterator[None]:
    """Make the settings the environment within the block."""
    before = dict(os.environ)
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
