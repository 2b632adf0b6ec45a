"""Run an app until SIGTERM or Ctrl-C: `python -m local.functions [--app DIR] [--grace SECONDS]`.

Exit status: 0 after a clean stop, 1 when the app cannot be run or work had to be abandoned.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from pathlib import Path

from local.functions.errors import ConfigurationError
from local.functions.host import GRACE, Host, load
from local.functions.invocations import Invocations


def main() -> int:
    """Run the host; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.functions", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="the app's folder (default: .)")
    parser.add_argument(
        "--grace",
        type=float,
        default=GRACE,
        metavar="SECONDS",
        help="to finish what is held when told to stop (default: %(default)g)",
    )
    parser.add_argument(
        "--no-local-settings",
        action="store_true",
        help="take app settings from the environment alone, not from local.settings.json",
    )
    arguments = parser.parse_args()
    invocations = Invocations()
    _log_to_stderr(invocations)
    try:
        host = load(
            arguments.app.resolve(), invocations, local_settings=not arguments.no_local_settings
        )
        abandoned = asyncio.run(_run(host, arguments.grace))
    except ConfigurationError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    return 1 if abandoned else 0


async def _run(host: Host, grace: float) -> int:
    """Run the host; leaves the process when something is still running after the grace period."""
    abandoned = await host.run(_print_ready, grace)
    if abandoned:
        # Leaving in the ordinary way would wait for the very threads that do not end.
        print(f"error: {abandoned} invocations abandoned after {grace:g} s", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
    return abandoned


def _print_ready(functions: str) -> None:
    """Whoever started the host waits for this line."""
    print(f"Functions host ready: {functions}", flush=True)


def _log_to_stderr(shown: logging.Filter) -> None:
    """Log what is shown, INFO and above, in UTC. The app is free to change it, as in Azure."""
    formatter = logging.Formatter(
        "[%(asctime)s.%(msecs)03dZ] %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(shown)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
