"""The app with its stand-ins for Azure until Ctrl-C: `make run`."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading

from local.processes import ChildError
from local.stack import HOST, INGRESS, run_app, run_backend

__all__ = ["main"]

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
            print(
                f"\nEnqueue metric messages into the queue {INGRESS!r} of\n"
                f"  CONNECTION_STRING='{backend.azurite.connection_string}'\n"
                f"Metrics explorer, with what lands in Azure Monitor: {backend.page}\n"
                f"The same as JSON: {backend.monitor_url}/_local/metrics\n"
                f"What was refused is in the queue '{INGRESS}-dead-letter'.\n"
                "Stop with Ctrl-C.\n",
                flush=True,
            )
            # What the shell says of the app counts, except where the stand-ins are.
            shell = OWN | {name: text for name, text in os.environ.items() if name in PASSED_ON}
            host = CORE_TOOLS if real else HOST
            with run_app(backend, shell, host=host, on_line=print) as child:
                return child.wait(timeout=threading.TIMEOUT_MAX)
    except ChildError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 0


if __name__ == "__main__":
    sys.exit(main())
