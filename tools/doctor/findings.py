"""What a check finds: a status, a message, and a fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "SkippedError", "Status", "failed", "ok", "skipped", "warning"]


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"  # It works, but should be looked at.
    FAILED = "failed"
    SKIPPED = "skipped"  # What it needs failed, or it was not asked for.


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check."""

    check: str  # Its name, which the runner fills in.
    status: Status
    message: str
    fix: tuple[str, ...] = ()  # Lines for a shell: commands, and instructions after a #.


class SkippedError(Exception):
    """The check cannot run; the text says why."""


def ok(message: str) -> Finding:
    """Return a finding that needs no attention."""
    return Finding("", Status.OK, message)


def warning(message: str, *fix: str) -> Finding:
    """Return a finding of what works but should be looked at."""
    return Finding("", Status.WARNING, message, fix)


def failed(message: str, *fix: str) -> Finding:
    """Return a finding of what does not work."""
    return Finding("", Status.FAILED, message, fix)


def skipped(message: str) -> Finding:
    """Return a finding of what was not checked, and why."""
    return Finding("", Status.SKIPPED, message)
