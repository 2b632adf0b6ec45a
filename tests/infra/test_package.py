"""The package that is published: the app and nothing else, and it runs by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local.stack import ROOT

from . import package
from .package import published


def test_just_the_app_is_published() -> None:
    shared = {
        path.relative_to(ROOT)
        for path in (ROOT / "shared").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path.suffix for path in shared} == {".py"}
    alone = {Path("function_app.py"), Path("host.json"), Path("requirements.txt")}
    assert set(published(ROOT)) == shared | alone


@pytest.mark.parametrize(
    "stray",
    [
        ".venv/lib/site.py",
        ".venv-checkov/lib/site.py",
        "metric-relay_env/lib/site.py",  # Of azd.
        ".azure/relay/.env",
        ".local/report.json",
        "azure.yaml",
        "infra/main.bicep",
        "infra/.checkov.yaml",
        "local.settings.json",
        "local.settings.other.json",
        "requirements-infra.txt",
        "shared/__pycache__/model.cpython-312.pyc",
        "shared/sources/__pycache__/rest.cpython-312.pyc",
        "tests/infra/package.py",
        ".git/config",
        ".github/workflows/ci.yml",
        "README.md",
    ],
)
def test_what_lies_beside_the_app_stays_behind(tmp_path: Path, stray: str) -> None:
    shutil.copy(ROOT / ".funcignore", tmp_path)
    for name in (stray, "shared/publisher/encoder.py", "function_app.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert published(tmp_path) == [Path("function_app.py"), Path("shared/publisher/encoder.py")]


def test_what_is_not_ignored_is_found(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text("tests\n*.md\n!KEEP.md\n", encoding="utf-8")
    for name in ("tests/a.py", "b.md", "KEEP.md", "secrets.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert published(tmp_path) == [Path("KEEP.md"), Path("secrets.txt")]


@pytest.mark.slow
def test_it_runs_with_what_it_asks_for_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, archive = tmp_path / "app", tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in published(ROOT):
            packed.write(ROOT / path, path)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
        size = sum(one.file_size for one in packed.infolist())
        count = len(packed.infolist())

    python = tmp_path / "venv" / "bin" / "python"
    _run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(str(python), *pip, "-r", str(folder / "requirements.txt"))
    printed = _run(str(python), "-I", package.__file__, str(folder))

    assert json.loads(printed.splitlines()[-1]) == {
        "drain_metrics": "queueTrigger",
        "sample_sources": "timerTrigger",
    }
    zipped = archive.stat().st_size
    with capsys.disabled():
        print(f"\nThe package: {count} files, {size:,} bytes, {zipped:,} zipped")
    assert zipped < 1_000_000


def _run(*command: str) -> str:
    """What the command prints; fails with its errors."""
    # Nothing of this environment: neither its settings nor where it finds modules.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
