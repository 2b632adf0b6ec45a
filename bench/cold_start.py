"""Measure how long the first point takes in a fresh process: `python -m bench.cold_start`.

Importing `function_app`, and publishing one point with it, beside importing the SDKs that it uses
and doing nothing. The interpreter's own start is in none of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial

from bench.feeder import make_messages, settings_for
from bench.measuring import Goal, interleaved, main_of, progress, ratios
from bench.store import run_store
from local.stack import OURS, ROOT

__all__ = ["run"]

ROUNDS = 11
IMPORT_GOAL, FIRST_POINT_GOAL = 0.6, 1.2
PROGRAM = """
import sys, time
started = time.perf_counter()
{body}
print(time.perf_counter() - started)
"""
BODIES = {
    "sdks": "import azure.functions, azure.identity, azure.storage.queue, requests",
    "import": "import function_app",
    "first point": """
import asyncio, os, function_app
from shared.app import build_app
from shared.model import Origin
from shared.settings import Settings
processor = build_app(Settings.from_env(os.environ)).processor
asyncio.run(processor.process(sys.argv[1].encode(), Origin("1", None)))
""",
}


def _seconds(body: str, env: dict[str, str], message: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(body=body), message]
    done = subprocess.run(  # noqa: S603 (our own words)
        command, cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def run(given: argparse.Namespace) -> list[Goal]:
    """Measure in turns."""
    with run_store() as store:
        shell = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        env = {**shell, **settings_for(store), "PYTHONPATH": str(ROOT)}
        (message,) = make_messages(1, 1, series=1)
        contenders: dict[str, Callable[[], float]] = {
            name: partial(_seconds, body, env, message.decode()) for name, body in BODIES.items()
        }
        taken = interleaved(contenders, 1 if given.quick else ROUNDS)
    for name, seconds in taken.items():
        progress(f"{name:<12} {min(seconds):.3f}–{max(seconds):.3f} s")
    return [
        Goal("import ÷ import of the SDKs", ratios(taken["import"], taken["sdks"]), IMPORT_GOAL),
        Goal(
            "first point ÷ import of the SDKs",
            ratios(taken["first point"], taken["sdks"]),
            FIRST_POINT_GOAL,
        ),
    ]


if __name__ == "__main__":
    main_of("cold_start", __doc__, run)
