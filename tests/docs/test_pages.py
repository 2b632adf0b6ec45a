"""Every block of every page is run, or checked, or named as one that cannot be."""

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

from .expectations import EXPECTED
from .messages import check_json, check_message
from .pages import PAGES, Block, read
from .shell import Shell, ShellError
from .treatments import (
    EXCUSED,
    ONLY_IN_AZURE,
    STAYS,
    Treatment,
    file_of,
    is_output,
    lines_of,
    treatment_of,
)
from .world import PLACEHOLDERS, World, filled

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

BLOCKS = [block for path in PAGES for block in read(path).blocks]
# What a page takes for granted and may not be there.
NEEDS = {"docs/emulator.md": "curl", "docs/enqueue.md": "curl", "docs/adding-a-source.md": "git"}
# One that runs tests itself takes its time.
SLOW = {"docs/adding-a-source.md"}
STORIES = [
    pytest.param(path, marks=pytest.mark.slow) if path in SLOW else path
    for path in PAGES
    if any(treatment_of(one).runs for one in read(path).blocks)
]


def test_no_block_is_left_out() -> None:
    unknown = [block.name for block in BLOCKS if treatment_of(block) is Treatment.UNKNOWN]
    assert unknown == []


def test_what_is_listed_is_there_and_what_is_there_is_listed() -> None:
    azure = {block.key for block in BLOCKS if treatment_of(block) is Treatment.AZURE}
    assert azure == ONLY_IN_AZURE
    keys = [block.key for block in BLOCKS]
    assert EXCUSED.keys() <= set(keys)
    assert all(keys.count(key) == 1 for key in (*ONLY_IN_AZURE, *EXCUSED))
    assert EXPECTED.keys() <= set(PAGES)


def test_every_placeholder_is_used() -> None:
    everything = "".join(block.text for block in BLOCKS)
    assert [one for one in PLACEHOLDERS if one not in everything] == []


@pytest.mark.parametrize("path", STORIES)
def test_a_page_does_what_it_says(path: str, world: World, eventually: Ask) -> None:
    tool = NEEDS.get(path, "bash")
    if shutil.which(tool) is None:
        pytest.skip(f"there is no {tool}")
    printed: dict[Block, str] = {}
    with Shell(world.checkout, world.environ) as shell:
        for block in read(path).blocks:
            if treatment_of(block).runs:
                try:
                    if treatment_of(block) is Treatment.OUTPUT:
                        last = list(printed.values())[-1]
                        assert is_output(block, last), f"is not what was printed:\n{last}"
                        continue
                    printed[block] = _run(block, world, shell)
                except (AssertionError, subprocess.SubprocessError) as exc:
                    pytest.fail(f"{block.name}: {_words(exc)}", pytrace=False)
    queue = world.backend.storage.get_queue_client(INGRESS)
    waiting = eventually(
        lambda: queue.get_queue_properties().approximate_message_count, lambda count: not count
    )
    assert waiting == 0
    expected = EXPECTED.get(path)
    if expected is not None:
        expected(world.backend, list(printed.values()))
    else:
        assert world.backend.dead_letters() == []


def _words(exc: BaseException) -> str:
    if isinstance(exc, subprocess.CalledProcessError):
        return f"ended with {exc.returncode} after printing:\n{exc.stdout}"
    return str(exc)


def _run(block: Block, world: World, shell: Shell) -> str:
    text = world.filled(block.text)
    match treatment_of(block):
        case Treatment.SHELL:
            return shell.run(text)
        case Treatment.MAKE:
            return "".join(_dry_run(words, world) for words in lines_of(text))
        case Treatment.START:
            return "".join(_start(words, world) for words in lines_of(text))
        case Treatment.PYTHON:
            return _program([sys.executable, "-"], world, text)
        case Treatment.NODE:
            script = world.checkout / "local" / "example.mjs"
            script.write_text(text, encoding="utf-8")
            return _program(["node", str(script)], world)
        case Treatment.FILE:
            file = world.checkout / (file_of(block) or "")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
            return ""
        case Treatment.DIFF:
            return _program(["git", "apply", "-"], world, block.text)
    raise AssertionError("it is not run")


def _program(command: list[str], world: World, given: str = "") -> str:
    return subprocess.run(
        command,
        cwd=world.checkout,
        env=world.environ,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
        check=True,
    ).stdout


def _dry_run(words: list[str], world: World) -> str:
    make, *arguments = words
    return _program([make, "--dry-run", *arguments], world)


def _start(words: list[str], world: World) -> str:
    """Start what stays until it is ready; what stands before it is `make setup`."""
    if words[0] == "make":
        return _dry_run(words, world)
    name, command = words[2], [sys.executable, *words[1:]]
    with Child(name, command, env=world.environ, cwd=world.checkout) as child:
        return child.wait_for(STAYS[name])[0]


