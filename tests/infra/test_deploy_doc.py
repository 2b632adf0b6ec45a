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
    named = re.findall(r"^\| `(\w+)` \|", section("2. Set the parameters"), re.MULTILINE)
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


def test_publishing_works_in_a_fresh_clone() -> None:
    """Without local.settings.json Core Tools do not know the language."""
    commands = re.findall(
        r"^func azure functionapp publish (?:.+\\\n)*.+$", TEXT + README, re.MULTILINE
    )
    assert len(commands) == 2
    described = MAIN.of("output")["functionAppName"].description
    commands += re.findall(r"`(func azure functionapp publish .+?)`", described)
    assert len(commands) == 3
    assert all(command.endswith(" --python") for command in commands), commands


def test_a_role_has_time_before_it_is_needed() -> None:
    assert "infra/roles/produce.bicep" in section("3. Deploy")
    assert "\nuntil az storage message put " in section("5. Enqueue")


def test_what_a_deployment_into_another_group_takes_is_said() -> None:
    assert "`Microsoft.Resources/deployments/*`" in section("1. Prerequisites")


def test_the_provider_of_the_subnet_is_registered() -> None:
    network = File.read(INFRA / "network.bicep").of("resource")["network"].value
    (delegation,) = network["properties"]["subnets"][0]["properties"]["delegations"]
    provider = delegation["properties"]["serviceName"].partition("/")[0]
    command = f"\naz provider register --namespace {provider} --wait\n"
    assert command in section("Private network")
    assert provider in MAIN.of("param")["privateNetwork"].description


def test_roles_are_removed_in_every_subscription() -> None:
    """`--all` means all of one subscription."""
    loop = section("Remove").split("for SUBSCRIPTION in $(az account list ")[1].split("\ndone\n")[0]
    for verb in ("list", "delete"):
        assert f"az role assignment {verb} --subscription $SUBSCRIPTION" in loop


def test_every_alert_is_in_the_table_and_has_an_answer() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `…-([\w-]+)` \|", operations, re.MULTILINE))
    metric = re.findall(
        r"^ +name: '([a-z-]+)'$", File.read(INFRA / "alerts.bicep").text, re.MULTILINE
    )
    logs = File.read(INFRA / "alerts" / "requests.bicep").of("resource")
    assert rows == {*metric, *logs}
    assert set(re.findall(r"^### `…-([\w-]+)`$", operations, re.MULTILINE)) == rows


def test_the_sums_are_right() -> None:
    for part in ("Idle", "A million points"):
        table = section("Cost").split(f"**{part}")[1].split("| **together**")
        prices = re.findall(r"\| ([0-9.]+) \|$", table[0], re.MULTILINE)
        total = re.match(r" \| \| \*\*([0-9.]+)\*\* \|", table[1])
        assert total is not None
        digits = len(total[1].partition(".")[2])
        assert round(sum(map(float, prices)), digits) == float(total[1])
