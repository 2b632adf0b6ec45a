"""A shell that runs blocks one after the other, as a reader would."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

__all__ = ["Shell", "ShellError"]

_END = "\u2400 end of block \u2400"


class ShellError(AssertionError):
    """A command of a block failed; the message has what it printed."""


class Shell:
    """One bash process: variables stay set, and the first command that fails ends it."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._scripts = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail"],  # noqa: S607
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()
        self._scripts.cleanup()

    def run(self, text: str) -> str:
        """Run a block and return its output. Raises ShellError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        script = Path(self._scripts.name) / "block.sh"
        script.write_text(text, encoding="utf-8")
        # A command that reads standard input must not read the blocks that follow.
        self._process.stdin.write(f". {script} </dev/null; printf '%s\\n' '{_END}'\n")
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            if line.endswith(f"{_END}\n"):  # Also after output without a newline.
                return printed + line.removesuffix(f"{_END}\n")
            printed += line
        raise ShellError(f"ended with {self._process.wait()} after printing:\n{printed}")
