"""`local.setup`: what is installed, when, and what it prints."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from local import node, setup
from local.setup import Azurite, Installation, PythonPackages, SetupError

LOCK = '{"packages": {"": {}, "node_modules/a": {}, "node_modules/b": {}}}'


class RecordedCommands(Installation):
    """Carries out nothing but `effects`, by a word of the command."""

    def __init__(self, **effects: Callable[[], None]) -> None:
        super().__init__()
        self.commands: list[str] = []
        self._effects = effects

    def call(self, command: Sequence[str | Path], *_: object, **__: object) -> None:
        words = list(map(str, command))
        self.commands.append(" ".join(words))
        for word in self._effects.keys() & words:
            self._effects[word]()


def ignore(_: str) -> None:
    """Take a report of progress."""


# --- Python packages ------------------------------------------------------------------------------


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    (tmp_path / "base.txt").write_text("requests\n", encoding="utf-8")
    file = tmp_path / "dev.txt"
    file.write_text("# A comment\n-r base.txt\npytest\n", encoding="utf-8")
    return file


def add_interpreter(venv: Path, identity: str = f"{sys.base_prefix} {sys.version}") -> None:
    """Make what looks like a virtual environment of this interpreter, and cannot install."""
    add_script(
        venv / "bin" / "python", f"[ $1 = -c ] && echo '{identity}' && exit; echo no pip; exit 3"
    )


def add_script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)


def test_packages_are_installed_once(tmp_path: Path, requirements: Path) -> None:
    venv = tmp_path / "venv"
    commands = RecordedCommands(venv=lambda: add_interpreter(venv))
    packages = PythonPackages(commands, venv, requirements)
    assert not packages.is_current()
    packages.install(ignore)
    make, install = commands.commands
    assert make == f"{sys.executable} -m venv --clear {venv}"
    assert install.startswith(f"{venv}/bin/python -m pip install ")
    assert install.endswith(f"-r {requirements}")
    assert packages.is_current()
    assert PythonPackages(commands, venv, requirements.with_name("base.txt")).is_current()


def test_a_changed_requirement_is_installed_into_the_same_environment(
    tmp_path: Path, requirements: Path
) -> None:
    venv = tmp_path / "venv"
    add_interpreter(venv)
    commands = RecordedCommands()
    packages = PythonPackages(commands, venv, requirements)
    packages.install(ignore)
    requirements.with_name("base.txt").write_text("requests>=2\n", encoding="utf-8")
    assert not packages.is_current()
    packages.install(ignore)
    assert ["-m pip install" in command for command in commands.commands] == [True, True]
    assert packages.is_current()


@pytest.mark.parametrize("script", ["echo /usr 3.10.0", "exit 1"])
def test_the_environment_of_another_interpreter_is_made_again(
    tmp_path: Path, requirements: Path, script: str
) -> None:
    venv = tmp_path / "venv"
    add_interpreter(venv)
    commands = RecordedCommands(venv=lambda: add_interpreter(venv))
    packages = PythonPackages(commands, venv, requirements)
    packages.install(ignore)
    add_script(venv / "bin" / "python", script)
    assert not packages.is_current()
    packages.install(ignore)
    assert f"{sys.executable} -m venv --clear {venv}" in commands.commands
    assert packages.is_current()


def test_the_command_calls_the_tools_from_any_folder(tmp_path: Path) -> None:
    venv = tmp_path / "a folder" / "venv"
    (venv / "bin").mkdir(parents=True)
    add_script(venv / "bin" / "python", f'exec {sys.executable} "$@"')
    PythonPackages(RecordedCommands(), venv, setup.ROOT / "requirements-dev.txt").write_command()
    command = venv / "bin" / "metric-relay"
    done = subprocess.run(
        [command, "send", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "\n    'a folder/venv/bin/metric-relay' send points.jsonl --watch\n" in done.stdout


def test_an_environment_without_the_tools_has_no_command(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    packages = PythonPackages(RecordedCommands(), tmp_path, setup.ROOT / "requirements.txt")
    packages.write_command()
    assert list((tmp_path / "bin").iterdir()) == []


# --- Azurite --------------------------------------------------------------------------------------


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put node_modules, and Node.js from a wheel, into a folder; return node_modules."""
    lock, modules, wheel = tmp_path / "lock.json", tmp_path / "node_modules", tmp_path / "wheel"
    lock.write_text(LOCK, encoding="utf-8")
    monkeypatch.setattr(setup, "LOCK", lock)
    monkeypatch.setattr(setup, "NODE_MODULES", modules)
    monkeypatch.setattr(setup, "INSTALLED", modules / ".installed.json")
    monkeypatch.setattr(setup, "UNUSED_HEADERS", wheel / "include")
    monkeypatch.setattr(node, "WHEEL_FOLDER", wheel)
    monkeypatch.setattr(node, "FROM_WHEEL", wheel / "node")
    return modules


