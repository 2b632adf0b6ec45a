"""Findings of checks: status, message and fix; as text, JSON, SARIF 2.1.0 and JUnit XML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.text import Text

__all__ = [
    "FORMATS",
    "Finding",
    "SkippedError",
    "Status",
    "failed",
    "ok",
    "show",
    "skipped",
    "warning",
]

NAME = "metric-relay doctor"


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"  # It works, but should be looked at.
    FAILED = "failed"
    SKIPPED = "skipped"  # What it needs failed, or it was not asked for.


# Status -> sign and style of its line; kind and level in SARIF, where only what fails has a level.
_STATUSES = {
    Status.OK: ("✓", "green", "pass", "none"),
    Status.WARNING: ("!", "yellow", "fail", "warning"),
    Status.FAILED: ("✗", "red", "fail", "error"),
    Status.SKIPPED: ("-", "dim", "notApplicable", "none"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check."""

    check: str  # Its name, which the runner fills in.
    status: Status
    message: str
    fix: tuple[str, ...] = ()  # Lines for a shell: commands, and instructions after a #.


class SkippedError(Exception):
    """The check cannot run; the text says why."""


def _finding(status: Status, message: str, *fix: str) -> Finding:
    return Finding("", status, message, fix)


ok = partial(_finding, Status.OK)
warning = partial(_finding, Status.WARNING)
failed = partial(_finding, Status.FAILED)
skipped = partial(_finding, Status.SKIPPED)


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print a line for each finding, and under it the lines of its fix."""
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        sign, style, *_ = _STATUSES[finding.status]
        line = Text.assemble((sign, style), " ", (finding.check.ljust(width), "bold"), "  ")
        console.print(line + Text(finding.message, style="dim" if style == "dim" else ""))
        for text in finding.fix:
            console.print(Text(f"    {text}", style="dim" if text.startswith("#") else "cyan"))
    counts = Counter(finding.status for finding in findings)
    shown = (f"{counts[status]} {status}" for status in Status if counts[status])
    console.print(Text(", ".join(shown)))


def as_json(findings: Sequence[Finding]) -> str:
    """Return a list of objects with check, status, message and fix, a list of lines."""
    return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)


def as_sarif(findings: Sequence[Finding]) -> str:
    """Return a SARIF log of one run; each check is a rule."""
    results = []
    for finding in findings:
        _, _, kind, level = _STATUSES[finding.status]
        message = {"text": "\n".join((finding.message, *finding.fix))}
        result = {"ruleId": finding.check, "kind": kind, "level": level, "message": message}
        results.append(result)
    rules = [{"id": check} for check in dict.fromkeys(finding.check for finding in findings)]
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": NAME, "rules": rules}}, "results": results}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_junit(findings: Sequence[Finding]) -> str:
    """Return a JUnit test suite; each finding is a test case, and a warning passes."""
    counts = Counter(finding.status for finding in findings)
    numbers = {
        "tests": str(len(findings)),
        "failures": str(counts[Status.FAILED]),
        "errors": "0",
        "skipped": str(counts[Status.SKIPPED]),
    }
    suites = ET.Element("testsuites", {"name": NAME, **numbers})
    suite = ET.SubElement(suites, "testsuite", {"name": NAME, **numbers})
    for finding in findings:
        case = ET.SubElement(suite, "testcase", {"classname": NAME, "name": finding.check})
        if finding.status is Status.FAILED:
            failure = ET.SubElement(case, "failure", {"message": finding.message})
            failure.text = "\n".join(finding.fix)
        elif finding.status is Status.SKIPPED:
            ET.SubElement(case, "skipped", {"message": finding.message})
        else:
            lines = (f"{finding.status}: {finding.message}", *finding.fix)
            ET.SubElement(case, "system-out").text = "\n".join(lines)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


FORMATS: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    "json": as_json,
    "sarif": as_sarif,
    "junit": as_junit,
}
