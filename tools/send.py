"""`python -m tools send`: enqueue a metric, or a file of messages, packed as full as they go."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from shared.errors import RelayError
from shared.messages.body import MAX_BODY_BYTES
from shared.messages.validation import Defaults
from shared.model import TimeWindow
from tools.app_settings import read_app_settings
from tools.console import err, progress
from tools.dispatch import Outcome, check_queue, dispatch
from tools.ingress import Queues, find_queues, queue_options
from tools.point_entry import PointEntry, PointError
from tools.send_again import again
from tools.send_input import Entry, entries
from tools.send_options import ADDRESS, point_options, read_point
from tools.send_reading import Tally, read_into, window_of
from tools.send_report import amount, failed, left_over, sent, settled
from tools.settle import Watcher
from tools.spool import Spool
from tools.stopping import Stop, stoppable

__all__ = ["send"]

_TIMEOUT = 300.0  # Seconds, of --watch.
_NOT_WAITED = "stopped waiting; what was sent stays sent"

_EXAMPLE = """\b
Examples:
  python -m tools send --account https://NAME.queue.core.windows.net \\
      --metric QueueDepth --value 7 --dimension QueueName=images \\
      --resource-id /subscriptions/…/providers/Microsoft.Web/sites/shop-api
  python -m tools send points.jsonl --dry-run
  python -m tools send points.jsonl --watch
"""


@click.command(epilog=_EXAMPLE)
@click.argument("file", required=False, type=click.File("rb"))
@point_options
@click.option("--skip-invalid", is_flag=True, help="Send what is right, though something is wrong.")
@click.option("--dry-run", is_flag=True, help="Say what is wrong, and send nothing.")
@click.option(
    "--from-line",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Go on at line N of FILE; in a JSON array it is the N-th element.",
)
@click.option("--watch", is_flag=True, help="Wait until all is published or dead-lettered.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Of --watch.  [default: 300]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 10),
    default=8,
    show_default=True,
    help="Messages that are put at once.",
)
@queue_options
def send(  # noqa: PLR0917 (options come by name)
    file: BinaryIO | None,
    skip_invalid: bool,
    dry_run: bool,
    from_line: int,
    watch: bool,
    timeout: float | None,
    threads: int,
    settings_file: Path | None,
    connection: str,
    account: str | None,
    queue: str | None,
    **point: Any,
) -> None:
    """Enqueue points for the relay to publish.

    Either one point, of --metric, or those of FILE (- for standard input): messages in either
    shape, one on each line, or one JSON document or array. Everything is read, checked as the
    function will check it, and packed into as few messages as can be before the first is sent;
    when something is wrong nothing is sent. The packed messages wait in a temporary file.
    """
    given, defaults = _given(file, from_line, point)
    if timeout is not None and not watch:
        raise click.UsageError("--timeout is of --watch")
    if dry_run and watch:
        raise click.UsageError("--dry-run sends nothing to --watch")
    window = window_of(read_app_settings(settings_file))
    queues = None if dry_run else find_queues(settings_file, connection, account, queue)
    with Spool(MAX_BODY_BYTES) as spool:
        with _interruptible("stopped: nothing was sent"):
            if queues is not None:
                check_queue(queues)
            begun = time.monotonic()
            tally = _read(spool, file, given, defaults, window)
            checked = time.monotonic()
            wrong = _wrong(tally, spool)
            if queues is None:
                click.echo(f"{amount(spool)}; nothing was sent.")
                sys.exit(int(wrong))
            if not spool.messages or (wrong and not skip_invalid):
                hint = "; --skip-invalid sends what is right" if spool.messages else ""
                raise RelayError(f"nothing was sent{hint}")
            watcher = Watcher(queues) if watch else None
        with stoppable("Stopping at the end of a line; again: without that.", times=None) as stop:
            outcome = _send(spool, queues, threads, stop)
            left = _left(spool, outcome, file, from_line)
            click.echo(sent(spool, outcome, checked - begun, time.monotonic() - checked))
            for line in left:
                click.echo(line, err=True)
        wrong |= bool(left)
        if watcher is not None and outcome.put:
            if not stop.asked():
                with _interruptible(_NOT_WAITED):
                    wrong |= _watch(watcher, outcome, timeout or _TIMEOUT)
            elif not left:  # Asked too late to hold anything back.
                raise RelayError(_NOT_WAITED)
    sys.exit(int(wrong))


def _given(
    file: BinaryIO | None, from_line: int, point: Mapping[str, Any]
) -> tuple[Iterator[Entry], Defaults]:
    """What is to be sent, and the address of what names none. Raises UsageError."""
    message = read_point(point, of_file=file is not None)
    if file is not None:
        resource_id, region, namespace = (point[name] or "" for name in ADDRESS)
        try:
            PointEntry(resource_id or None, region or None, namespace or None)
        except PointError as exc:
            raise click.UsageError(str(exc)) from exc
        defaults = Defaults(namespace, resource_id, region)
        return (one for one in entries(file) if one.number >= from_line), defaults
    if from_line > 1:
        raise click.UsageError("--from-line is of FILE")
    # As JSON: so it is checked, and refused, as what stands in a file.
    return iter([Entry(1, "", json.dumps(message).encode())]), Defaults("", "")


def _path(file: BinaryIO | None) -> str | None:
    """The name of a file that can be read again; standard input cannot."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and Path(name).is_file() else None


