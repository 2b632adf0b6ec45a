"""Findings as text, JSON, SARIF and JUnit."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree as ET

from rich.console import Console

from tools.doctor.findings import FORMATS, Finding, Status, show

FINDINGS = [
    Finding("settings", Status.OK, "complete"),
    Finding("storage", Status.FAILED, "no <answer> & more", ("# Start it:", "npx azurite")),
    Finding("clock", Status.WARNING, "1 min behind", ("sudo",)),
    Finding("publish", Status.SKIPPED, "not tried"),
]


def test_people_get_signs_and_commands_to_copy() -> None:
    text = io.StringIO()
    show(FINDINGS, Console(file=text, width=200))
    assert text.getvalue().splitlines() == [
        "✓ settings  complete",
        "✗ storage   no <answer> & more",
        "    # Start it:",
        "    npx azurite",
        "! clock     1 min behind",
        "    sudo",
        "- publish   not tried",
        "1 ok, 1 warning, 1 failed, 1 skipped",
    ]


def test_json_has_every_member() -> None:
    assert json.loads(FORMATS["json"](FINDINGS))[1] == {
        "check": "storage",
        "status": "failed",
        "message": "no <answer> & more",
        "fix": ["# Start it:", "npx azurite"],
    }


def test_sarif_has_a_level_for_what_fails_only() -> None:
    log = json.loads(FORMATS["sarif"](FINDINGS))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    names = [finding.check for finding in FINDINGS]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == names
    assert [(one["ruleId"], one["kind"], one["level"]) for one in run["results"]] == [
        ("settings", "pass", "none"),
        ("storage", "fail", "error"),
        ("clock", "fail", "warning"),
        ("publish", "notApplicable", "none"),
    ]
    assert run["results"][1]["message"]["text"].endswith("more\n# Start it:\nnpx azurite")


def test_junit_counts_failures_and_skipped() -> None:
    suite = ET.fromstring(FORMATS["junit"](FINDINGS))[0]  # noqa: S314 (our own)
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["4", "1", "1"]
    children = [(case.get("name"), case[0].tag) for case in suite]
    assert children == [
        ("settings", "system-out"),
        ("storage", "failure"),
        ("clock", "system-out"),
        ("publish", "skipped"),
    ]
    failure = suite[1][0]
    assert (failure.get("message"), failure.text) == (
        "no <answer> & more",
        "# Start it:\nnpx azurite",
    )