def checked(*treatments: Treatment) -> pytest.MarkDecorator:
    """The blocks that are looked at by themselves."""
    blocks = [block for block in BLOCKS if treatment_of(block) in treatments]
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.name)


@checked(Treatment.JSON)
def test_json_is_what_it_should_be(block: Block) -> None:
    check_json(filled(block.text))


@checked(Treatment.TOML)
def test_toml_is_toml(block: Block) -> None:
    tomllib.loads(block.text)


@checked(Treatment.AZURE)
def test_what_needs_azure_is_good_shell(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)  # noqa: S607
    text = filled(block.text)
    for given in re.findall(r"='([{\[].*?)'(?:\s|$)", text, re.DOTALL):
        json.loads(given)
    for content in re.findall(r"--content '(.+?)'", text, re.DOTALL):
        check_message(content)


@checked(Treatment.DIAGRAM)
def test_a_diagram_joins_what_it_declares(block: Block) -> None:
    first, *lines = [line.strip() for line in block.text.splitlines() if line.strip()]
    assert first.startswith("flowchart ")
    declared: set[str] = set()
    joined: set[str] = set()
    for line in lines:
        for name in re.findall(r"(?:^|[>|&] )(\w+)[\[({]", line):
            declared.add(name)
        if "-->" in line or "-.->" in line:
            plain = re.sub(r"[\[({]+.*?[\])}]+|\|.*?\|", "", line)
            joined.update(re.findall(r"\w+", plain))
        for opening, closing in ("[]", "()"):
            assert line.count(opening) == line.count(closing), line
    assert joined
    assert joined <= declared


# --- The tester itself ---------------------------------------------------------------------------


def block_of(language: str, text: str) -> Block:
    return Block("docs/none.md", 1, language, text)


KINDS: Mapping[str, tuple[Block, Treatment]] = {
    "plain shell": (block_of("sh", "echo 1\n"), Treatment.SHELL),
    "make alone": (block_of("sh", "make demo  # all of it\nmake test\n"), Treatment.MAKE),
    "make and more": (block_of("sh", "make demo\necho 1\n"), Treatment.SHELL),
    "az": (block_of("sh", "GROUP=x\naz group create --name $GROUP\n"), Treatment.AZURE),
    "az within": (block_of("sh", "ME=$(az ad signed-in-user show)\n"), Treatment.AZURE),
    "func": (block_of("sh", "cd x && func start\n"), Treatment.AZURE),
    "a word with az in it": (block_of("sh", "echo blaz az.txt\n"), Treatment.SHELL),
    "a server": (block_of("sh", ".venv/bin/python -m local.monitor\n"), Treatment.START),
    "a file": (block_of("python", "# shared/x.py\nimport y\n"), Treatment.FILE),
    "a comment": (block_of("python", "# with shared.x\nimport y\n"), Treatment.PYTHON),
    "no language": (block_of("", "whatever\n"), Treatment.UNKNOWN),
    "output": (block_of("text", "201\n"), Treatment.OUTPUT),
    "strange language": (block_of("cobol", "whatever\n"), Treatment.UNKNOWN),
}


@pytest.mark.parametrize("case", KINDS)
def test_a_block_is_told_by_what_it_is(case: str) -> None:
    block, treatment = KINDS[case]
    assert treatment_of(block) is treatment


def test_a_block_that_fails_is_noticed(world: World) -> None:
    with Shell(world.checkout, world.environ) as shell:
        assert shell.run("one=1\n") == ""
        assert shell.run('printf "$one"\ncat') == "1"
        with pytest.raises(ShellError, match="ended with 1 after printing:\nbefore\n"):
            shell.run("echo before\nfalse\necho after\n")


def test_a_program_that_fails_is_noticed(world: World) -> None:
    with Shell(world.checkout, world.environ) as shell:
        for block in (block_of("python", "import nothing"), block_of("javascript", "nothing()")):
            with pytest.raises(subprocess.CalledProcessError):
                _run(block, world, shell)


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
    assert is_output(block_of("text", shown), "a\n  b\n\nlast line of it\n") is right


BAD = {
    "message": '{"points": [{"metric": "Orders", "valu": 7}]}',
    "sources": '[{"kind": "rest", "resourceId": "/subscriptions/1"}]',
    "syntax": "{",
    "nothing known": '{"a": 1}',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_bad_json_is_noticed(text: str) -> None:
    with pytest.raises((AssertionError, ValueError, jsonschema.ValidationError)):
        check_json(text)
