"""What docs/deploy.md says to type and to set is there; its JSON is read by tests/docs."""

from __future__ import annotations

import re

from local.stack import ROOT

from .bicep import INFRA, File

TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAIN = File.read(INFRA / "main.bicep")


def section(title: str) -> str:
    """The text below a heading."""
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_parameters_that_are_explained_exist() -> None:
    named = re.findall(r"^\| `(\w+)` \|", section("2. Say what it may do"), re.MULTILINE)
    assert len(named) > 5
    elsewhere = {"thresholds", "actionGroupIds", "deployAlerts", "privateNetwork"}
    elsewhere |= {"sampleOwnQueues", "instanceMemoryMB", "extraSettings"}
    assert {*named, *elsewhere} <= MAIN.of("param").keys()
    assert all(f"`{name}" in TEXT for name in elsewhere)


def test_outputs_that_are_asked_for_exist() -> None:
    asked = set(re.findall(r"\$\(output (\w+)\)", TEXT))
    asked |= set(re.findall(r"properties\.outputs\.(\w+)\.value", README))
    assert len(asked) > 3
    assert asked <= MAIN.of("output").keys()


def test_templates_that_are_deployed_take_what_they_are_given() -> None:
    for command in re.findall(r"--template-file (\S+) \\\n((?:.+\\\n)*.+)", TEXT):
        path, rest = command
        params = File.read(ROOT / path).of("param")
        given = set(re.findall(r"\b(\w+)=[\"'$…]", rest))
        required = {name for name, one in params.items() if not one.is_optional}
        assert required <= given <= params.keys(), path


def test_every_alert_is_in_the_table_and_has_an_answer() -> None:
    rows = set(re.findall(r"`…-([\w-]+)`", section("Alerts")))
    metric = re.findall(
        r"^ +name: '([a-z-]+)'$", File.read(INFRA / "alerts.bicep").text, re.MULTILINE
    )
    logs = File.read(INFRA / "alerts" / "requests.bicep").of("resource")
    assert rows == {*metric, *logs}
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### `…-([\w-]+)`$", operations, re.MULTILINE)) == rows


def test_the_sums_are_right() -> None:
    for part in ("Idle", "A million points"):
        table = section("What it costs").split(f"**{part}")[1].split("| **together**")
        prices = re.findall(r"\| ([0-9.]+) \|$", table[0], re.MULTILINE)
        total = re.match(r" \| \| \*\*([0-9.]+)\*\* \|", table[1])
        assert total is not None
        digits = len(total[1].partition(".")[2])
        assert round(sum(map(float, prices)), digits) == float(total[1])
