"""Findings as text, JSON, SARIF 2.1.0 and JUnit XML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.text import Text

from tools.doctor.findings import Finding, Status

__all__ = ["FORMATS", "as_json", "as_junit", "as_sarif", "show"]

NAME = "metric-relay doctor"
# Status -> sign, one column wide, and style.
_SIGNS = {
    Status.OK: ("✓", "green"),
    Status.WARNING: ("!", "yellow"),
    Status.FAILED: ("✗", "red"),
    Status.SKIPPED: ("-", "dim"),
}
# Status -> kind and level; in SARIF, only what fails has a level.
_SARIF = {
    Status.OK: ("pass", "none"),
    Status.WARNING: ("fail", "warning"),
    Status.FAILED: ("fail", "error"),
    Status.SKIPPED: ("notApplicable", "none"),
}


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print a line for each finding, and under it the lines of its fix."""
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        sign, style = _SIGNS[finding.status]
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
    results = [
        {
            "ruleId": finding.check,
            "kind": _SARIF[finding.status][0],
            "level": _SARIF[finding.status][1],
            "message": {"text": "\n".join((finding.message, *finding.fix))},
        }
        for finding in findings
    ]
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
