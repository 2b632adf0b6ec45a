"""Install what runs on this machine: `make setup`; `make demo` and `make test` do so first.

Python packages go into .venv and Azurite into local/node_modules, both at once; what is current
stays as it is. Needs Python 3.11 or newer and nothing else: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from local import node
from local.processes import Child, ChildError, discard_stdout, first_ended

__all__ = ["main"]

ROOT = Path(__file__).parent.parent
MAKE_ENVIRONMENT = (sys.executable, "-m", "venv", "--clear")
QUIET = ("--disable-pip-version-check", "--progress-bar", "off")
PIP_INSTALL = ("-m", "pip", "install", "--require-virtualenv", *QUIET)
TOOLS = "requirements-tools.txt"
PERIOD = 5.0  # Seconds between two lines of progress of a job.
POLL = 0.1  # Seconds between two looks at the jobs.
WIDTH = 80  # Characters of a line of progress.
# Fails without pip: the environment was interrupted while it was made.
IDENTITY = """
import importlib.metadata, sys
importlib.metadata.version("pip")
print(sys.base_prefix, sys.version)
"""
# The command that calls the tools. `sh` starts it, since a path in the first line of a script may
# have no spaces and may not be long; to Python, what `sh` reads is a string.
COMMAND_NAME = "metric-relay"
COMMAND = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import sys
sys.path.insert(0, {root!r})
from tools.__main__ import run
run()
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what is not current; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.setup", description="Install packages.")
    parser.add_argument("requirements", type=Path, help="file of requirements")
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="default: .venv")
    parser.add_argument("--azurite", action="store_true", help="install Azurite too")
    given = parser.parse_args(arguments)
    venv, requirements = ROOT / given.venv, ROOT / given.requirements
    python = venv / "bin" / "python"
    stamps = read_stamps(venv, requirements)
    jobs: dict[str, Sequence[str | Path]] = {}
    has_interpreter = has_this_interpreter(python)
    if not has_interpreter or not all(map(is_current, stamps, stamps.values())):
        jobs[f"Python packages into {given.venv}"] = [python, *PIP_INSTALL, "-r", requirements]
    if given.azurite and not node.is_installed():
        jobs["Azurite into local/node_modules"] = [python, "-m", "local.node"]
    if jobs:
        make = {} if has_interpreter else {"Virtual environment": [*MAKE_ENVIRONMENT, venv]}
        try:
            install(make, jobs)
        except ChildError as exc:
            print(exc, file=sys.stderr)
            return 1
        except BrokenPipeError:  # As in `make setup | head`.
            discard_stdout()
            return 1
        except KeyboardInterrupt:
            print("Interrupted; the next `make setup` continues.", file=sys.stderr)
            return 130
    for stamp, text in stamps.items():
        if not is_current(stamp, text):
            stamp.write_text(text, encoding="utf-8")
    if venv / TOOLS in stamps:
        write_command(python)
    return 0


def install(
    make: Mapping[str, Sequence[str | Path]], jobs: Mapping[str, Sequence[str | Path]]
) -> None:
    """Run the jobs after those that make the environment. Raises ChildError."""
    print(f"Installing {' and '.join(jobs)} …", flush=True)
    started = time.monotonic()
    run_jobs(make, started)
    run_jobs({name.partition(" into")[0]: job for name, job in jobs.items()}, started)
    print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)


def run_jobs(jobs: Mapping[str, Sequence[str | Path]], started: float) -> None:
    """Run commands side by side until all are done, and print how far they are.

    `started` is when the installation began, of the monotonic clock. Raises ChildError as soon as
    one command fails.
    """
    printed = time.monotonic()
    with ExitStack() as stack:
        running = [stack.enter_context(Child(name, jobs[name], cwd=ROOT)) for name in jobs]
        while running:
            if ended := first_ended(running):
                if ended.wait():
                    raise ended.error(f"{ended.ending}: {shlex.join(map(str, jobs[ended.name]))}")
                running.remove(ended)
                continue
            time.sleep(POLL)
            if time.monotonic() - printed < PERIOD:
                continue
            printed = time.monotonic()
            for child in running:
                # npm prints URLs: the end of one names a package.
                latest = child.output.rpartition("\n")[2].rpartition("/")[2].strip()
                line = f"{printed - started:4.0f} s  {child.name}: {latest or 'starting'}"
                print(line[:WIDTH], flush=True)


def has_this_interpreter(python: Path) -> bool:
    """Return whether an environment has pip and is based on the interpreter that runs this."""
    try:
        answer = subprocess.run(
            [python, "-c", IDENTITY], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.strip() == f"{sys.base_prefix} {sys.version}"


def read_stamps(venv: Path, requirements: Path) -> dict[Path, str]:
    """Return a copy of each file of requirements, by where it is put once all is installed."""
    found: dict[Path, str] = {}
    files = [requirements]
    while files:
        file = files.pop()
        text = file.read_text(encoding="utf-8")
        found[venv / file.name] = text
        files += [file.parent / name for name in re.findall(r"^-r (\S+)", text, re.MULTILINE)]
    return found


def is_current(file: Path, text: str) -> bool:
    """Return whether a file has that text."""
    return file.exists() and file.read_text(encoding="utf-8") == text


def write_command(python: Path) -> None:
    """Write the command `metric-relay` beside the interpreter that runs it."""
    file = python.with_name(COMMAND_NAME)
    text = COMMAND.format(python=shlex.quote(str(python)), root=str(ROOT))
    if not is_current(file, text):
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
