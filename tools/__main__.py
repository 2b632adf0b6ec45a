"""The command line: `metric-relay --help`, or `python -m tools --help`."""

from __future__ import annotations

import sys
from typing import Any

import click

from shared.errors import RelayError
from tools.console import Command, find_program
from tools.dead_letter.commands import dead_letter
from tools.doctor.command import doctor
from tools.send.command import send

__all__ = ["main", "run"]


class _Commands(Command, click.Group):
    """Prints an expected error as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RelayError as exc:
            raise click.ClickException(str(exc)) from exc
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            sys.exit(130)


@click.group(
    cls=_Commands,
    commands=[dead_letter, doctor, send],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  {program} doctor
  {program} send points.jsonl --watch
  {program} dead-letter list
""",
)
def main() -> None:
    """Send metrics, check a relay, and work on its dead letters."""


def run() -> None:
    """Run the command that the process was called with."""
    main(prog_name=find_program())


if __name__ == "__main__":
    run()
