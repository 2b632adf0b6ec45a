"""Run the emulator until SIGINT or SIGTERM: `python -m local.monitor`."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .answers import whole_number
from .database import StoreError
from .server import serve
from .state import MonitorState, Options

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    given = vars(_parser().parse_args(arguments))
    port, tls = given.pop("port"), given.pop("tls")
    options = Options(**given, storage=os.environ.get("LOCAL_DEAD_LETTER_STORAGE"))
    try:
        state = MonitorState(options)
    except StoreError as exc:
        print(exc, file=sys.stderr)
        return 1
    try:
        serve(state, port, tls=tls)
    except OSError as exc:
        print(f"Cannot listen on port {port}: {os.strerror(exc.errno or 0)}", file=sys.stderr)
        return 1
    finally:
        state.store.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the options; those of `Options` have its names and defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m local.monitor",
        description="An emulator of the Azure Monitor custom-metrics store, on 127.0.0.1 only.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=_number(0, 65535), help="port to listen on; 0 takes a free one")
    add("--tls", action="store_true", help="serve https; the first line names the CA's file")
    add("--strict", action="store_true", help="answer 404 for resources that were not registered")
    add("--audience", help="audience that tokens must be for")
    add("--identity-header", help="secret of the identity endpoint (IDENTITY_HEADER)")
    text = "client ID of a user-assigned identity that exists; may be repeated (all exist)"
    add("--client-id", dest="client_ids", action="append", metavar="ID", help=text)
    text = "life of a token"
    add("--token-life", dest="token_life_seconds", type=_number(1), metavar="SECONDS", help=text)
    text = "largest body, compressed and not"
    add("--max-body-bytes", type=_number(1), metavar="BYTES", help=text)
    text = "keep the metrics in this SQLite file (in memory only)"
    add("--data", type=Path, metavar="FILE", help=text)
    text = "queue of dead letters to show; LOCAL_DEAD_LETTER_STORAGE has its connection string"
    add("--dead-letters", metavar="QUEUE", help=text)
    defaults = dataclasses.asdict(Options())
    del defaults["storage"]  # Only the environment has it.
    parser.set_defaults(port=0, **defaults)
    return parser


def _number(least: int, most: int = 10**9) -> Callable[[str], int]:
    """Return a parser of whole numbers within limits."""

    def parse(text: str) -> int:
        number = whole_number(text)
        if number is None or not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is not a number from {least} to {most}")
        return number

    return parse


if __name__ == "__main__":
    sys.exit(main())
