"""Run the app with its stand-ins for Azure until Ctrl-C: `make run`."""

from __future__ import annotations

import _thread
import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.processes import Child, ChildError, discard_stdout, first_ended
from local.run_settings import MACHINE, RunError, app_settings
from local.stack import HOST, INGRESS, ROOT, Backend, free_or_0, run_app, run_backend

__all__ = ["SETTINGS", "main", "only_one", "register", "run_host", "settings_file"]

FOLDER = ROOT / ".local"
POLL = 0.2  # Seconds between two looks at the processes.
SETTINGS = FOLDER / "run.settings.json"  # For the tools in another terminal.
PORTS = FOLDER / "run.ports.json"
HELP = """app settings:
  METRICS_*, AzureFunctionsJobHost__* and AzureWebJobs_<function>_Disabled of this shell reach the
  app. LOCAL_CRASH_INVISIBILITY is the number of seconds for which a message stays invisible if its
  host dies (600). A setting such as METRICS_ENDPOINT is refused: make run replaces Azure.

examples:
  make run PORT=8089 DATA=.local/data
  METRICS_SOURCES='[…]' make run
"""

# The real host, where it is installed.
CORE_TOOLS = ("func", "start")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local.run",
        description="Run the app and its stand-ins for Azure until Ctrl-C.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port",
        type=_port,
        help="port of the metrics explorer (PORT=; default: the one of the last run if it is free)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="keep queues and metrics in this folder (DATA=; default: in memory)",
    )
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        shell = app_settings(os.environ)
        with only_one(FOLDER):
            return _run(shell, given.port, given.data)
    except (ChildError, RunError) as exc:
        print(exc, file=sys.stderr)
        return 1
    except BrokenPipeError:  # As in `make run | head`.
        discard_stdout()
        return 1
    except OSError as exc:
        print(f"Cannot use {exc.filename}: {exc.strerror}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 0


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises RunError if another `make run` holds it."""
    folder.mkdir(exist_ok=True)
    with (folder / "run.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            raise RunError(
                f"make run already runs in this folder (process {lock.read().strip()}):"
                " stop it with Ctrl-C first."
            ) from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _run(shell: Mapping[str, str], port: int | None, data: Path | None) -> int:
    queue = shell.get("METRICS_QUEUE") or INGRESS
    dead_letters = shell.get("METRICS_DEAD_LETTER_QUEUE") or f"{queue}-dead-letter"
    has_core_tools = shutil.which(CORE_TOOLS[0]) is not None
    name = "Azure Functions Core Tools" if has_core_tools else "the Functions host stand-in"
    if port is not None and not free_or_0(port):
        raise RunError(f"Port {port} cannot be used: choose another with PORT=.")
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
    try:
        ports = {key: int(value) for key, value in json.loads(PORTS.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        ports = {}  # There was no run yet.
    if port is not None:
        ports["monitor"] = port
    print(f"Starting Azurite, the Azure Monitor emulator and {name} …", flush=True)
    with run_backend(data, ports=ports, dead_letters=dead_letters) as backend:
        PORTS.write_text(json.dumps(backend.ports), encoding="utf-8")
        ignored = sorted(each for each in os.environ if each.startswith(MACHINE))
        if ignored:
            print(f"Not passed on, as the emulator replaces them: {', '.join(ignored)}.")
        register(backend, shell)
        backend.make_queue(dead_letters)  # As the templates do.

        def announce(child: Child) -> None:
            print(
                f"\nEnqueue metric messages into the queue {queue!r} of\n"
                f"  export CONNECTION_STRING='{backend.azurite.connection_string}'\n"
                f"Metrics explorer, with what lands in Azure Monitor: {backend.monitor_url}/\n"
                f"The same as JSON: {backend.monitor_url}/_local/metrics\n"
                f"What is rejected goes to the queue {dead_letters!r}.\n"
                "The tools find all of it by a file of settings, such as:\n"
                f"  .venv/bin/metric-relay doctor --settings {SETTINGS.relative_to(ROOT)}\n"
                f"The Functions host is process {child.pid}; to try a crash: kill -9 {child.pid}\n"
                "Stop with Ctrl-C.\n",
                flush=True,
            )

        with settings_file({**backend.app_settings(queue), **shell}):
            host = CORE_TOOLS if has_core_tools else HOST
            return run_host(backend, shell, host, queue=queue, on_start=announce)


def run_host(
    backend: Backend,
    settings: Mapping[str, str],
    host: Sequence[str],
    *,
    queue: str = INGRESS,
    on_start: Callable[[Child], None] = lambda _: None,
    delay: float = 1.0,
) -> int:
    """Run the app; start its host again when that fails, as the platform would.

    Returns 0 when the host ends without an error. Raises ChildError for a host that does not
    start, RunError when a stand-in ends. `on_start` gets the first host once it is ready; `delay`
    is in seconds.
    """
    while True:
        with run_app(backend, settings, queue=queue, host=host, on_line=_print_line) as child:
            on_start(child)
            while (ended := first_ended([*backend.children, child])) is None:
                time.sleep(POLL)
        if ended is not child:
            raise RunError(f"{ended.name} {ended.ending}, so make run has stopped: start it again.")
        if child.status == 0:
            return 0
        print(
            f"The Functions host (process {child.pid}) {child.ending}. Starting it again, as Azure"
            " does.",
            file=sys.stderr,
        )
        on_start = _name_host
        time.sleep(delay)


def register(backend: Backend, settings: Mapping[str, str]) -> None:
    """Register the resource of the settings with the emulator, as if it were deployed."""
    resource_id, region = settings["METRICS_RESOURCE_ID"], settings["METRICS_REGION"]
    if resource_id and region:
        resource = {"resourceId": resource_id, "region": region.replace(" ", "").lower()}
        backend.control("PUT", "resources", json={"resources": [resource]})


def _print_line(line: str) -> None:
    """Print a line of the host at once. If nothing reads it anymore, interrupt like Ctrl-C."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        discard_stdout()
        _thread.interrupt_main()


def _name_host(host: Child) -> None:
    print(f"The Functions host runs again, as process {host.pid}.", file=sys.stderr)


@contextmanager
def settings_file(settings: Mapping[str, str], file: Path = SETTINGS) -> Iterator[None]:
    """Keep app settings in a file, in the shape of local.settings.json, for their owner alone."""
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)  # An old file may be readable by others.
    text = json.dumps({"IsEncrypted": False, "Values": dict(settings)}, indent=2) + "\n"
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
