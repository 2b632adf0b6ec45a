"""The identity that publishes: whether it gets a token, and for which audience."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import jwt

from shared.clients.credentials import CREDENTIALS
from shared.clients.http import is_loopback
from shared.errors import TokenError
from shared.settings import DEFAULTS
from tools.doctor.context import Context
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.fixes import Principal, Template

__all__ = ["check_identity", "fix_token", "read_principal"]

# Of a service principal, as azure-identity reads it.
_SERVICE_PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
# Domains of the ingestion endpoint; the audience is https://DOMAIN/. See docs/regions.md.
_CLOUDS = ("monitoring.azure.com", "monitoring.azure.us", "monitoring.azure.cn")
# What azure-identity says if there is no managed identity, or its endpoint does not answer.
_NO_ANSWER = re.compile("unavailable|refused|resolve|timed out|unreachable", re.IGNORECASE)


def check_identity(context: Context) -> list[Finding]:
    """Get a token for the metrics store, and report whose it is."""
    settings = context.settings
    findings = _check_audience(context)
    try:
        token = context.clients.tokens(settings.audience).get()
    except TokenError as exc:
        fix = fix_token(context, str(exc), settings.credential)
        return [*findings, failed(str(exc), *fix)]
    context.identity = read_principal(token)
    name = CREDENTIALS[settings.credential]
    return [*findings, ok(f"{name} returns a token of {context.identity}")]


def _check_audience(context: Context) -> list[Finding]:
    """Compare the audience with the endpoint that gets the token."""
    name, settings = "METRICS_AUDIENCE", context.settings
    endpoint, audience = settings.endpoint.replace("{region}", "region"), settings.audience
    host = urlsplit(endpoint).hostname or ""
    expected = next((f"https://{cloud}/" for cloud in _CLOUDS if host.endswith(f".{cloud}")), None)
    if is_loopback(host):  # The emulator.
        expected = DEFAULTS[name]
    if expected is not None and audience != expected:
        fixes, default = context.fixes, DEFAULTS[name]
        fix = fixes.unset(name) if expected == default else fixes.set(name, expected)
        text = f"{name} is {audience!r}: {host} accepts tokens for {expected!r}"
        return [failed(text, *fix)]
    context.audience = audience
    if expected is None:
        return [warning(f"It is not known whether {host} accepts tokens for {audience!r}")]
    return []


def read_principal(token: str) -> Principal:
    """Return whose token it is, without verifying it, which only its audience can do."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return Principal()
    # A token of a user has scopes, one of an application has none.
    is_user = claims.get("idtyp") == "user" or bool(claims.get("scp"))
    return Principal(str(claims.get("oid") or ""), str(claims.get("tid") or ""), is_user)


def fix_token(
    context: Context, error: str, kind: str, client_id: str = "AZURE_CLIENT_ID"
) -> list[str]:
    """Fix what keeps an identity from getting a token; `client_id` is the setting that names it."""
    fixes = context.fixes
    if kind == "azure_cli":
        return ["# Needs the Azure CLI: https://learn.microsoft.com/cli/azure", "az login"]
    if kind == "environment":
        missing = [name for name in _SERVICE_PRINCIPAL if not context.environ.get(name)]
        lines = [] if missing else ["# If the secret has expired, set a new one:"]
        for name in missing or _SERVICE_PRINCIPAL[-1:]:
            lines += fixes.set(name, Template(f"${name.removeprefix('AZURE_')}"))
        return lines
    if _NO_ANSWER.search(error):
        lines = ["# A managed identity exists only inside Azure; use your own identity here:"]
        if "IDENTITY_ENDPOINT" in context.environ:
            lines += fixes.unset("IDENTITY_ENDPOINT")
        return [*lines, *fixes.use_own_identity()]
    return [
        "# The identities of the app, by client ID:",
        f"az functionapp identity show {fixes.app_options} --query userAssignedIdentities",
        *fixes.set(client_id, Template("$CLIENT_ID")),
    ]
