"""What writes pages of docs/ does so when called, and not when asked what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click import Command
from click.testing import CliRunner

from local.stack import ROOT
from tools import schemas, settings_page

PAGES = {
    "tools.schemas": ("message.schema.json", "sources.schema.json"),
    "tools.settings_page": ("settings.md",),
}
MAINS = {"tools.schemas": schemas.main, "tools.settings_page": settings_page.main}


def call(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def written(module: str) -> list[int]:
    """When each page was written, and by it whether it was."""
    return [(ROOT / "docs" / name).stat().st_mtime_ns for name in PAGES[module]]


@pytest.mark.parametrize("module", PAGES)
def test_a_question_writes_nothing(module: str) -> None:
    before = written(module)
    asked = call(module, "--help")
    assert (asked.returncode, f"Example: python -m {module}" in asked.stdout) == (0, True)
    assert call(module, "--wrong").returncode == 2
    assert call(module, "wrong").returncode == 2
    assert written(module) == before


@pytest.mark.parametrize("module", PAGES)
def test_a_call_writes(module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    main: Command = MAINS[module]
    name = next(iter(PAGES[module]))
    monkeypatch.setattr(f"{module}.write", lambda: (tmp_path / name).write_text(module))
    assert CliRunner().invoke(main, []).exit_code == 0
    assert (tmp_path / name).exists()
