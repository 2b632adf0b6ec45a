"""The identity that publishes: whether it gives a token, whose, and for which audience."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from shared.clients.credentials import CREDENTIALS
from shared.errors import TokenError
from shared.settings import DEFAULTS
from tools.doctor.claims import read_claims
from tools.doctor.commands import Commands, Home, Open, quoted
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.patient import Patient, needed

__all__ = ["NOT_HERE", "check", "check_audience", "has_identity_endpoint", "on_a_laptop"]

# Of a service principal, as azure-identity reads it.
_OF_PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
# Host of the ingestion endpoint -> audience of its tokens; see docs/regions.md.
_AUDIENCES = {
    "monitoring.azure.com": "https://monitoring.azure.com/",
    "monitoring.azure.us": "https://monitoring.azure.us/",
    "monitoring.azure.cn": "https://monitoring.azure.cn/",
}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}  # The emulator, which takes the first.
_NO_ANSWER = re.compile(r"refused|resolve|timed out|unreachable", re.IGNORECASE)
NOT_HERE = (
    "a managed identity exists only inside Azure, and IDENTITY_ENDPOINT is not set here: on a "
    "laptop, look as yourself"
)


def check(patient: Patient) -> Iterator[Finding]:
    """Ask the credential for a token of the metrics store, and read whose it is."""
    settings = needed(patient.settings, "settings")
    kind = settings.credential
    if kind == "managed_identity" and not has_identity_endpoint(patient.environ):
        yield failed(NOT_HERE, *on_a_laptop(patient))
        return
    try:
        token = patient.context.tokens(settings.audience).get()
    except TokenError as exc:
        text = " ".join(str(exc).split())
        yield failed(text, *_remedy(kind, text, patient))
        return
    claims = patient.claims = read_claims(token)
    whose = "as yourself, " if patient.options.credential and claims.is_user else ""
    yield ok(f"{CREDENTIALS[kind]}: {whose}{claims.bearer}")


def check_audience(patient: Patient) -> Iterator[Finding]:
    """Compare the audience with the endpoint that the token goes to, and with the token."""
    claims = needed(patient.claims, "identity")
    settings = needed(patient.settings, "settings")
    host = urlsplit(settings.endpoint.replace("{region}", "region")).hostname or ""
    of_cloud = next((text for end, text in _AUDIENCES.items() if host.endswith(f".{end}")), None)
    expected = of_cloud or DEFAULTS["METRICS_AUDIENCE"]
    remedy = (
        patient.commands.unset("METRICS_AUDIENCE")
        if expected == DEFAULTS["METRICS_AUDIENCE"]
        else patient.commands.set("METRICS_AUDIENCE", expected)
    )
    is_one = settings.audience in _AUDIENCES.values()
    if of_cloud is None and host not in _LOOPBACK and not is_one:
        patient.audience_is_right = True
        yield warning(f"whether {host} takes tokens for {settings.audience!r} is not known here")
    elif not is_one or (of_cloud is not None and settings.audience != of_cloud):
        yield failed(
            f"METRICS_AUDIENCE is {settings.audience!r}: {host} takes tokens for {expected!r}, "
            "its slash included",
            remedy,
        )
    elif claims.audience and claims.audience != settings.audience:
        patient.audience_is_right = True
        yield warning(
            f"asked for {settings.audience!r}, the token is for {claims.audience!r}", remedy
        )
    else:
        patient.audience_is_right = True
        left = None if claims.expires is None else claims.expires - patient.now().timestamp()
        if left is not None and left <= 0:
            yield warning(f"by this machine's clock the token has ended {-left / 60:.0f} min ago")
            return
        lasting = "" if left is None else f", good for {left / 60:.0f} min"
        yield ok(f"{settings.audience}{lasting}")


def has_identity_endpoint(environ: Mapping[str, str]) -> bool:
    """Whether the platform offers managed identities here: App Service and its kin, or AKS."""
    names = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_FEDERATED_TOKEN_FILE")
    return any(environ.get(name) for name in names)


def on_a_laptop(patient: Patient) -> list[str]:
    """Look as oneself instead; and run as oneself, where the app runs here."""
    commands = patient.commands
    lines = ["az login", commands.look_as_oneself()]
    if commands.home is not Home.DEPLOYED:
        lines += [
            "# To run the app here as yourself too:",
            commands.set("METRICS_CREDENTIAL", "azure_cli"),
        ]
    return lines


def _remedy(kind: str, text: str, patient: Patient) -> list[str]:
    commands: Commands = patient.commands
    if kind == "azure_cli":
        return [
            "# The Azure CLI: https://learn.microsoft.com/cli/azure/install-azure-cli",
            "az login",
        ]
    if kind == "environment":
        missing = [name for name in _OF_PRINCIPAL if not patient.environ.get(name)]
        if missing:
            return [commands.set(name, Open(f"${name.removeprefix('AZURE_')}")) for name in missing]
        client = quoted(patient.environ["AZURE_CLIENT_ID"])
        return [
            "# A secret that has ended is replaced by:",
            f"az ad app credential reset --id {client} --query password --output tsv",
        ]
    if _NO_ANSWER.search(text):
        return [
            "# IDENTITY_ENDPOINT is for the platform to set; whatever set it here is away.",
            commands.unset("IDENTITY_ENDPOINT"),
            *on_a_laptop(patient),
        ]
    return [
        "# The identities that the app has, by client ID:",
        (
            f"az functionapp identity show {commands.of_app} "
            '--query "userAssignedIdentities.*.clientId" --output tsv'
        ),
        commands.set("AZURE_CLIENT_ID", Open("$CLIENT_ID")),
        f"# There are none? Then: az functionapp identity assign {commands.of_app}",
    ]
