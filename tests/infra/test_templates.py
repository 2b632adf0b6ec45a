"""What the Bicep compiler and its linter would say first, as far as it can be told without them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from .bicep import INFRA, TEMPLATES, File, name_of

each = pytest.mark.parametrize("path", TEMPLATES, ids=name_of)

IMPORT = re.compile(r"^import \{ (?P<names>[\w, ]+) \} from '(?P<path>[\w./-]+)'$", re.MULTILINE)
# What would be a key, a way to one, or something that looks like one.
FORBIDDEN = re.compile(
    r"\blist[A-Z]\w*\(|\blistKeys\b|AccountKey|SharedAccessKey|sharedAccessSignature"
    r"|DefaultEndpointsProtocol|\?sv=|password\s*:|@secure\(\)|getSecret|newGuid\(|utcNow\(",
    re.IGNORECASE,
)
# Source: the default settings of the linter rule no-hardcoded-env-urls.
CLOUD_HOSTS = re.compile(
    r"core\.windows\.net|management\.azure\.com|login\.microsoftonline\.com|vault\.azure\.net"
    r"|database\.windows\.net|graph\.windows\.net"
)


def code(path: Path) -> str:
    """The file without its comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("//"))


def test_there_is_something_to_look_at() -> None:
    assert {"main.bicep", "alerts.bicep", "workbook.bicep"} <= {name_of(path) for path in TEMPLATES}
    assert len(TEMPLATES) > 15


@each
def test_it_parses(path: Path) -> None:
    assert File.read(path).errors() == []


def test_what_does_not_parse_is_found() -> None:
    assert File("param name string =\n").errors()
    assert File("resource x 'A@1' = {\n  name: 'x'\n").errors()


@each
def test_it_fits_into_a_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@each
def test_every_parameter_says_whether_it_is_required(path: Path) -> None:
    file = File.read(path)
    params = list(file.of("param").values())
    members = [member for one in file.of("type").values() for member in one.members]
    for one in (*params, *members):
        begins = "Optional. " if one.is_optional or one.name == "*" else "Required. "
        assert one.description.startswith(begins), one.name
        assert one.description.endswith("."), one.name


@each
def test_every_output_and_type_is_described(path: Path) -> None:
    file = File.read(path)
    for one in (*file.of("output").values(), *file.of("type").values()):
        assert one.description.endswith("."), one.name
    for output in file.of("output").values():
        assert "secure" not in output.decorators


@each
def test_no_type_takes_what_it_does_not_know(path: Path) -> None:
    for one in File.read(path).of("type").values():
        if one.members and one.members[0].name != "*":
            assert "sealed" in one.decorators, one.name


@each
def test_no_parameter_is_of_any_shape(path: Path) -> None:
    for one in File.read(path).of("param").values():
        assert one.type not in {"object", "array", ""}, one.name


@each
def test_nothing_is_declared_for_nothing(path: Path) -> None:
    file, text = File.read(path), code(path)
    words = Counter(re.findall(r"\w+", re.sub(r"@description\('(?:\\'|[^'])*'\)", "", text)))
    exported = [one.name for one in file.all if "export" in one.decorators]
    imported = [name for found in IMPORT.finditer(text) for name in found["names"].split(", ")]
    declared = [one.name for one in file.all if one.kind in {"param", "var", "type"}]
    existing = [one.name for one in file.all if one.existing]
    for name in (*declared, *imported, *existing):
        assert words[name] > 1 or name in exported, name


@each
def test_imports_name_what_is_exported(path: Path) -> None:
    text = code(path)
    assert len(IMPORT.findall(text)) == len(re.findall(r"^import\b", text, re.MULTILINE))
    for found in IMPORT.finditer(text):
        other = File.read(path.parent / found["path"])
        exported = {one.name for one in other.all if "export" in one.decorators}
        assert set(found["names"].split(", ")) <= exported


@each
def test_a_module_gets_what_it_takes(path: Path) -> None:
    for module in File.read(path).of("module").values():
        target = path.parent / module.type
        body = module.value[0] if isinstance(module.value, list) else module.value
        given = set(body["params"])
        if target.suffix == ".json":
            parameters = json.loads(target.read_bytes())["parameters"]
            known, required = set(parameters), set(parameters)
        else:
            params = File.read(target).of("param")
            known = set(params)
            required = {name for name, one in params.items() if not one.is_optional}
        assert required <= given <= known, module.name


OUTPUTS = re.compile(r"\b(?P<module>\w+)!?\.outputs\.(?P<output>\w+)")


@each
def test_outputs_that_are_used_exist(path: Path) -> None:
    modules = File.read(path).of("module")
    for found in OUTPUTS.finditer(code(path)):
        target = path.parent / modules[found["module"]].type
        assert found["output"] in File.read(target).of("output"), found[0]


@each
def test_members_that_are_used_exist(path: Path) -> None:
    """`relay.?x` asks for a member of the type of `relay`."""
    types = {
        name: one for template in TEMPLATES for name, one in File.read(template).of("type").items()
    }
    text = code(path)
    for name, param in File.read(path).of("param").items():
        if param.type in types:
            known = {member.name for member in types[param.type].members}
            assert set(re.findall(rf"\b{name}\.\??(\w+)", text)) <= known, name


