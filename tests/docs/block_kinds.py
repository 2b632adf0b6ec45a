"""Kinds of code blocks by language and content, and how the tests check them.

| block | check |
|---|---|
| `sh` | run in one shell for each page, in order |
| `sh` with only `make …` | `make --dry-run`; the targets have tests of their own |
| `sh` that starts a server, such as `-m local.monitor` | started until it is ready |
| `sh` with `az`, `azd` or `func` | `bash -n`; its JSON is checked |
| `python`, `javascript` | run |
| `python`, `javascript`, `java`, `go` of enqueue.md | run by test_languages.py |
| any that begins with a comment of a path | written to that file for the blocks after it |
| `diff` | applied |
| `text` | compared with the output of the block before it; `…` matches anything |
| `json` | checked as a message, sources, a dead letter or settings |
| `toml` | parsed |
| `mermaid` | nothing |

Other languages fail, unless `NOT_CHECKED` gives a reason.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from enum import StrEnum

from local.stack import READY

from .pages import Block

__all__ = [
    "NOT_CHECKED",
    "PROGRAMS_PAGE",
    "SERVERS",
    "BlockKind",
    "commands_of",
    "file_path",
    "kind_of",
    "matches_output",
]


class BlockKind(StrEnum):
    """Kind of a block."""

    SHELL = "shell"
    MAKE = "make"
    SERVER = "server"
    AZURE = "azure"
    PYTHON = "python"
    NODE = "node"
    FILE = "file"
    DIFF = "diff"
    OUTPUT = "output"
    JSON = "json"
    TOML = "toml"
    PROGRAM = "program"
    DIAGRAM = "diagram"
    NOT_CHECKED = "not checked"
    UNKNOWN = "unknown"

    @property
    def runs(self) -> bool:
        """Whether it is run with the other blocks of its page, in order."""
        return self in _RUNS


_RUNS = {
    *(BlockKind.SHELL, BlockKind.MAKE, BlockKind.SERVER, BlockKind.PYTHON, BlockKind.NODE),
    *(BlockKind.FILE, BlockKind.DIFF, BlockKind.OUTPUT),
}

# Page and beginning of the block -> why it is not checked.
NOT_CHECKED: Mapping[tuple[str, str], str] = {
    (
        "docs/emulator.md",
        "MSI_ENDPOINT=http://127.0.0.1:8089/msi/token MSI_SECRET=loca",
    ): "Telegraf is not installed; tests/local/monitor uses its variables",
    (
        "docs/enqueue.md",
        "using System;",
    ): "no package registry of the tests has a C# compiler",
    (
        "docs/doctor.md",
        "✓ storage        relaystx7k2.queue.core.windows.net (Metrics",
    ): "needs an app in Azure; tests/tools/doctor checks the output",
}

# Its programs are run by test_languages.py.
PROGRAMS_PAGE = "docs/enqueue.md"
PROGRAM_LANGUAGES = {"python", "javascript", "java", "go"}

# Programs that run until Ctrl-C -> what they print when they are ready.
SERVERS: Mapping[str, str] = {"local.monitor": r"http://\S+", "local.functions": READY}

_BY_LANGUAGE = {
    "sh": BlockKind.SHELL,
    "python": BlockKind.PYTHON,
    "javascript": BlockKind.NODE,
    "diff": BlockKind.DIFF,
    "text": BlockKind.OUTPUT,
    "json": BlockKind.JSON,
    "toml": BlockKind.TOML,
    "mermaid": BlockKind.DIAGRAM,
}
_AZURE_COMMAND = re.compile(
    r"(?:^|[;&|(]|\b(?:do|if|then|until|while)\b)\s*(?:az|azd|func)\s", re.MULTILINE
)
_FILE = re.compile(r"(?:#|//) ((?:[\w.-]+/)*[\w-]+\.\w+)\n")


def kind_of(block: Block) -> BlockKind:
    """Return the kind of a block."""
    if block.key in NOT_CHECKED:
        return BlockKind.NOT_CHECKED
    if file_path(block) is not None:
        return BlockKind.FILE
    if block.page == PROGRAMS_PAGE and block.language in PROGRAM_LANGUAGES:
        return BlockKind.PROGRAM
    kind = _BY_LANGUAGE.get(block.language, BlockKind.UNKNOWN)
    if kind is not BlockKind.SHELL:
        return kind
    if _AZURE_COMMAND.search(block.text):
        return BlockKind.AZURE
    lines = commands_of(block.text)
    if lines and all(words[0] == "make" for words in lines):
        return BlockKind.MAKE
    if any(words[1:2] == ["-m"] and words[2] in SERVERS for words in lines):
        return BlockKind.SERVER
    return BlockKind.SHELL


def file_path(block: Block) -> str | None:
    """Return the path in the first line of a block, if there is one."""
    match = _FILE.match(block.text)
    return match[1] if match and block.language not in ("sh", "diff") else None


def matches_output(block: Block, printed: str) -> bool:
    """Return whether the lines of a block were printed, in this order."""
    wanted = [line.strip() for line in block.text.splitlines() if line.strip() not in ("", "…")]
    there = iter(line.strip() for line in printed.splitlines())
    return all(any(_matches(one, line) for line in there) for one in wanted)


def _matches(shown: str, printed: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), printed) is not None


def commands_of(text: str) -> list[list[str]]:
    """Return the words of each command line, without comments."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # Part of a command that spans lines.
            continue
        if words:
            found.append(words)
    return found
