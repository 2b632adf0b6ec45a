"""The command line: `python -m tools --help`."""

from __future__ import annotations

from typing import Any

import click

from shared.errors import RelayError
from tools.dead_letter.commands import dead_letter
from tools.doctor.command import doctor
from tools.send import send

__all__ = ["main"]


class _Commands(click.Group):
    """Says what went wrong in a line, without a traceback, where it is no bug."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RelayError as exc:
            raise click.ClickException(str(exc)) from exc


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  python -m tools doctor
  python -m tools send points.jsonl --watch
  python -m tools dead-letter list
""",
)
def main() -> None:
    """Send metrics, examine a relay, and mend what it refused."""


main.add_command(dead_letter)
main.add_command(doctor)
main.add_command(send)

if __name__ == "__main__":
    main(prog_name="python -m tools")