def write(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def set_node(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a Node.js of a version, and npm, on a PATH that has nothing else."""
    for name in ("node", "npm"):
        add_script(folder / name, f"echo {version}")
    monkeypatch.setenv("PATH", str(folder))
    return folder / "node"


def test_azurite_is_installed_without_what_nothing_reads(
    tmp_path: Path, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_node(tmp_path / "bin", "v22.1.0", monkeypatch)
    files = [modules / "a" / name for name in ("a.js", "a.js.map", "a.d.ts", "b.d.mts")]
    commands = RecordedCommands(ci=lambda: write(*files))
    azurite = Azurite(commands, PythonPackages(commands, tmp_path, tmp_path))
    assert not azurite.is_current()
    azurite.install(ignore)
    (command,) = commands.commands
    assert command.startswith("npm ci ")
    assert sorted(path.name for path in (modules / "a").iterdir()) == ["a.js"]
    assert azurite.is_current()
    setup.LOCK.write_text("{}", encoding="utf-8")
    assert not azurite.is_current()


def test_node_comes_from_a_wheel_where_there_is_none(
    tmp_path: Path, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    wheel = node.WHEEL_FOLDER
    commands = RecordedCommands(
        **{node.WHEEL: lambda: write(node.FROM_WHEEL, wheel / "include" / "node.h")},
        ci=lambda: write(modules / "a.js"),
    )
    packages = PythonPackages(commands, tmp_path / "venv", tmp_path)
    packages.has_pip.set()
    azurite = Azurite(commands, packages)
    azurite.install(ignore)
    pip, npm_ci = commands.commands
    assert pip.startswith(f"{tmp_path}/venv/bin/python -m pip install ")
    assert npm_ci.startswith("npm ci ")
    assert node.node() == node.FROM_WHEEL
    assert list(wheel.iterdir()) == [node.FROM_WHEEL]
    assert azurite.is_current()
    node.FROM_WHEEL.unlink()
    assert not azurite.is_current()


@pytest.mark.parametrize(
    ("version", "is_used"),
    [("v20.18.3", False), ("v20.19.0", True), ("v23.1.0", True), ("nonsense; exit 1", False)],
)
def test_node_of_the_machine_is_used_if_it_is_new_enough(
    tmp_path: Path, modules: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_used: bool
) -> None:
    on_path = set_node(tmp_path / "bin", version, monkeypatch)
    if is_used:
        assert node.node() == on_path
    else:
        with pytest.raises(LookupError, match=r"^Node.js 20.19 or newer was not found"):
            node.node()


# --- Commands side by side ------------------------------------------------------------------------


def test_one_failure_ends_the_other_job() -> None:
    installation = Installation()
    children: list[int] = []
    is_started = threading.Event()

    def wait_forever(_: Callable[[str], None]) -> None:
        def on_line(line: str) -> None:
            children.append(int(line))
            is_started.set()

        installation.call(["sh", "-c", "echo $$; exec sleep 600"], on_line)

    def fail(_: Callable[[str], None]) -> None:
        is_started.wait()
        installation.call(["sh", "-c", "echo no such package >&2; exit 3"])

    with pytest.raises(SetupError, match=r"(?s)exit 3' failed:\nno such package\n$"):
        installation.run({"Azurite": wait_forever, "Python packages": fail})
    assert subprocess.run(["ps", "-p", str(children[0])], check=False).returncode == 1  # noqa: S607


def test_progress_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "PERIOD", 0.01)
    lines: list[str] = []
    is_printed = threading.Event()

    def keep(line: str, **_: object) -> None:
        lines.append(line)
        if "3 of 9 packages" in line:
            is_printed.set()

    def job(report: Callable[[str], None]) -> None:
        report("3 of 9 packages")
        is_printed.wait()

    monkeypatch.setattr(setup, "print", keep, raising=False)
    Installation().run({"Azurite": job})
    assert lines[-1] == "   0 s  Azurite: 3 of 9 packages"


def test_a_failure_is_printed(
    tmp_path: Path, requirements: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    venv = tmp_path / "venv"
    add_interpreter(venv)
    assert setup.main(["--venv", str(venv), str(requirements)]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"Installing Python packages into {venv} …\n"
    assert printed.err.endswith(f"-r {requirements} failed:\nno pip\n\n")
