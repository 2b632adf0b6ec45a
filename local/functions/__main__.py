"""Run an app until SIGTERM or Ctrl-C: `python -m local.functions [--app DIR] [--grace SECONDS]`.

Exit status: 0 after a clean stop; 1 when the app cannot be run, invocations were cut or the storage
service failed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from pathlib import Path

from local.functions.connections import PATIENCE
from local.functions.errors import ConfigurationError
from local.functions.host import GRACE, Host
from local.functions.invocation import Invocations


def main() -> int:
    """Run the host; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.functions", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="the app's folder (default: .)")
    parser.add_argument(
        "--grace",
        type=float,
        default=GRACE,
        metavar="SECONDS",
        help="how long a stop waits for invocations (default, as in Azure: %(default)g)",
    )
    parser.add_argument(
        "--storage-patience",
        type=int,
        default=PATIENCE,
        metavar="SECONDS",
        help="how long a call to the storage service is repeated, once a second (default, as in"
        " Azure: %(default)d)",
    )
    parser.add_argument(
        "--no-local-settings",
        action="store_true",
        help="take app settings from the environment alone, not from local.settings.json",
    )
    given = parser.parse_args()
    invocations = Invocations()
    _log_to_stderr(invocations)
    try:
        host = Host(
            given.app.resolve(),
            invocations,
            local_settings=not given.no_local_settings,
            patience=given.storage_patience,
        )
        asyncio.run(_run(host, given.grace))
    except ConfigurationError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    return 0


async def _run(host: Host, grace: float) -> None:
    """Run the host, then leave the process."""
    failed, cut = await host.run(grace)
    if cut:
        print(f"error: {cut} invocations cut after {grace:g} s", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # Leaving in the ordinary way would wait for threads that may not end.
    os._exit(1 if failed or cut else 0)


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
