"""Findings for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from tools.doctor.findings import Finding, Status

__all__ = ["as_json", "show"]

# Status -> sign and style; every sign is one column wide.
_SIGNS = {
    Status.OK: ("✓", "green"),
    Status.WARNING: ("!", "yellow"),
    Status.FAILED: ("✗", "red"),
    Status.SKIPPED: ("-", "dim"),
}


def as_json(findings: Sequence[Finding]) -> str:
    """A list of objects with link, status, found and remedy, all of them text."""
    return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)


def show(findings: Sequence[Finding], console: Console) -> None:
    """A line for each finding, and below it the lines of its remedy, to be copied."""
    width = max(len(finding.link) for finding in findings)
    for finding in findings:
        sign, style = _SIGNS[finding.status]
        line = Text.assemble((sign, style), " ", (finding.link.ljust(width), "bold"), "  ")
        console.print(line + Text(finding.found, style="dim" if style == "dim" else ""))
        for command in finding.remedy.splitlines():
            console.print(
                Text(f"    {command}", style="dim" if command.startswith("#") else "cyan")
            )
    counts = Counter(finding.status for finding in findings)
    console.print(
        Text(", ".join(f"{counts[status]} {status}" for status in Status if counts[status]))
    )