def _read(
    spool: Spool,
    file: BinaryIO | None,
    given: Iterable[Entry],
    defaults: Defaults,
    window: TimeWindow,
) -> Tally:
    """Check and pack everything."""
    size = file.seek(0, os.SEEK_END) if file is not None and file.seekable() else None
    if file is not None and file.seekable():
        file.seek(0)
    with progress() as bar:
        task = bar.add_task("Reading, in KB", total=size and size // 1000)

        def move() -> None:
            if file is not None and size is not None:
                bar.update(task, completed=file.tell() // 1000)

        return read_into(
            spool,
            given,
            defaults=defaults,
            window=window,
            refuse=lambda text: click.echo(text, err=True),
            progress=move,
        )


def _wrong(tally: Tally, spool: Spool) -> bool:
    """Say what there is to say of what was read; whether something is wrong with it."""
    if tally.refused:
        err.print(f"{tally.refused:,} refused, {spool.points:,} are right.")
    elif not spool.points:
        err.print("There is nothing to send.")
    if tally.homeless:
        err.print(
            f"Without a resource: {tally.homeless:,}; that is for the relay's METRICS_RESOURCE_ID, "
            "and dead-lettered where it has none."
        )
    return bool(tally.refused) or not spool.points


def _send(spool: Spool, queues: Queues, threads: int, stop: Stop) -> Outcome:
    client = queues.open(queues.ingress)
    with client, progress() as bar:
        task = bar.add_task("Sending", total=len(spool.messages))
        return dispatch(spool, client, threads=threads, stop=stop, sent=lambda: bar.advance(task))


def _left(spool: Spool, outcome: Outcome, file: BinaryIO | None, from_line: int) -> tuple[str, ...]:
    """What to say of what was not sent, and how to go on; nothing where all was sent."""
    if len(outcome.put) == len(spool.messages):
        return ()
    if file is None:  # A point is where it was: on the command line.
        return tuple(failed(outcome))
    command = again(click.get_current_context())
    return tuple(left_over(spool, outcome, _path(file), from_line, command))


def _watch(watcher: Watcher, outcome: Outcome, timeout: float) -> bool:
    """Wait and say what became of it; whether something is wrong with that."""
    messages = len(outcome.put)
    with progress() as bar:
        task = bar.add_task("Waiting until they are settled", total=messages)
        found = watcher.wait(
            outcome.put.values(),
            timeout,
            lambda left: bar.update(task, completed=messages - left),
        )
    for line in settled(found, messages):
        click.echo(line)
    return bool(found.waiting or found.refusals or found.hidden or found.poisoned)


@contextmanager
def _interruptible(said: str) -> Iterator[None]:
    """Raise RelayError with what is `said` at Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        raise RelayError(said) from None
