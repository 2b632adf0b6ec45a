"""The resource and its region."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import RegionError
from tools.doctor import resource
from tools.doctor.context import Options
from tools.doctor.resource import check_region, check_resource

from .contexts import GROUP, SITE, fix_of, one, ready, results, skip_of

OTHER = "/subscriptions/2/resourceGroups/other/providers/Microsoft.Web/sites/other"


def test_the_resource_is_that_of_the_option_or_the_setting() -> None:
    context = ready()
    assert results(check_resource, context) == [("ok", SITE)]
    context.options = Options(resource_id=OTHER)
    assert results(check_resource, context) == [("ok", OTHER)]
    assert context.resource_id == OTHER


def test_without_a_resource_only_a_probe_fails() -> None:
    context = ready({"METRICS_RESOURCE_ID": None})
    assert "no resource" in skip_of(check_resource, context)
    context.options = Options(probe=True)
    fix = fix_of(check_resource, context, "no resource", "failed")
    assert fix == ['az resource list --query "[].id" --output tsv']


def test_a_group_is_not_a_resource() -> None:
    context = ready(options=Options(resource_id=GROUP))
    fix = fix_of(check_resource, context, "is a resource group")
    assert fix == [
        'az resource list --subscription 1 --resource-group shop --query "[].id" --output tsv'
    ]


def test_a_resource_outside_the_allowed_scopes_fails() -> None:
    context = ready({"METRICS_ALLOWED_SCOPES": GROUP}, options=Options(resource_id=OTHER))
    assert fix_of(check_resource, context, "dead-lettered as forbidden_scope")[-1] == (
        f"export METRICS_ALLOWED_SCOPES={GROUP},{OTHER}"
    )
    assert context.resource_id is None


def look_up(monkeypatch: pytest.MonkeyPatch, answer: str | RegionError) -> None:
    def region(*_: Any) -> str:
        if isinstance(answer, RegionError):
            raise answer
        return answer

    monkeypatch.setattr(resource, "_look_up", region)


def test_the_regions_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up(monkeypatch, "westeurope")
    context = ready(resource_id=SITE)
    assert results(check_region, context)[0][0] == "ok"
    assert context.region == "westeurope"
    context = ready({"METRICS_REGION": "eastus"}, resource_id=SITE)
    fix = fix_of(check_region, context, "is in westeurope, METRICS_REGION says eastus", "failed")
    assert fix == ["export METRICS_REGION=westeurope"]
    assert context.region is None
    context.options = Options(region="eastus")
    assert fix_of(check_region, context, "--region says eastus") == ["# Leave --region out."]


def test_the_setting_is_not_the_region_of_another_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up(monkeypatch, "eastus")
    context = ready(resource_id=OTHER)
    assert one(check_region, context).message == "eastus, from Azure Resource Manager"


@pytest.mark.parametrize(
    ("error", "changes", "fix"),
    [
        (
            "https://arm: 403 AuthorizationFailed",
            {},
            (
                f"az role assignment create --role Reader --scope {GROUP.lower()} "
                "--assignee-object-id object-1 --assignee-principal-type ServicePrincipal"
            ),
        ),
        ("x is not among y", {}, f"az resource show --ids {SITE} --query location"),
        ("refused", {"METRICS_ARM_ENDPOINT": "http://127.0.0.1:1"}, "unset METRICS_ARM_ENDPOINT"),
        ("the location is global", {}, 'export METRICS_REGION="$REGION"'),
        ("429", {}, '# export METRICS_REGION="$REGION"'),
    ],
)
def test_a_region_that_is_not_found_fails_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, error: str, changes: dict[str, str | None], fix: str
) -> None:
    look_up(monkeypatch, RegionError(error))
    context = ready({"METRICS_REGION": None, **changes}, resource_id=SITE)
    assert fix in fix_of(check_region, context, error, "failed")
    context = ready(changes, resource_id=SITE)
    assert fix in fix_of(check_region, context, "says westeurope; it cannot be compared", "warning")
    assert context.region == "westeurope"


def test_without_an_identity_the_named_region_is_taken() -> None:
    context = ready(resource_id=SITE)
    context.claims = None
    assert "METRICS_REGION says westeurope" in skip_of(check_region, context)
    assert context.region == "westeurope"
