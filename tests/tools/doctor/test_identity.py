"""The identity: claims, token, audience."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.monitor.tokens import SYSTEM_ASSIGNED, TENANT_ID, Tokens
from shared.errors import TokenError
from tools.doctor.fixes import Principal
from tools.doctor.identity import check_identity, read_principal

from .contexts import fix_of, ready, results

SERVICE = {
    "METRICS_CREDENTIAL": "environment",
    "AZURE_CLIENT_ID": "c",
    "AZURE_CLIENT_SECRET": "s",
}
HERE = {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token"}


def jwt(payload: Any) -> str:
    parts = ({"alg": "none"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(part.rstrip("=") for part in encoded), ""])


def test_a_token_says_whose_it_is() -> None:
    token = Tokens(600).issue(SYSTEM_ASSIGNED, "https://monitoring.azure.com/", 1_000_000.0)
    principal = read_principal(token.access_token)
    assert principal == Principal(SYSTEM_ASSIGNED.principal_id, TENANT_ID)


def test_a_user_is_told_from_an_application() -> None:
    assert read_principal(jwt({"scp": "user_impersonation", "oid": "me"})).is_user
    assert not read_principal(jwt({"roles": ["x"]})).is_user


values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
names = st.sampled_from(["aud", "oid", "tid", "iat", "exp", "idtyp", "scp"])


@given(st.dictionaries(names, values).map(jwt) | values.map(jwt) | st.text())
def test_anything_is_read(token: str) -> None:
    assert isinstance(read_principal(token).object_id, str)


def context_with(token: str | None, changes: Mapping[str, str | None], error: str = "") -> Any:
    context = ready(changes)
    del context.identity

    class Source:
        def get(self) -> str:
            if token is None:
                raise TokenError(error)
            return token

    clients = msgspec.structs.replace(context.clients, tokens=lambda _: Source())
    context.__dict__["clients"] = clients
    return context


def test_the_bearer_is_named() -> None:
    context = context_with(jwt({"oid": "me", "tid": "t"}), HERE)
    assert results(check_identity, context) == [
        ("ok", "ManagedIdentityCredential returns a token of object ID me, tenant t")
    ]
    assert context.identity.object_id == "me"


@pytest.mark.parametrize(
    ("changes", "error", "fix"),
    [
        ({}, "authentication unavailable", "metric-relay doctor --credential azure_cli"),
        (HERE, "Unable to load the proper Managed Identity", 'export AZURE_CLIENT_ID="$CLIENT_ID"'),
        (HERE, "Connection refused", "unset IDENTITY_ENDPOINT"),
        ({"METRICS_CREDENTIAL": "azure_cli"}, "not found", "az login"),
        (SERVICE, "incomplete", 'export AZURE_TENANT_ID="$TENANT_ID"'),
        (
            {**SERVICE, "AZURE_TENANT_ID": "t"},
            "AADSTS7000222: expired",
            'export AZURE_CLIENT_SECRET="$CLIENT_SECRET"',
        ),
    ],
)
def test_no_token_fails_with_a_fix(changes: Mapping[str, str | None], error: str, fix: str) -> None:
    context = context_with(None, changes, error)
    assert fix in fix_of(check_identity, context, error, "failed")
    assert not context.has("identity")


@pytest.mark.parametrize(
    ("audience", "endpoint", "status", "fix"),
    [
        (None, None, "ok", ()),
        (None, "http://127.0.0.1:1/{region}", "ok", ()),
        ("https://monitor.azure.com", None, "failed", ("unset METRICS_AUDIENCE",)),
        ("https://monitoring.azure.com", None, "failed", ("unset METRICS_AUDIENCE",)),
        ("x", "http://127.0.0.1:1/{region}", "failed", ("unset METRICS_AUDIENCE",)),
        (
            None,
            "https://{region}.monitoring.azure.us",
            "failed",
            ("export METRICS_AUDIENCE=https://monitoring.azure.us/",),
        ),
        ("x", "https://{region}.example.com", "warning", ()),
    ],
)
def test_the_audience_fits_the_endpoint(
    audience: str | None, endpoint: str | None, status: str, fix: tuple[str, ...]
) -> None:
    changes = {**HERE, "METRICS_AUDIENCE": audience, "METRICS_ENDPOINT": endpoint}
    context = context_with("token", changes)
    finding = check_identity(context)[0]
    assert (finding.status, finding.fix) == (status, fix)
    assert context.has("audience") == (status != "failed")
    assert context.has("identity")
