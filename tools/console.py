"""Output of the commands: results to standard output, everything else to standard error.

Colours and progress bars appear on a terminal only; `NO_COLOR` is obeyed.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

__all__ = ["Command", "err", "find_program", "out", "program", "progress"]

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


def find_program() -> str:
    """Return the words with which the user called this process."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.orig_argv[0])} -m tools"
    if shutil.which(called.name) == sys.argv[0]:  # The shell found it on PATH.
        return called.name
    return shlex.quote(sys.argv[0])


def progress() -> Progress:
    """Return a bar on standard error that is gone when it is done; it shows on a terminal only."""
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
