"""Every code block of the documentation is run or checked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema
import pytest

from local.processes import Child
from local.stack import INGRESS

from .block_kinds import (
    NOT_CHECKED,
    SERVERS,
    BlockKind,
    commands_of,
    file_path,
    kind_of,
    matches_output,
)
from .expectations import EXPECTED
from .messages import check_json, check_message
from .pages import PAGES, Block, read
from .sandbox import PLACEHOLDERS, Sandbox, filled
from .shell import Shell, ShellError

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

BLOCKS = [block for path in PAGES for block in read(path).blocks]
# Programs that a page needs.
NEEDS = {"docs/emulator.md": "curl", "docs/enqueue.md": "curl", "docs/adding-a-source.md": "git"}
# This page runs tests itself.
SLOW = {"docs/adding-a-source.md"}
PAGES_WITH_COMMANDS = [
    pytest.param(path, marks=pytest.mark.slow) if path in SLOW else path
    for path in PAGES
    if any(kind_of(one).runs for one in read(path).blocks)
]


def test_no_block_is_left_out() -> None:
    unknown = [block.name for block in BLOCKS if kind_of(block) is BlockKind.UNKNOWN]
    assert unknown == []


def test_exceptions_and_expectations_are_current() -> None:
    keys = [block.key for block in BLOCKS]
    assert all(keys.count(key) == 1 for key in NOT_CHECKED)
    assert EXPECTED.keys() <= set(PAGES)


def test_every_placeholder_is_used() -> None:
    everything = "".join(block.text for block in BLOCKS)
    assert [one for one in PLACEHOLDERS if one not in everything] == []


@pytest.mark.parametrize("path", PAGES_WITH_COMMANDS)
def test_a_page_does_what_it_says(path: str, sandbox: Sandbox, eventually: Ask) -> None:
    tool = NEEDS.get(path, "bash")
    if shutil.which(tool) is None:
        pytest.skip(f"there is no {tool}")
    printed: dict[Block, str] = {}
    with Shell(sandbox.checkout, sandbox.environ) as shell:
        for block in read(path).blocks:
            if kind_of(block).runs:
                try:
                    if kind_of(block) is BlockKind.OUTPUT:
                        last = list(printed.values())[-1]
                        assert matches_output(block, last), f"is not what was printed:\n{last}"
                        continue
                    printed[block] = _run(block, sandbox, shell)
                except (AssertionError, subprocess.SubprocessError) as exc:
                    pytest.fail(f"{block.name}: {_describe(exc)}", pytrace=False)
    queue = sandbox.backend.storage.get_queue_client(INGRESS)
    waiting = eventually(
        lambda: queue.get_queue_properties().approximate_message_count, lambda count: not count
    )
    assert waiting == 0
    expected = EXPECTED.get(path)
    if expected is not None:
        expected(sandbox.backend, list(printed.values()))
    else:
        assert sandbox.backend.dead_letters() == []


def _describe(exc: BaseException) -> str:
    if isinstance(exc, subprocess.CalledProcessError):
        return f"ended with {exc.returncode} after printing:\n{exc.stdout}"
    return str(exc)


def _run(block: Block, sandbox: Sandbox, shell: Shell) -> str:
    text = sandbox.filled(block.text)
    match kind_of(block):
        case BlockKind.SHELL:
            return shell.run(text)
        case BlockKind.MAKE:
            return "".join(_dry_run(words, sandbox) for words in commands_of(text))
        case BlockKind.SERVER:
            return "".join(_start(words, sandbox) for words in commands_of(text))
        case BlockKind.PYTHON:
            return _program([sys.executable, "-"], sandbox, text)
        case BlockKind.NODE:
            script = sandbox.checkout / "local" / "example.mjs"
            script.write_text(text, encoding="utf-8")
            return _program(["node", str(script)], sandbox)
        case BlockKind.FILE:
            file = sandbox.checkout / (file_path(block) or "")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
            return ""
        case BlockKind.DIFF:
            return _program(["git", "apply", "-"], sandbox, block.text)
    raise AssertionError("this kind is not run")


def _program(command: list[str], sandbox: Sandbox, given: str = "") -> str:
    return subprocess.run(
        command,
        cwd=sandbox.checkout,
        env=sandbox.environ,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
        check=True,
    ).stdout


def _dry_run(words: list[str], sandbox: Sandbox) -> str:
    make, *arguments = words
    return _program([make, "--dry-run", *arguments], sandbox)


def _start(words: list[str], sandbox: Sandbox) -> str:
    """Start a server, and wait until it is ready."""
    if words[0] == "make":
        return _dry_run(words, sandbox)
    name, command = words[2], [sys.executable, *words[1:]]
    with Child(name, command, env=sandbox.environ, cwd=sandbox.checkout) as child:
        return child.wait_for(SERVERS[name])[0]


def checked(*kinds: BlockKind) -> pytest.MarkDecorator:
    """Parametrize with all blocks of these kinds."""
    blocks = [block for block in BLOCKS if kind_of(block) in kinds]
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.name)


@checked(BlockKind.JSON)
def test_json_is_valid(block: Block) -> None:
    check_json(filled(block.text))


@checked(BlockKind.TOML)
def test_toml_is_valid(block: Block) -> None:
    tomllib.loads(block.text)


@checked(BlockKind.AZURE)
def test_commands_for_azure_are_valid_shell(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)  # noqa: S607
    text = filled(block.text)
    for given in re.findall(r"='([{\[].*?)'(?:\s|$)", text, re.DOTALL):
        json.loads(given)
    for content in re.findall(r"--content '(.+?)'", text, re.DOTALL):
        check_message(content)


# --- Tests of the checks ------------------------------------------------------------------------


def block_of(language: str, text: str) -> Block:
    return Block("docs/none.md", 1, language, text)


KINDS: Mapping[str, tuple[Block, BlockKind]] = {
    "plain shell": (block_of("sh", "echo 1\n"), BlockKind.SHELL),
    "make alone": (block_of("sh", "make demo  # all of it\nmake test\n"), BlockKind.MAKE),
    "make and more": (block_of("sh", "make demo\necho 1\n"), BlockKind.SHELL),
    "az": (block_of("sh", "GROUP=x\naz group create --name $GROUP\n"), BlockKind.AZURE),
    "az within": (block_of("sh", "ME=$(az ad signed-in-user show)\n"), BlockKind.AZURE),
    "func": (block_of("sh", "cd x && func start\n"), BlockKind.AZURE),
    "a word with az in it": (block_of("sh", "echo blaz az.txt\n"), BlockKind.SHELL),
    "a server": (block_of("sh", ".venv/bin/python -m local.monitor\n"), BlockKind.SERVER),
    "a file": (block_of("python", "# shared/x.py\nimport y\n"), BlockKind.FILE),
    "a comment": (block_of("python", "# with shared.x\nimport y\n"), BlockKind.PYTHON),
    "no language": (block_of("", "whatever\n"), BlockKind.UNKNOWN),
    "output": (block_of("text", "201\n"), BlockKind.OUTPUT),
    "strange language": (block_of("cobol", "whatever\n"), BlockKind.UNKNOWN),
}


@pytest.mark.parametrize("case", KINDS)
def test_the_kind_of_a_block(case: str) -> None:
    block, kind = KINDS[case]
    assert kind_of(block) is kind


def test_a_block_that_fails_is_reported(sandbox: Sandbox) -> None:
    with Shell(sandbox.checkout, sandbox.environ) as shell:
        assert shell.run("one=1\n") == ""
        assert shell.run('printf "$one"\ncat') == "1"
        with pytest.raises(ShellError, match="ended with 1 after printing:\nbefore\n"):
            shell.run("echo before\nfalse\necho after\n")


def test_a_program_that_fails_is_reported(sandbox: Sandbox) -> None:
    with Shell(sandbox.checkout, sandbox.environ) as shell:
        for block in (block_of("python", "import nothing"), block_of("javascript", "nothing()")):
            with pytest.raises(subprocess.CalledProcessError):
                _run(block, sandbox, shell)


OUTPUTS = {
    "the same": ("a\nb\n", True),
    "a part": ("b\n", True),
    "with a gap": ("a\n…\nlast … of it\n", True),
    "another line": ("a\nB\n", False),
    "another order": ("b\na\n", False),
    "a part of a line": ("last\n", False),
}


@pytest.mark.parametrize(("shown", "right"), OUTPUTS.values(), ids=OUTPUTS)
def test_output_is_compared(shown: str, right: bool) -> None:
    assert matches_output(block_of("text", shown), "a\n  b\n\nlast line of it\n") is right


BAD = {
    "message": '{"points": [{"metric": "Orders", "valu": 7}]}',
    "sources": '[{"kind": "rest", "resourceId": "/subscriptions/1"}]',
    "syntax": "{",
    "nothing known": '{"a": 1}',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_invalid_json_is_reported(text: str) -> None:
    with pytest.raises((AssertionError, ValueError, jsonschema.ValidationError)):
        check_json(text)
