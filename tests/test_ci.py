"""What .ci/run does where there is no browser: fail if a change is judged, else go on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import ROOT

TOOLS = ("bash", "dirname", "env", "id", "mktemp", "rm", "tail", "timeout")
TARGETS = ("check", "test", "test-slow")
NO_NETWORK = "echo E: Unable to locate package chromium >&2; exit 100"


def run(folder: Path, apt_get: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it where PATH has no Chromium, another apt-get, and a make that tells what it got."""
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or name)
    for name, script in {
        "apt-get": apt_get,
        "sudo": 'shift; exec "$@"',
        "make": 'echo "make $1, pages ${PAGE_TESTS:-as they come}"',
    }.items():
        (folder / name).write_text(f"#!{folder}/bash\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return subprocess.run(
        [folder / "bash", ROOT / ".ci" / "run"],
        env={"PATH": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("apt_get", [NO_NETWORK, "exit 0"])  # Of which the second brings nothing.
def test_no_change_passes_without_the_tests_of_the_page(tmp_path: Path, apt_get: str) -> None:
    finished = run(tmp_path, apt_get, CI="true")
    assert finished.returncode == 1
    assert finished.stderr == (
        "Chromium could not be installed, and without it the explorer page is not tested: put it"
        " into the image, or let apt-get install it.\n"
    )
    assert "make" not in finished.stdout


def test_elsewhere_they_are_skipped(tmp_path: Path) -> None:
    finished = run(tmp_path, NO_NETWORK)
    assert finished.returncode == 0
    assert "Unable to locate package chromium" in finished.stdout
    assert "the tests of the explorer page are skipped" in finished.stdout
    assert finished.stdout.endswith(_made("as they come"))


def test_an_installed_browser_is_required(tmp_path: Path) -> None:
    script = (
        f'echo "#!/bin/true" >{tmp_path}/chromium; {shutil.which("chmod")} +x {tmp_path}/chromium'
    )
    finished = run(tmp_path, script, CI="true")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.endswith(_made("required"))


def _made(pages: str) -> str:
    return "".join(f"make {target}, pages {pages}\n" for target in TARGETS)


def test_no_test_runs_twice_and_all_run() -> None:
    """But those of properties, with few examples and with many."""
    finished = subprocess.run(
        ["make", "--dry-run", f"PYTHON={sys.executable}", "PYENV_ROOT=/none", *TARGETS[1:]],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = finished.stdout.splitlines()
    test, slow = (line for line in lines if line.startswith(".venv/bin/python -m pytest "))
    assert test.endswith(' -m "not slow"')
    assert slow.endswith(' -m "slow or hypothesis" --hypothesis-profile thorough')
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\ntest-all: test test-slow ##" in makefile
