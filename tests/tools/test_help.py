"""The help of the commands: examples that can be called, and whole sentences."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tools.__main__ import main
from tools.console import find_program

EXAMPLE = re.compile(r"^ +(?:metric-relay|python -m tools) (.+)$", re.MULTILINE)


def help_of(*words: str) -> str:
    return CliRunner().invoke(main, [*words, "--help"], prog_name="metric-relay").stdout


@pytest.mark.parametrize("words", [[], ["doctor"], ["send"]], ids=" ".join)
def test_help_ends_with_examples_whose_options_exist(words: list[str]) -> None:
    text = help_of(*words)
    examples = EXAMPLE.findall(text[text.index("Example") :].replace("\\\n", ""))
    assert examples
    for example in examples:
        options = [word for word in shlex.split(example) if word.startswith("--")]
        command: click.Command = main
        for word in shlex.split(example):
            if isinstance(command, click.Group):
                command = command.commands[word]
        known = {name for option in command.params for name in option.opts}
        assert {*options} <= known, example


def test_the_line_of_each_command_is_whole() -> None:
    lines = help_of().partition("Commands:")[2].splitlines()
    told = [line for line in lines if line.split()[:1] and line.split()[0] in main.commands]
    assert len(told) == len(main.commands)
    assert [line for line in told if line.endswith("...")] == []


def test_a_command_is_shown_as_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "a folder" / "metric-relay"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["a folder/metric-relay", "send"])
    assert find_program() == "'a folder/metric-relay'"
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script), "send"])
    assert find_program() == "metric-relay"
    monkeypatch.setattr(sys, "argv", ["/relay/tools/__main__.py", "send"])
    monkeypatch.setattr(sys, "orig_argv", [".venv/bin/python", "-m", "tools", "send"])
    assert find_program() == ".venv/bin/python -m tools"
