"""Run another program as a child: start it, wait for a line of its output, and stop it.

A child leads a process group of its own. So Ctrl-C in a terminal reaches only the parent, which
stops its children in its own order. On Linux, a child that the main thread started also gets
SIGTERM if its parent is killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

__all__ = ["Child", "ChildError", "discard_stdout", "first_ended"]

KEPT_LINES = 2000  # The end of the output, for those that wait for a line.
SHOWN_LINES = 50  # The end of the output in an error message.
PATIENCE = 300.0  # Seconds; Azurite starts in two, on a busy machine in a hundred.
STOP_TIMEOUT = 15.0  # Seconds between SIGTERM and SIGKILL; a host takes 10.4.

# Replaces itself by the program, keeping its process id. The kernel ties the request to the
# thread that started the child, hence "from the main thread": that one lives to the end.
END_WITH_PARENT = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):  # Else the parent died before it could be asked for.
    os.execvp(sys.argv[2], sys.argv[2:])
"""


class ChildError(RuntimeError):
    """Say what a child did instead of what is expected; the message ends with its output."""


class Child:
    """Runs a program in the background and keeps the lines of its stdout and stderr together."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Start `command`; `name` is for error messages; `on_line` gets each line of output."""
        self.name = name
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._ended = False
        self._closed = False
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [*_end_with_parent(), *map(str, command)],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self.pid = self._process.pid  # Of the group, too.
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def output(self) -> str:
        """Return the last lines of output."""
        with self._news:
            return "\n".join(self._lines)

    @property
    def status(self) -> int | None:
        """Return the exit status, negative for a signal; None while the child runs."""
        return self._process.poll()

    @property
    def ending(self) -> str:
        """Say how the child ended, such as `ended with status 1`."""
        status = self.wait()
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def wait_for(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Return the match in the first line, old or new, in which `pattern` is found.

        Raises ChildError when the child ends first or `timeout` seconds pass.
        """
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for line in self._lines:
                    if found := re.search(pattern, line):
                        return found
                remaining = deadline - time.monotonic()
                if self._ended:
                    raise self.error("ended before it was ready")
                if remaining <= 0:
                    raise self.error(f"was not ready within {timeout:g} s")
                self._news.wait(remaining)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until the child has ended by itself; return its exit status. Raises ChildError."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired as exc:
            raise self.error(f"did not end within {timeout:g} s") from exc
        self._close()
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child and all it started; nothing happens when it has ended."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def stop(self, timeout: float = STOP_TIMEOUT) -> int:
        """Send SIGTERM, and SIGKILL after `timeout` seconds; return the exit status."""
        try:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        finally:  # Also when a second Ctrl-C interrupts the wait.
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End the child at once, as a crash would."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._close()

    def _read(self) -> None:
        """Keep what the child prints; runs in a thread until the child closes its output."""
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - Popen was given PIPE.
        with stream:
            for raw in stream:
                line = raw.rstrip("\n")
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
                if self._on_line is not None:
                    self._on_line(line)
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _close(self) -> None:
        """End what the child started and left behind, then read the rest of the output."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._reader.join(STOP_TIMEOUT)

    def error(self, what: str) -> ChildError:
        """Return an error that says what the child did, and shows the end of its output."""
        lines = list(self._lines)[-SHOWN_LINES:]
        return ChildError("\n".join([f"{self.name} {what}; it printed:", *lines]))


def first_ended(children: Sequence[Child]) -> Child | None:
    """Return the first of the children that has ended, None while all run."""
    return next((child for child in children if child.status is not None), None)


def discard_stdout() -> None:
    """Discard what is printed from now on, once BrokenPipeError says that nothing reads it."""
    with Path(os.devnull).open("w", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())


def _end_with_parent() -> list[str]:
    """Return what to put before a command so that it gets SIGTERM when this process dies."""
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return []
    return [sys.executable, "-I", "-S", "-c", END_WITH_PARENT, str(os.getpid())]
