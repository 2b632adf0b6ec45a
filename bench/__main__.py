"""Run the benches and print the table of docs/performance.md: `python -m bench`.

Each bench runs in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from bench.measuring import TABLE_HEAD, progress, this_machine
from local.stack import ROOT

__all__ = ["BENCHES", "main"]

BENCHES = (
    "codec",
    "drain",
    "end_to_end",
    "posts",
    "sampling",
    "memory",
    "cold_start",
    "sustained",
)


def main() -> int:
    """Run the benches; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Run the benches and print a row for each goal.",
        epilog="example: python -m bench --only drain memory",
    )
    parser.add_argument("--quick", action="store_true", help="small and rough, to try the benches")
    parser.add_argument("--all", action="store_true", help="ten minutes of sustained load, not one")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=BENCHES, metavar="BENCH")
    given = parser.parse_args()
    options = [name for name in ("--quick", "--all") if getattr(given, name.strip("-"))]
    print(f"{this_machine()}\n\n{TABLE_HEAD}", flush=True)
    failed = False
    for name in given.only:
        progress(f"--- {name}")
        command = [sys.executable, "-m", f"bench.{name}", *options]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603 (our own words)
            print(f"| `{name}` | failed |", flush=True)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
