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


def main() -> int:
    """Run until interrupted; the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = {
        name: value
        for name, value in os.environ.items()
        if name in ("METRICS_SOURCES", "METRICS_SAMPLE_SCHEDULE")
    }
    host = CORE_TOOLS if shutil.which("func") else HOST
    print(f"Starting Azurite, the Azure Monitor emulator and {host[0]} …", flush=True)
    try:
        with run_backend() as backend:
            print(
                f"\nEnqueue metric messages into the queue {INGRESS!r} of\n"
                f"  {backend.azurite.connection_string}\n"
                f"What lands in Azure Monitor: {backend.monitor_url}/_local/metrics\n"
                "Stop with Ctrl-C.\n",
                flush=True,
            )
            with run_app(backend, settings, host=host, on_line=print) as child:
                return child.wait(timeout=threading.TIMEOUT_MAX)
    except ChildError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 0


if __name__ == "__main__":
    sys.exit(main())
