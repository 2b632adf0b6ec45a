"""`metric-relay send`: enqueue one point, or the points of a file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from shared.messages.validation import Defaults
from shared.model import Rejection
from tools.app_settings import read_app_settings
from tools.console import Command, program, progress
from tools.ingress import check_queue, find_queues, queue_options
from tools.send.options import point_options, read_defaults, read_point
from tools.send.reading import Batch, Entry, Reader, read_entries, time_window
from tools.send.report import Report
from tools.send.sending import Sender, UnsentFile
from tools.send.watching import Watched, Watcher
from tools.stopping import stoppable
from tools.wording import printable

__all__ = ["send"]

_TIMEOUT = 300.0  # Seconds, of --watch.
_EACH = 1000  # Entries between two steps of the progress bar.

_EPILOG = """\b
Exit codes:
  0    all points were sent; with --watch: and none was dead-lettered
  1    points are invalid, were not sent or, with --watch, were not published
  2    the command was used in a wrong way
  130  stopped by Ctrl-C (143: by SIGTERM)

\b
Examples:
  {program} send --account https://NAME.queue.core.windows.net \\
      --metric QueueDepth --value 7 --dimension QueueName=images \\
      --resource-id /subscriptions/…/providers/Microsoft.Web/sites/shop-api
  {program} send points.jsonl --dry-run
  {program} send points.jsonl --watch
"""


@click.command(cls=Command, epilog=_EPILOG)
@click.argument("file", required=False, type=click.File("rb"))
@point_options
@click.option("--dry-run", is_flag=True, help="Check the points and send nothing.")
@click.option("--watch", is_flag=True, help="Wait until the ingress queue is empty.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Limit of --watch.  [default: 300]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
@queue_options
def send(  # noqa: PLR0917 (click passes them by name)
    file: BinaryIO | None,
    dry_run: bool,
    watch: bool,
    timeout: float | None,
    as_json: bool,
    settings_file: Path | None,
    connection: str,
    account: str | None,
    queue: str | None,
    **point: Any,
) -> None:
    """Enqueue points for the relay to publish.

    Either one point, given by --metric and the options after it, or the messages of FILE (- for
    standard input): one on each line, or one JSON document or array. Points are checked as the
    function checks them and rolled up by series and minute. Valid points are sent even if others
    are invalid; what was not sent is written to a file unsent-….jsonl.
    """
    entries, defaults = _given(file, point)
    if timeout is not None and not watch:
        raise click.UsageError("--timeout needs --watch")
    if dry_run and watch:
        raise click.UsageError("--watch does not go with --dry-run, which sends nothing")
    window = time_window(read_app_settings(settings_file))
    queues = None if dry_run else find_queues(settings_file, connection, account, queue)
    unsent = UnsentFile(enabled=file is not None and not dry_run)

    def reject(where: str, rejection: Rejection) -> None:
        unsent.write(rejection.content)
        text = f"{where}: {rejection.detail}" if where else rejection.detail
        click.echo(printable(text), err=True)

    reader = Reader(defaults, window, reject)
    with _interruptible("Stopped; nothing was sent."):
        client = None if queues is None else queues.open(queues.ingress)
        if client is not None:
            check_queue(client)
        watcher = Watcher(queues) if queues is not None and watch else None
    # A person at a terminal who presses Ctrl-C does not type the rest of the points.
    times = 0 if file is not None and file.isatty() else 1
    said = "Stopping; what is not sent yet goes into a file. Press Ctrl-C again to stop at once."
    at_once = False
    with stoppable(said, times) as stop:
        try:
            with Sender(client, unsent, stop) as sender:
                _transfer(entries, reader, sender)
        except KeyboardInterrupt:
            at_once = True
            click.echo("Stopped at once; the rest was not read.", err=True)
        finally:
            unsent.close()
    watched = None
    if watcher is not None and sender.sent and not stop.asked():
        with _interruptible("Stopped waiting; what was sent stays sent."):
            watched = _watch(watcher, timeout or _TIMEOUT)
    report = Report(
        dry_run=dry_run,
        points=reader.points,
        invalid=reader.invalid,
        without_resource=reader.without_resource,
        sent=sender.sent,
        not_sent=sender.not_sent,
        unsent_file=unsent.path,
        error=sender.error,
        watched=watched,
    )
    click.echo(report.to_json() if as_json else report.text())
    for line in report.problems(program()):
        click.echo(line, err=True)
    code = stop.exit_code if stop.asked() else int(not report.is_good)
    if at_once:  # Requests without an answer would hold the process.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _given(file: BinaryIO | None, options: dict[str, Any]) -> tuple[Iterator[Entry], Defaults]:
    """Return what is to be sent, and the defaults for it. Raises UsageError."""
    message = read_point(options)
    if file is None:
        if message is None:
            raise click.UsageError(
                "give --metric NAME for one point, or FILE (- for standard input)"
            )
        # As JSON, so that it is checked like a file.
        return iter([Entry("", json.dumps(message).encode())]), Defaults("", "")
    if message is not None:
        raise click.UsageError("FILE has points of its own: leave out --metric and its values")
    return _progressing(file), read_defaults(options)


def _progressing(file: BinaryIO) -> Iterator[Entry]:
    """Yield the entries of a file, with a progress bar if its size is known."""
    name = getattr(file, "name", "<stdin>")
    size = Path(name).stat().st_size if Path(name).is_file() else None
    with progress() as bar:
        task = bar.add_task("Reading, in KB", total=size and size // 1000)
        for number, entry in enumerate(read_entries(file, name)):
            if size is not None and number % _EACH == 0:
                bar.update(task, completed=file.tell() // 1000)
            yield entry


def _transfer(entries: Iterable[Entry], reader: Reader, sender: Sender) -> None:
    """Read and send until sending ends; what follows then is kept unread."""
    batch = Batch()
    try:
        for entry in entries:
            if sender.has_ended:
                _flush(batch, sender)
                sender.keep(entry.body)
                continue
            reader.read(entry, batch)
            if batch.is_full:
                _flush(batch, sender)
    finally:
        _flush(batch, sender)


def _flush(batch: Batch, sender: Sender) -> None:
    messages = list(batch.write(datetime.now(UTC)))
    started = 0
    try:
        for message in messages:
            sender.send(message)
            started += 1
    except KeyboardInterrupt:
        for message in messages[started:]:
            sender.keep(message)
        raise


def _watch(watcher: Watcher, timeout: float) -> Watched:
    with progress() as bar:
        task = bar.add_task("Messages in the queue", total=None)
        return watcher.wait(timeout, lambda waiting: bar.update(task, completed=waiting))


@contextmanager
def _interruptible(text: str) -> Iterator[None]:
    """Print the text and exit at Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(text, err=True)
        sys.exit(130)
