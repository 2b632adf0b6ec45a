"""The app settings: what the template sets is what the code knows, with the same defaults."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from local.stack import ROOT
from shared.errors import ConfigurationError
from shared.model import Target
from shared.resource_ids import is_in_scopes
from shared.settings import DEFAULTS, Settings

from .bicep import INFRA, TEMPLATES, Expression, File

SETTINGS = File.read(INFRA / "settings.bicep")
MAIN = File.read(INFRA / "main.bicep").of("param")
RELAY: dict[str, Any] = SETTINGS.of("var")["relaySettings"].value
HOST: dict[str, Any] = SETTINGS.of("var")["hostSettings"].value
MEMBERS = {
    one.name: one for one in File.read(INFRA / "types.bicep").of("type")["RelaySettings"].members
}
SAMPLE: dict[str, str] = json.loads((ROOT / "local.settings.sample.json").read_bytes())["Values"]

# Source: "Azure Functions Flex Consumption plan: deprecated properties and settings"; of ftpsState,
# which ARM refuses in some regions and not in others, microsoft/azure-pipelines-tasks#21032.
REFUSED = re.compile(
    r"\b(?:FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_WORKER_RUNTIME_VERSION|FUNCTIONS_EXTENSION_VERSION"
    r"|WEBSITE_RUN_FROM_PACKAGE|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD"
    r"|WEBSITE_CONTENTAZUREFILECONNECTIONSTRING|WEBSITE_CONTENTSHARE|WEBSITE_NODE_DEFAULT_VERSION"
    r"|FUNCTIONS_WORKER_PROCESS_COUNT|WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT"
    r"|WEBSITE_VNET_ROUTE_ALL|WEBSITE_USE_PLACEHOLDER_DOTNETISOLATED|linuxFxVersion|alwaysOn"
    r"|functionAppScaleLimit|use32BitWorkerProcess|preWarmedInstanceCount|ftpsState"
    r"|windowsFxVersion|netFrameworkVersion|functionsRuntimeScaleMonitoringEnabled)\b"
)
# What siteConfig may say there; pythonVersion, a parameter of the template, is another it may not.
SITE_CONFIG = {"http20Enabled", "minTlsVersion", "scmMinTlsVersion"}

SITE = "/subscriptions/1/resourceGroups/relay/providers/Microsoft.Web/sites/metric-relay"
# What the expressions of the template stand for in a deployment that gives no parameter.
DEPLOYED = {
    "identityClientId": "00000000-0000-0000-0000-000000000000",
    "endpoints.queue": "https://relay.queue.core.windows.net/",
    "functionApp.id": SITE,
    "region": "westeurope",
    "environment().resourceManager": "https://management.azure.com/",
    "allowedScopes": SITE,
    "queueName": str(MAIN["queueName"].value),
    "deadLetterQueueName": str(MAIN["deadLetterQueueName"].value)
    .strip("'")
    .replace("${queueName}", str(MAIN["queueName"].value)),
    "sampleSchedule": str(MAIN["sampleSchedule"].value),
    # Its own queues, of a deployment that gives no other source; test_source_types looks at them.
    "string(concat(ownSources, sources))": json.dumps(MAIN["sources"].value),
}
DEFAULTED = re.compile(
    r"(?:string\(|join\()?relay\.\?(?P<member>\w+) \?\? (?P<default>.+?)(?:, ',')?\)?"
)


# A default that depends on whether another member is given.
UNLESS_GIVEN = re.compile(
    r"\(relay\.\?(?P<member>\w+) == null \? (?P<usual>\w+) : (?P<else>'\w*')\)?"
)


def deployed(value: str, *given: str) -> str:
    """What a setting is when no parameter is given, but these members of another setting."""
    if not isinstance(value, Expression):
        return value
    found = DEFAULTED.fullmatch(value)
    default = found["default"] if found else str(value)
    if choice := UNLESS_GIVEN.fullmatch(default):
        default = choice["else"] if choice["member"] in given else choice["usual"]
    return DEPLOYED[default] if default in DEPLOYED else literal(default)


def literal(text: str) -> str:
    """The value of a string or number that is written out."""
    assert re.fullmatch(r"'[^'$]*'|[0-9]+", text), text
    return text.strip("'")


ENVIRON = {name: deployed(value) for name, value in RELAY.items()}


def known() -> set[str]:
    """The settings that the code asks for."""
    source = (ROOT / "shared" / "settings.py").read_text(encoding="utf-8")
    source += (ROOT / "function_app.py").read_text(encoding="utf-8")
    assert '"AZURE_CLIENT_ID"' in source
    return {*re.findall(r"\bMETRICS_[A-Z_]+\b", source), "AZURE_CLIENT_ID"}


def test_the_template_sets_what_the_code_knows_and_nothing_else() -> None:
    connection = {name for name in RELAY if name.startswith("MetricsStorage__")}
    assert RELAY.keys() - connection == known()
    code = (ROOT / "shared" / "clients" / "connections.py").read_text(encoding="utf-8")
    for name in connection:
        assert f'"{name.removeprefix("MetricsStorage__")}"' in code


def test_every_setting_is_one_that_the_documentation_explains() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in RELAY:
        assert f"`{name}`" in text or f"`{name.removeprefix('MetricsStorage')}`" in text, name


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_is_that_of_the_code(name: str) -> None:
    assert ENVIRON[name].rstrip("/") == DEFAULTS[name].rstrip("/")


def test_the_code_takes_what_is_deployed() -> None:
    settings = Settings.from_env(ENVIRON)
    usual = Settings.from_env(SAMPLE)
    assert (settings.queue, settings.dead_letter_queue) == (usual.queue, usual.dead_letter_queue)
    assert settings.own_target is not None
    assert settings.own_target == Target("westeurope", SITE)
    assert settings.storage.managed_identity
    assert settings.storage.client_id == settings.client_id == DEPLOYED["identityClientId"]
    assert is_in_scopes(SITE, settings.allowed_scopes)
    assert not is_in_scopes(f"{SITE}-other", settings.allowed_scopes)
    assert settings.time_window == usual.time_window


def test_another_resource_is_not_taken_to_be_where_the_app_is() -> None:
    assert ENVIRON["METRICS_REGION"] == "westeurope"
    region = deployed(RELAY["METRICS_REGION"], "resourceId")
    assert region == ""
    settings = Settings.from_env({**ENVIRON, "METRICS_REGION": region})
    assert settings.region is None
    assert settings.own_target is not None
    assert settings.own_target.region == ""  # It is looked up.
    assert "lookUpRegionsIn" in MEMBERS["region"].description


def test_the_sample_has_no_other_names_or_values() -> None:
    laptop = {"FUNCTIONS_WORKER_RUNTIME", "METRICS_CREDENTIAL"}  # Flex says it; az login instead.
    for name in ("AzureWebJobsStorage", "MetricsStorage"):
        assert SAMPLE[name] == "UseDevelopmentStorage=true"
        laptop.add(name)
        assert f"{name}__queueServiceUri" in {**HOST, **RELAY}
    for name in SAMPLE.keys() - laptop:
        assert SAMPLE[name] == ENVIRON[name], name
    assert SAMPLE.keys() - laptop <= RELAY.keys()


@pytest.mark.parametrize("name", [*HOST, *RELAY])
def test_nobody_signs_in_with_a_key(name: str) -> None:
    assert name not in {"AzureWebJobsStorage", "MetricsStorage", "AZURE_CLIENT_SECRET"}
    if name.endswith("__credential"):
        assert {**HOST, **RELAY}[name] == "managedidentity"
        assert name.replace("credential", "clientId") in {**HOST, **RELAY}


def test_application_insights_is_told_in_full_and_by_identity() -> None:
    assert HOST["APPLICATIONINSIGHTS_CONNECTION_STRING"] == "insights.properties.ConnectionString"
    assert HOST["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == (
        "'ClientId=${identityClientId};Authorization=AAD'"
    )


def test_the_host_has_the_name_of_its_storage_beside_the_addresses() -> None:
    assert HOST["AzureWebJobsStorage__accountName"] == "storageAccountName"
    for service in ("blob", "queue"):
        assert HOST[f"AzureWebJobsStorage__{service}ServiceUri"] == f"endpoints.{service}"


def test_all_of_them_are_set() -> None:
    settings = SETTINGS.of("resource")["settings"].value
    assert settings["name"] == "appsettings"
    assert settings["properties"] == "union(extraSettings, hostSettings, relaySettings)"


@pytest.mark.parametrize(
    "path", [*TEMPLATES, INFRA / "main.bicepparam"], ids=lambda path: path.name
)
def test_nothing_that_flex_consumption_refuses(path: Any) -> None:
    assert REFUSED.findall(path.read_text(encoding="utf-8")) == []


def test_site_config_says_no_more_than_flex_consumption_takes() -> None:
    app = File.read(INFRA / "app.bicep").of("resource")["functionApp"]
    assert app.value["properties"]["siteConfig"].keys() == SITE_CONFIG


def test_what_flex_consumption_refuses_is_found() -> None:
    assert REFUSED.findall("siteConfig: {\n  ftpsState: 'Disabled'\n}") == ["ftpsState"]


def test_what_flex_consumption_wants_is_there() -> None:
    app = File.read(INFRA / "app.bicep")
    config = app.of("resource")["functionApp"].value["properties"]["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "pythonVersion"}
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert app.of("param")["pythonVersion"].type == "'3.11' | '3.12' | '3.13' | '3.14'"
    assert app.of("param")["instanceMemoryMB"].type == "512 | 2048 | 4096"


def test_every_member_of_relay_is_a_setting() -> None:
    used = {found["member"] for value in RELAY.values() if (found := DEFAULTED.match(value))}
    assert used == MEMBERS.keys()
    for name, member in MEMBERS.items():
        setting = next(key for key, value in RELAY.items() if f"relay.?{name} " in value)
        assert f"Optional. {setting}: " in member.description


@pytest.mark.parametrize(
    ("member", "setting"),
    [
        ("pastMinutes", "METRICS_PAST_MINUTES"),
        ("futureMinutes", "METRICS_FUTURE_MINUTES"),
        ("maxBodyBytes", "METRICS_MAX_BODY_BYTES"),
        ("maxActiveSeries", "METRICS_MAX_ACTIVE_SERIES"),
    ],
)
def test_a_number_has_the_bounds_of_the_code(member: str, setting: str) -> None:
    least, most = (MEMBERS[member].decorators[name] for name in ("minValue", "maxValue"))
    for good in (least, most):
        Settings.from_env({**ENVIRON, setting: str(good)})
    for bad in (least - 1, most + 1):
        with pytest.raises(ConfigurationError, match=setting):
            Settings.from_env({**ENVIRON, setting: str(bad)})


def test_the_allowed_scopes_are_what_the_roles_say() -> None:
    """Without a parameter the app may write to what it has a role on, and it is never open."""
    main = File.read(INFRA / "main.bicep")
    scopes = main.of("var")["allowedScopes"].value
    assert scopes.startswith("union(\n  [relayResourceId],")
    places = File.read(INFRA / "types.bicep").of("type")["Places"].members
    for place in places:
        assert f"publishTo.?{place.name} ?? []" in scopes
    modules = main.of("module")
    assert modules["publishRoles"].value["params"]["publishTo"] == "publishTo"
    # No scopes would allow every resource.
    assert MEMBERS["allowedScopes"].decorators["minLength"] == 1
    # Its own queues are on an account that the host's roles cover in the same case.
    assert "sampleOwnQueues ? [storage.outputs.accountId] : []" in scopes
    assert modules["hostRoles"].value["params"]["publishesOfStorage"] == "sampleOwnQueues"
