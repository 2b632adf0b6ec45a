"""How commands write: results to standard output, everything else to standard error.

Colours and progress bars appear on a terminal only; `NO_COLOR` is obeyed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Command", "err", "find_program", "out", "printable", "program", "progress"]

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


class Command(click.Command):
    """A command whose epilog may say {program}, which is how the user called the program."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilog with the name of the program."""
        if self.epilog:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(self.epilog.replace("{program}", program(ctx)))


def program(ctx: click.Context | None = None) -> str:
    """Return how the program was called, for commands to print: `.venv/bin/metric-relay`."""
    return (ctx or click.get_current_context()).find_root().command_path


def find_program(called: str | None = None) -> str:
    """Return the words that call the program from the current folder.

    `called` is the file that runs; by default that of this process.
    """
    file, words = Path(called or sys.argv[0]).absolute(), ""
    if file.name == "__main__.py":
        file, words = Path(sys.executable), " -m tools"
    found = shutil.which(file.name)
    if found is not None and Path(found).absolute() == file:
        return f"{file.name}{words}"  # It is on PATH.
    shown = os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)
    return f"{shlex.quote(shown)}{words}"


def printable(text: str) -> str:
    """Return a text as one line without control characters."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def progress() -> Progress:
    """Return a bar on standard error that is gone when it is done; it shows on a terminal only."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
