"""What `--help` of the tools says: an example that can be called, and whole sentences."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from tools.__main__ import main

EXAMPLE = re.compile(r"^ +python -m tools (.+)$", re.MULTILINE)


@pytest.mark.parametrize("words", [[], ["doctor"], ["send"]], ids=" ".join)
def test_help_ends_with_examples_whose_options_exist(words: list[str]) -> None:
    text = CliRunner().invoke(main, [*words, "--help"]).stdout
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
    lines = CliRunner().invoke(main, ["--help"]).stdout.partition("Commands:")[2].splitlines()
    told = [line for line in lines if line.split()[:1] and line.split()[0] in main.commands]
    assert len(told) == len(main.commands)
    assert [line for line in told if line.endswith("...")] == []
