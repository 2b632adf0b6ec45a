"""Every role that is granted: which, by what name, and how narrowly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .bicep import INFRA, TEMPLATES, Declaration, Expression, File, name_of

# Source: "Azure built-in roles", https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BUILT_IN = {
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Queue Data Message Sender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "Storage Queue Data Reader": "19e7f393-937e-4f77-808e-94535e297925",
}
ASSIGNMENT = "Microsoft.Authorization/roleAssignments@"
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
GUID_OF = re.compile(
    r"guid\(toLower\((?P<scope>.+)\.id\), toLower\((?P<principal>\w+)\), "
    r"toLower\((?P<role>[\w.]+)\)\)"
)
# Both tell letters apart, which Azure does not in IDs; their arguments, with one call in another.
NAMED_BY = re.compile(r"\b(?:uniqueString|guid)\((?P<arguments>(?:[^()]|\((?:[^()]|\(\))*\))*)\)")
# The scope that an assignment has without saying so.
OF_FILE = {
    "roles/on-group.bicep": "resourceGroup()",
    "roles/on-subscription.bicep": "subscription()",
}
FOLDER = INFRA / "roles"


def camel(name: str) -> str:
    first, *rest = name.split()
    return "".join([first.lower(), *rest])


def assignments() -> list[tuple[str, Declaration]]:
    return [
        (name_of(path), one)
        for path in TEMPLATES
        for one in File.read(path).of("resource").values()
        if one.type.startswith(ASSIGNMENT)
    ]


def body(one: Declaration) -> dict[str, Any]:
    value = one.value[0] if isinstance(one.value, list) else one.value
    assert isinstance(value, dict)
    return value


def test_the_table_has_the_ids_of_azure() -> None:
    table = File.read(FOLDER / "roles.bicep").of("var")["roles"].value
    assert table == {camel(name): role for name, role in BUILT_IN.items()}


def test_every_role_has_its_reason() -> None:
    lines = (FOLDER / "roles.bicep").read_text(encoding="utf-8").splitlines()
    for index, line in enumerate(lines):
        if GUID.search(line):
            assert lines[index - 1].lstrip().startswith("//"), line


def test_roles_stand_nowhere_else() -> None:
    for path in (*TEMPLATES, *FOLDER.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        assert path == FOLDER / "roles.bicep" or GUID.findall(text) == [], path


def test_there_are_assignments() -> None:
    assert {name for name, _ in assignments()} == {"roles/host.bicep", *OF_FILE}


@pytest.mark.parametrize(
    ("file", "one"), assignments(), ids=[f"{file}:{one.name}" for file, one in assignments()]
)
def test_a_name_follows_from_scope_principal_and_role(file: str, one: Declaration) -> None:
    members = body(one)
    found = GUID_OF.fullmatch(members["name"])
    assert found is not None, members["name"]
    assert found["scope"] == members.get("scope", OF_FILE.get(file))
    assert found["principal"] == members["properties"]["principalId"]
    role = re.sub(r"\s+", " ", members["properties"]["roleDefinitionId"])
    assert re.fullmatch(
        r"subscriptionResourceId\( ?'Microsoft\.Authorization/roleDefinitions', "
        rf"{re.escape(found['role'])} ?\)",
        role,
    )
    assert members["properties"]["principalType"] in {"ServicePrincipal", "principalType"}


def test_an_assignment_on_a_resource_is_named_alike() -> None:
    (one,) = json.loads((FOLDER / "on-resource.json").read_bytes())["resources"]
    assert one["type"] == ASSIGNMENT.rstrip("@")
    assert one["scope"] == "[parameters('resourceId')]"
    assert one["name"] == (
        "[guid(toLower(parameters('resourceId')), toLower(parameters('principalId')), "
        "toLower(parameters('roleDefinitionId')))]"
    )
    assert one["properties"] == {
        "roleDefinitionId": "[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', "
        "parameters('roleDefinitionId'))]",
        "principalId": "[parameters('principalId')]",
        "principalType": "[parameters('principalType')]",
    }


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_name_is_the_same_in_whatever_letters_an_id_is_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = list(NAMED_BY.finditer(text))
    assert len(found) == len(re.findall(r"\b(?:uniqueString|guid)\(", text))
    for one in found:
        for argument in one["arguments"].split(", "):
            # Names of queues have no other letters.
            assert re.fullmatch(r"toLower\(.+\)|queueName", argument), one[0]


def test_a_resource_that_is_named_twice_is_taken_once() -> None:
    namespaces = body(File.read(FOLDER / "sample.bicep").of("module")["reading"])
    queues = File.read(INFRA / "main.bicep").of("var")["queueResourceIds"].value
    for union in (namespaces["params"]["places"]["resources"], queues):
        assert union.startswith("union(")
        assert union.count("toLower(") == 2


def test_the_json_describes_its_parameters() -> None:
    parameters = json.loads((FOLDER / "on-resource.json").read_bytes())["parameters"]
    for one in parameters.values():
        assert one["metadata"]["description"].startswith("Required. ")


def granted(path: Path) -> dict[str, list[str]]:
    """The roles that a module grants, and at which members of a place."""
    return {
        str(body(one)["params"]["roleDefinitionId"]).removeprefix("roles."): sorted(
            [body(one)["params"]["places"]]
            if isinstance(body(one)["params"]["places"], Expression)
            else body(one)["params"]["places"]
        )
        for one in File.read(path).of("module").values()
    }


def test_each_module_grants_its_role_and_no_other() -> None:
    anywhere = ["resourceGroups", "resources", "subscriptions"]
    assert granted(FOLDER / "publish.bicep") == {"monitoringMetricsPublisher": ["publishTo"]}
    assert granted(FOLDER / "sample.bicep") == {
        "storageQueueDataReader": ["resources"],
        "reader": anywhere,
    }
    assert granted(FOLDER / "produce.bicep") == {"storageQueueDataMessageSender": ["resources"]}


def test_a_producer_gets_the_ingress_queue_alone() -> None:
    (sender,) = File.read(FOLDER / "produce.bicep").of("module").values()
    assert body(sender)["params"]["places"] == {
        "resources": ["'${storageAccountId}/queueServices/default/queues/${queueName}'"]
    }


def test_each_kind_of_place_has_one_loop() -> None:
    grant = File.read(FOLDER / "grant.bicep")
    modules = {one.type: one for one in grant.of("module").values()}
    assert modules.keys() == {"on-resource.json", "on-group.bicep", "on-subscription.bicep"}
    for kind, scope in [
        ("on-resource.json", "resourceGroup(split(id, '/')[2], split(id, '/')[4])"),
        ("on-group.bicep", "resourceGroup(split(id, '/')[2], split(id, '/')[4])"),
        ("on-subscription.bicep", "subscription(split(id, '/')[2])"),
    ]:
        assert isinstance(modules[kind].value, list)
        assert body(modules[kind])["scope"] == scope


def test_the_app_gets_on_its_own_what_it_needs() -> None:
    host = File.read(FOLDER / "host.bicep")
    text = host.text.replace("from 'roles.bicep'", "")
    assert set(re.findall(r"\broles\.(\w+)", text)) == {
        "storageBlobDataOwner",
        "storageQueueDataContributor",
        "monitoringMetricsPublisher",
    }
    on = {body(one)["scope"] for one in host.of("resource").values() if not one.existing}
    assert on == {"storage", "insights", "functionApp"}
