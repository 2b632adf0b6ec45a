"""What a check finds, and how it says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.doctor.patient import Patient

__all__ = ["Check", "Finding", "SkippedError", "Status", "failed", "ok", "skipped", "warning"]


class Status(StrEnum):
    """How a link is."""

    OK = "ok"
    WARNING = "warning"  # It works, and somebody should look at it.
    FAILED = "failed"
    SKIPPED = "skipped"  # Not looked at: what it rests on failed, or nobody asked for it.


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is right or wrong with a link, and what mends it."""

    link: str
    status: Status
    found: str
    remedy: str = ""  # Lines for a shell: commands, and # before what is none.


Check = Callable[["Patient"], Iterator[Finding]]
"""Looks at one link, and notes in the patient what later ones rest on. Raises SkippedError."""


class SkippedError(Exception):
    """The link cannot be looked at; the text says why."""


def ok(found: str) -> Finding:
    """A link that is right; the walk gives it its name."""
    return Finding("", Status.OK, found)


def warning(found: str, *remedy: str) -> Finding:
    """A link that works though something is odd; `remedy` are lines."""
    return Finding("", Status.WARNING, found, "\n".join(remedy))


def failed(found: str, *remedy: str) -> Finding:
    """A link that is broken; `remedy` are lines."""
    return Finding("", Status.FAILED, found, "\n".join(remedy))


def skipped(found: str) -> Finding:
    """A link that is not looked at, and why."""
    return Finding("", Status.SKIPPED, found)
