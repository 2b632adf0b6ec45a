"""`metric-relay send`: enqueue one point, or the points of a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, BinaryIO

import click
import msgspec

from shared.errors import RelayError, ValidationError
from shared.messages.schema import Points
from shared.messages.validation import Defaults
from tools.app_settings import SettingsFile, read_app_settings
from tools.console import Command, program, progress
from tools.ingress import find_queues, queue_options
from tools.send.reading import Entry, PointReader, read_entries, time_window
from tools.send.result import Result
from tools.send.sending import Sender
from tools.send.watching import Watcher
from tools.stopping import stoppable

__all__ = ["send"]

_EPILOG = """\b
Exit codes:
  0    all points were sent and, with --watch, published
  1    points are invalid, were not sent or, with --watch, were not published
  2    an option or argument is wrong
  130  stopped by Ctrl-C (143: by SIGTERM)

\b
Examples:
  {program} send --account https://NAME.queue.core.windows.net \\
      --metric QueueDepth --value 7 --dimension QueueName=images \\
      --resource-id /subscriptions/…/providers/Microsoft.Web/sites/shop-api
  {program} send points.jsonl --dry-run
  {program} send points.jsonl --watch
"""


def _dimensions(
    _: click.Context, param: click.Parameter, given: Iterable[str]
) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one!r}: expected NAME=VALUE", param=param)
        if name in pairs:
            raise click.BadParameter(f"{name!r} is given twice", param=param)
        pairs[name] = value
    return pairs or None


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("file", required=False, type=click.File("rb"))
@click.option("--metric", metavar="NAME", help="Send one point of this metric.")
@click.option("--value", type=float, metavar="NUMBER", help="Value of the point.")
@click.option(
    "--dimension",
    "dimensions",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_dimensions,
    help="Dimension of the point; up to ten.",
)
@click.option(
    "--time",
    metavar="TIME",
    help="Time of the point in ISO 8601; UTC without an offset.  [default: now]",
)
@click.option(
    "--resource-id",
    metavar="ID",
    help="Resource of points that name none.  [default: METRICS_RESOURCE_ID of the relay]",
)
@click.option(
    "--region",
    metavar="NAME",
    help="Region of points that name none.  [default: the relay looks it up]",
)
@click.option(
    "--namespace",
    metavar="NAME",
    help="Namespace of points that name none.  [default: METRICS_NAMESPACE of the relay]",
)
@click.option("--dry-run", is_flag=True, help="Check the points and send nothing.")
@click.option(
    "--watch",
    is_flag=True,
    help="Wait until the ingress queue is empty, and count new dead letters.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long --watch waits.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
@queue_options
def send(
    *,
    file: BinaryIO | None,
    metric: str | None,
    value: float | None,
    dimensions: dict[str, str] | None,
    time: str | None,
    resource_id: str | None,
    region: str | None,
    namespace: str | None,
    dry_run: bool,
    watch: bool,
    timeout: float,
    as_json: bool,
    settings_file: SettingsFile | None,
    connection: str,
    account: str | None,
    queue: str | None,
) -> None:
    """Enqueue points for the relay to publish.

    Either one point, given by --metric and --value, or the messages of FILE (- for standard
    input): one on each line, or one JSON document or array. Points are checked as the function
    checks them and rolled up by series and minute. Valid points are sent even if others are
    invalid; what was not sent is written to a file unsent-….jsonl.
    """
    entries = _entries(file, metric=metric, value=value, dimensions=dimensions, time=time)
    defaults = _defaults(resource_id, region, namespace)
    window = time_window(read_app_settings(settings_file))
    client = watcher = None
    if not dry_run:
        queues = find_queues(settings_file, connection, account, queue)
        client = queues.open(queues.ingress)
        watcher = Watcher(queues) if watch else None
    result = Result()
    text = "Stopping; what is not sent yet goes into a file. Press Ctrl-C again to stop at once."
    with stoppable(text) as stop, progress() as bar:
        show = partial(bar.update, bar.add_task("Points", total=None))
        keep_unsent = file is not None and not dry_run
        sender = Sender(client, result, stop, keep_unsent=keep_unsent)
        reader = PointReader(defaults, window, result, sender.keep)
        try:
            for entry in entries:
                if sender.has_ended:
                    sender.send([entry.body])  # Unchecked: it goes into the file.
                    continue
                reader.read(entry)
                if reader.is_full:
                    sender.send(reader.take_messages())
                    show(completed=result.valid_points)
            sender.send(reader.take_messages())
            if watcher and result.messages_sent and not stop.asked():
                show(description="Messages in the queue")
                result.watch = watcher.wait(timeout, stop, show)
        except KeyboardInterrupt:
            click.echo("Stopped at once; the rest was not read.", err=True)
        except RelayError as exc:
            result.add_error(str(exc))
        finally:
            sender.send(reader.take_messages())
            sender.close()
    click.echo(msgspec.json.encode(result) if as_json else result.text(dry_run=dry_run))
    for line in result.problems(program()):
        click.echo(line, err=True)
    sys.exit(stop.exit_code if stop.asked() else int(not result.is_good))


def _entries(file: BinaryIO | None, **point: Any) -> Iterator[Entry]:
    """Return what is to be sent. Raises UsageError."""
    if file is None:
        if point["metric"] is None or point["value"] is None:
            raise click.UsageError(
                "give FILE (- for standard input), or --metric and --value for one point"
            )
        # As JSON, so that it is checked like a file.
        return iter([Entry("", json.dumps({"points": [point]}).encode())])
    if any(given is not None for given in point.values()):
        raise click.UsageError("FILE has points of its own; leave out --metric and its options")
    return read_entries(file, getattr(file, "name", "<stdin>"))


def _defaults(resource_id: str | None, region: str | None, namespace: str | None) -> Defaults:
    """Return the address of points that name none. Raises UsageError.

    What is empty is left to the relay.
    """
    given = {"resourceId": resource_id, "region": region, "namespace": namespace, "points": [0]}
    try:
        named = msgspec.convert(given, Points[int])
        return Defaults("", "").override(named, named.namespace)
    except (msgspec.ValidationError, ValidationError) as exc:
        raise click.UsageError(str(exc)) from exc