@each
def test_nothing_holds_or_fetches_a_key(path: Path) -> None:
    assert FORBIDDEN.findall(code(path)) == []


@pytest.mark.parametrize(
    "text",
    [
        "value: storage.listKeys().keys[0].value",
        "value: listKeys(storage.id, '2023-05-01')",
        "value: 'DefaultEndpointsProtocol=https;AccountKey=x'",
        "@secure()\noutput key string = key",
        "password: 'x'",
        "name: newGuid()",
    ],
)
def test_a_key_is_found(text: str) -> None:
    assert FORBIDDEN.search(text)


@each
def test_the_cloud_is_asked_for_its_hosts(path: Path) -> None:
    assert CLOUD_HOSTS.findall(code(path)) == []


@each
def test_a_location_is_a_parameter(path: Path) -> None:
    file = File.read(path)
    for one in file.of("resource").values():
        body = one.value[0] if isinstance(one.value, list) else one.value
        assert body.get("location", "location") in {"location", "global"}, one.name
    elsewhere = code(path).replace("param location string = resourceGroup().location", "")
    assert ".location" not in elsewhere


def test_a_parameter_file_gives_what_main_takes() -> None:
    text = (INFRA / "main.bicepparam").read_text(encoding="utf-8")
    assert "\nusing 'main.bicep'\n" in text
    # The grammar knows parameters as templates declare them, with a type.
    text = text.replace("using 'main.bicep'", "").replace("\nparam ", "\nvar ")
    file = File(text)
    assert file.errors() == []
    assert file.of("var").keys() <= File.read(INFRA / "main.bicep").of("param").keys()


def test_the_examples_of_the_parameter_file_can_be_used_as_they_stand() -> None:
    text = (INFRA / "main.bicepparam").read_text(encoding="utf-8")
    assert "…" not in text
    # azd finds a deployment into a resource group by the group, which it asks for.
    assert "azd-env-name" not in text
    examples = re.findall(r"^// (param (?:.+\n// )+?[}\]])$", text, re.MULTILINE)
    file = File("\n".join(examples).replace("\n// ", "\n").replace("param ", "var ") + "\n")
    assert file.errors() == []
    assert file.of("var").keys() == {"publishTo", "sources", "producers"}
    params = File.read(INFRA / "main.bicep").of("param")
    assert file.of("var").keys() <= params.keys()
    account = file.of("var")["sources"].value[0]
    assert account["account"].startswith("https://orders.queue.core.")
    assert account["resourceId"].endswith("/storageAccounts/orders")


def test_every_parameter_of_main_has_a_default() -> None:
    assert [
        name
        for name, one in File.read(INFRA / "main.bicep").of("param").items()
        if one.value is None
    ] == []


def test_every_rule_of_the_linter_is_an_error() -> None:
    rules = json.loads((INFRA / "bicepconfig.json").read_bytes())["analyzers"]["core"]["rules"]
    assert {rule["level"] for rule in rules.values()} == {"error"}
    assert {"no-unused-params", "use-parent-property", "no-hardcoded-env-urls"} <= rules.keys()
    assert {"stacks-extensibility-compat", "use-recent-az-powershell-version"} <= rules.keys()
    assert list(rules) == sorted(rules)


STORAGE = File.read(INFRA / "storage.bicep").of("resource")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("allowSharedKeyAccess", False),
        ("allowBlobPublicAccess", False),
        ("allowCrossTenantReplication", False),
        ("defaultToOAuthAuthentication", True),
        ("minimumTlsVersion", "TLS1_2"),
        ("supportsHttpsTrafficOnly", True),
    ],
)
def test_the_account_is_closed(member: str, value: object) -> None:
    assert STORAGE["account"].value["properties"][member] == value


def test_the_queues_and_the_container_are_declared() -> None:
    assert {one.value["name"] for one in STORAGE.values() if one.type == "queues"} == {
        "queueName",
        "deadLetterQueueName",
    }
    assert STORAGE["deployment"].value["properties"]["publicAccess"] == "None"


def test_no_key_of_application_insights_opens_anything() -> None:
    resources = File.read(INFRA / "monitoring.bicep").of("resource")
    assert resources["insights"].value["properties"]["DisableLocalAuth"] is True
    assert resources["workspace"].value["properties"]["features"]["disableLocalAuth"] is True


def test_azd_finds_the_app() -> None:
    azure = (INFRA.parent / "azure.yaml").read_text(encoding="utf-8")
    app = (INFRA / "app.bicep").read_text(encoding="utf-8")
    found = re.search(r"'azd-service-name': '(\w+)'", app)
    assert found is not None
    assert re.search(rf"^  {found[1]}:", azure, re.MULTILINE)
    assert (INFRA / "main.bicep").exists()
    assert re.search(r"^  path: infra\n  module: main$", azure, re.MULTILINE)
