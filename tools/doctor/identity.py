"""The identity that publishes: whether it gets a token, and for which audience."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from shared.clients.credentials import CREDENTIALS
from shared.errors import TokenError
from shared.settings import DEFAULTS
from tools.doctor.claims import read_claims
from tools.doctor.context import Context, is_loopback, require
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.fixes import Template, quoted

__all__ = ["check_audience", "check_identity", "has_managed_identity", "no_managed_identity"]

# Of a service principal, as azure-identity reads it.
_SERVICE_PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
# Domain of the ingestion endpoint -> audience of its tokens; see docs/regions.md.
_AUDIENCES = {
    "monitoring.azure.com": "https://monitoring.azure.com/",
    "monitoring.azure.us": "https://monitoring.azure.us/",
    "monitoring.azure.cn": "https://monitoring.azure.cn/",
}
_NO_ANSWER = re.compile(r"refused|resolve|timed out|unreachable", re.IGNORECASE)


def check_identity(context: Context) -> Iterator[Finding]:
    """Get a token for the metrics store, and report whose it is."""
    settings = require(context.settings, "settings")
    kind = settings.credential
    if kind == "managed_identity" and not has_managed_identity(context.environ):
        yield no_managed_identity(context)
        return
    try:
        token = context.clients.tokens(settings.audience).get()
    except TokenError as exc:
        text = " ".join(str(exc).split())
        yield failed(text, *_fix(context, kind, text))
        return
    claims = context.claims = read_claims(token)
    yield ok(f"{CREDENTIALS[kind]}: {claims.bearer}")


def check_audience(context: Context) -> Iterator[Finding]:
    """Compare the audience with the endpoint that gets the token, and with the token."""
    claims = require(context.claims, "identity")
    settings = require(context.settings, "settings")
    endpoint = settings.endpoint.replace("{region}", "region")
    host, audience = urlsplit(endpoint).hostname or "", settings.audience
    of_cloud = next((text for end, text in _AUDIENCES.items() if host.endswith(f".{end}")), None)
    expected, fixes = of_cloud or DEFAULTS["METRICS_AUDIENCE"], context.fixes
    fix = fixes.set("METRICS_AUDIENCE", expected)
    if expected == DEFAULTS["METRICS_AUDIENCE"]:
        fix = fixes.unset("METRICS_AUDIENCE")
    known = audience in _AUDIENCES.values()
    if (of_cloud and audience != of_cloud) or (not known and is_loopback(endpoint)):
        yield failed(
            f"METRICS_AUDIENCE is {audience!r}: {host} takes tokens for {expected!r}, with the "
            "slash at the end",
            *fix,
        )
        return
    context.audience_matches = True
    left = 1.0 if claims.expires is None else claims.expires - context.now().timestamp()
    if not known:
        yield warning(f"it is not known here whether {host} takes tokens for {audience!r}")
    elif claims.audience and claims.audience != audience:
        yield warning(f"asked for {audience!r}, the token is for {claims.audience!r}", *fix)
    elif left <= 0:
        yield warning(f"by this machine's clock, the token expired {-left / 60:.0f} min ago")
    else:
        yield ok(audience + (f", valid for {left / 60:.0f} min" if claims.expires else ""))


def no_managed_identity(context: Context) -> Finding:
    """Return the finding for a managed identity outside Azure."""
    return failed(
        "a managed identity exists only inside Azure, and IDENTITY_ENDPOINT is not set here: run "
        "the doctor with your own identity",
        *context.fixes.use_own_identity(),
    )


def has_managed_identity(environ: Mapping[str, str]) -> bool:
    """Return whether the platform offers managed identities here: App Service, or AKS."""
    names = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_FEDERATED_TOKEN_FILE")
    return any(environ.get(name) for name in names)


def _fix(context: Context, kind: str, text: str) -> list[str]:
    fixes = context.fixes
    if kind == "azure_cli":
        return ["# Needs the Azure CLI: https://learn.microsoft.com/cli/azure", "az login"]
    if kind == "environment":
        missing = [name for name in _SERVICE_PRINCIPAL if not context.environ.get(name)]
        if missing:
            values = [(name, Template(f"${name.removeprefix('AZURE_')}")) for name in missing]
            return [line for name, value in values for line in fixes.set(name, value)]
        client = quoted(context.environ["AZURE_CLIENT_ID"])
        return [
            "# If the secret has expired, this makes a new one:",
            f"az ad app credential reset --id {client} --query password --output tsv",
        ]
    if _NO_ANSWER.search(text):
        return [
            "# The platform sets IDENTITY_ENDPOINT; what set it here does not run any more.",
            *fixes.unset("IDENTITY_ENDPOINT"),
            *fixes.use_own_identity(),
        ]
    return [
        "# The identities of the app, by client ID:",
        f"az functionapp identity show {fixes.app_options} --query userAssignedIdentities",
        *fixes.set("AZURE_CLIENT_ID", Template("$CLIENT_ID")),
        "# If it has none:",
        f"# az functionapp identity assign {fixes.app_options}",
    ]
