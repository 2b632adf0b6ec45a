"""The app with its stand-ins for Azure until Ctrl-C: `make run`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.processes import ChildError
from local.stack import HOST, INGRESS, ROOT, Backend, run_app, run_backend

__all__ = ["SETTINGS", "main", "run_host", "settings_file"]

# For the tools of another terminal; git ignores the folder.
SETTINGS = ROOT / ".local" / "run.settings.json"

# The real host, where it is installed.
CORE_TOOLS = ("func", "start")
# As the templates have it: what names no resource, and the relay's metrics on itself, go there.
OWN = {
    "METRICS_RESOURCE_ID": "/subscriptions/1/resourceGroups/metric-relay"
    "/providers/Microsoft.Web/sites/metric-relay",
    "METRICS_REGION": "westeurope",
}
# App settings of this shell that the app gets; the others say where Azure is.
PASSED_ON = {
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


def main() -> int:
    """Run until interrupted; the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    real = shutil.which("func") is not None
    name = "Azure Functions Core Tools" if real else "the Functions host stand-in"
    print(f"Starting Azurite, the Azure Monitor emulator and {name} …", flush=True)
    try:
        with run_backend() as backend:
            # What the shell says of the app counts, except where the stand-ins are.
            shell = OWN | {name: text for name, text in os.environ.items() if name in PASSED_ON}
            here = [{"resourceId": OWN["METRICS_RESOURCE_ID"], "region": OWN["METRICS_REGION"]}]
            backend.control("PUT", "resources", json={"resources": here})
            backend.storage.create_queue(f"{INGRESS}-dead-letter")  # As the templates do.
            print(
                f"\nEnqueue metric messages into the queue {INGRESS!r} of\n"
                f"  CONNECTION_STRING='{backend.azurite.connection_string}'\n"
                f"Metrics explorer, with what lands in Azure Monitor: {backend.page}\n"
                f"The same as JSON: {backend.monitor_url}/_local/metrics\n"
                f"What was refused is in the queue '{INGRESS}-dead-letter'.\n"
                "The tools find all of it by a file of settings, such as:\n"
                f"  .venv/bin/metric-relay doctor --settings {SETTINGS.relative_to(ROOT)}\n"
                "Stop with Ctrl-C.\n",
                flush=True,
            )
            host = CORE_TOOLS if real else HOST
            with settings_file({**backend.app_settings(), **shell}):
                return run_host(backend, shell, host)
    except ChildError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 0


def run_host(
    backend: Backend, settings: Mapping[str, str], host: Sequence[str], *, delay: float = 1.0
) -> int:
    """Run the app; start its host again when that fails, as the platform would.

    Returns 0 when it ends without an error. Raises ChildError for a host that does not start.
    `delay` is in seconds.
    """
    while True:
        with run_app(backend, settings, host=host, on_line=print) as child:
            status = child.wait(timeout=threading.TIMEOUT_MAX)
        if status == 0:
            return status
        print(
            f"The Functions host ended with status {status}. Starting it again, as Azure does.",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(delay)


@contextmanager
def settings_file(settings: Mapping[str, str], file: Path = SETTINGS) -> Iterator[None]:
    """The app settings in the shape of local.settings.json, for their owner alone, for so long."""
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)  # One that was left behind may be open to others.
    text = json.dumps({"IsEncrypted": False, "Values": dict(settings)}, indent=2) + "\n"
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            if file.read_text("utf-8") == text:  # Not that of another one, started since.
                file.unlink()


if __name__ == "__main__":
    sys.exit(main())
