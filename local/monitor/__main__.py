"""`python -m local.monitor`: the emulator of the Azure Monitor custom-metrics store."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .database import StoreError
from .server import serve
from .state import MonitorState, Options

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; gives the exit code."""
    given = _parser().parse_args(arguments)
    options = Options(
        identity_header=given.identity_header,
        audience=given.audience,
        client_ids=None if given.client_id is None else frozenset(given.client_id),
        token_life_seconds=given.token_life,
        max_body_bytes=given.max_body_bytes,
        strict=given.strict,
        seed=given.seed,
        data=given.data,
        dead_letters=given.dead_letters,
        storage=os.environ.get("LOCAL_DEAD_LETTER_STORAGE"),
    )
    try:
        state = MonitorState(options)
    except StoreError as exc:
        print(exc, file=sys.stderr)
        return 1
    try:
        serve(state, given.port, tls=given.tls)
    except OSError as exc:
        print(f"Cannot listen on port {given.port}: {exc.strerror}", file=sys.stderr)
        return 1
    finally:
        state.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(
        prog="python -m local.monitor",
        description="An emulator of the Azure Monitor custom-metrics store, on 127.0.0.1 only.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=_port, default=0, help="port to listen on; 0 takes a free one")
    add("--tls", action="store_true", help="serve https; the first line names the CA's file")
    add("--strict", action="store_true", help="answer 404 for resources that were not registered")
    add("--audience", default=defaults.audience, help="audience that tokens must be for")
    text = "secret of the identity endpoint (IDENTITY_HEADER)"
    add("--identity-header", default=defaults.identity_header, help=text)
    text = "client ID of a user-assigned identity that exists; may be repeated (all exist)"
    add("--client-id", action="append", metavar="ID", help=text)
    seconds, size = defaults.token_life_seconds, defaults.max_body_bytes
    add("--token-life", type=int, default=seconds, metavar="SECONDS", help="life of a token")
    text = "largest body, compressed and not"
    add("--max-body-bytes", type=int, default=size, metavar="BYTES", help=text)
    text = "keep what is stored in this SQLite file over a restart (in memory only)"
    add("--data", type=Path, metavar="FILE", help=text)
    text = "queue of dead letters to show; LOCAL_DEAD_LETTER_STORAGE has its connection string"
    add("--dead-letters", metavar="QUEUE", help=text)
    add("--seed", type=int, default=defaults.seed, help="of the faults' random shares")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 65535")
    return number


if __name__ == "__main__":
    sys.exit(main())
