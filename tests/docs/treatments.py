"""What the doc-tester does with each block, decided by its language and what stands in it.

| block | what is done |
|---|---|
| `sh` | typed into a shell, page by page, in the order of the page |
| `sh` of nothing but `make …` | `make --dry-run`; what the target does has tests of its own |
| `sh` that starts what stays, such as `-m local.monitor` | started, awaited, ended |
| `sh` with `az`, `azd` or `func` | `bash -n`, its JSON is read; it is listed in `ONLY_IN_AZURE` |
| `python`, `javascript` | run by itself |
| any that begins with a comment of a path | written there; what runs after it finds it |
| `diff` | applied |
| `text` | what the block before it printed, `…` standing for anything |
| `json` | checked as what it is: a message, sources, a dead letter, settings |
| `python`, `javascript`, `java`, `go` of enqueue.md | run by test_languages.py |
| `toml`, `mermaid` | read |

Anything else fails, unless `EXCUSED` says why it cannot be run or checked.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from enum import StrEnum

from local.stack import READY

from .pages import Block

__all__ = [
    "EXCUSED",
    "ONLY_IN_AZURE",
    "PROGRAMS_PAGE",
    "STAYS",
    "Treatment",
    "file_of",
    "is_output",
    "lines_of",
    "treatment_of",
]


class Treatment(StrEnum):
    """What is done with a block."""

    SHELL = "shell"
    MAKE = "make"
    START = "start"
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
    EXCUSED = "excused"
    UNKNOWN = "unknown"

    @property
    def runs(self) -> bool:
        """Whether it is part of the story of a page; the others are looked at by themselves."""
        return self in _RUNS


_RUNS = {
    *(Treatment.SHELL, Treatment.MAKE, Treatment.START, Treatment.PYTHON, Treatment.NODE),
    *(Treatment.FILE, Treatment.DIFF, Treatment.OUTPUT),
}

# Signed in to a subscription, which no test has: page -> how the block begins.
_AZURE: Mapping[str, tuple[str, ...]] = {
    "README.md": (
        'az storage message put --auth-mode login --account-name "$ST',
        "GROUP=metric-relay",
    ),
    "docs/deploy.md": (
        "az login",
        "az deployment group create --name metric-relay --resource-gr",
        "func azure functionapp publish $APP --python",
        "az monitor metrics list --resource $(output functionAppId) -",
        "az deployment group create --resource-group $GROUP --templat",
        "azd auth login",
        "ME=$(az ad signed-in-user show --query id --output tsv)",
        "until az storage message put --auth-mode login --account-nam",
        "az provider register --namespace Microsoft.App --wait",
        "PRINCIPAL=$(output principalId)",
    ),
    "docs/doctor.md": ("az functionapp config appsettings list --name $APP --resourc",),
    "docs/operations.md": ("az functionapp stop --resource-group $GROUP --name $APP",),
    "docs/enqueue.md": (
        "az storage message put --auth-mode login --account-name STOR",
        "TOKEN=$(az account get-access-token --resource https://stora",
    ),
}
ONLY_IN_AZURE = frozenset((page, begins) for page, blocks in _AZURE.items() for begins in blocks)

# Page and how the block begins -> why nothing runs or checks it.
EXCUSED: Mapping[tuple[str, str], str] = {
    (
        "docs/emulator.md",
        "MSI_ENDPOINT=http://127.0.0.1:8089/msi/token MSI_SECRET=loca",
    ): "Telegraf is on no machine of ours; its variables are spoken in tests/local/monitor",
    (
        "docs/enqueue.md",
        "using System.Text.Json;",
    ): "the C# compiler is in no registry of the tests; tried by hand with the .NET 10 SDK",
    (
        "docs/doctor.md",
        "✓ storage        relaystx7k2.queue.core.windows.net answers,",
    ): "an app in Azure, which no test has; tests/tools/doctor holds what checks print",
}

# Its programs are run by test_languages.py.
PROGRAMS_PAGE = "docs/enqueue.md"
PROGRAM_LANGUAGES = {"python", "javascript", "java", "go"}

# Programs that run until Ctrl-C -> what they print when they are ready.
STAYS: Mapping[str, str] = {"local.monitor": r"http://\S+", "local.functions": READY}

_BY_LANGUAGE = {
    "sh": Treatment.SHELL,
    "python": Treatment.PYTHON,
    "javascript": Treatment.NODE,
    "diff": Treatment.DIFF,
    "text": Treatment.OUTPUT,
    "json": Treatment.JSON,
    "toml": Treatment.TOML,
    "mermaid": Treatment.DIAGRAM,
}
_OF_AZURE = re.compile(
    r"(?:^|[;&|(]|\b(?:do|if|then|until|while)\b)\s*(?:az|azd|func)\s", re.MULTILINE
)
_FILE = re.compile(r"(?:#|//) ((?:[\w.-]+/)*[\w-]+\.\w+)\n")


def treatment_of(block: Block) -> Treatment:
    """What is done with a block."""
    if block.key in EXCUSED:
        return Treatment.EXCUSED
    if file_of(block) is not None:
        return Treatment.FILE
    if block.page == PROGRAMS_PAGE and block.language in PROGRAM_LANGUAGES:
        return Treatment.PROGRAM
    treatment = _BY_LANGUAGE.get(block.language, Treatment.UNKNOWN)
    if treatment is not Treatment.SHELL:
        return treatment
    if _OF_AZURE.search(block.text):
        return Treatment.AZURE
    lines = lines_of(block.text)
    if lines and all(words[0] == "make" for words in lines):
        return Treatment.MAKE
    if any(words[1:2] == ["-m"] and words[2] in STAYS for words in lines):
        return Treatment.START
    return Treatment.SHELL


def file_of(block: Block) -> str | None:
    """The path that the first line of a block names, if it does."""
    match = _FILE.match(block.text)
    return match[1] if match and block.language not in ("sh", "diff") else None


def is_output(block: Block, printed: str) -> bool:
    """Whether a block shows what was printed: its lines in order; others may be between."""
    wanted = [line.strip() for line in block.text.splitlines() if line.strip() not in ("", "…")]
    there = iter(line.strip() for line in printed.splitlines())
    return all(any(_alike(one, line) for line in there) for one in wanted)


def _alike(shown: str, printed: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), printed) is not None


def lines_of(text: str) -> list[list[str]]:
    """The words of each line of a shell block that can be split into words, comments left out."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # Part of something that spans lines.
            continue
        if words:
            found.append(words)
    return found
