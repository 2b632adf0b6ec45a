"""What storage, or the way to it, answered: the cause, and what mends it."""

from __future__ import annotations

from typing import Any

from tools.doctor.commands import Commands, Home, Open, quoted
from tools.doctor.findings import Finding, failed
from tools.doctor.patient import Account, Patient

__all__ = ["ROLE_MISSING", "code_of", "explained", "firewall", "first_line"]

ROLE_MISSING = "AuthorizationPermissionMismatch"
# Seconds from which on storage refuses a signature. Source: "Authorize with Shared Key".
_MOST_SKEW = 15 * 60
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def code_of(exc: Exception) -> str:
    """The error code of an answer of storage; empty where there was no answer."""
    code: Any = getattr(exc, "error_code", None) or ""
    return str(getattr(code, "value", code))


def first_line(exc: Exception) -> str:
    """The error's own words, without what follows them."""
    return str(exc).strip().partition("\n")[0] or type(exc).__name__


def explained(exc: Exception, account: Account, patient: Patient) -> Finding:
    """The finding for what a first request to the account ended with."""
    code, text = code_of(exc), first_line(exc)
    status = getattr(exc, "status_code", None)
    if status is None:
        return _unreached(text, account, patient)
    found = " ".join(filter(None, (str(status), code, text)))
    return failed(found, *_refused(code, account, patient))


def _unreached(text: str, account: Account, patient: Patient) -> Finding:
    """No answer at all, by the words that the libraries have for it."""
    # Azurite has the account in the path.
    host = (account.service.primary_hostname or "").partition("/")[0]
    where = f"{host} is not reached: {text}"
    name, _, port = host.partition(":")
    if name in _LOOPBACK and "refused" in text:
        return failed(
            where, "# Azurite on this machine:", f"npx azurite --queuePort {quoted(port)}"
        )
    if "resolve" in text:
        return failed(
            where,
            "# No account has that name, or its network is private. Its address is:",
            f"az storage account show --name {quoted(account.name)} "
            "--query primaryEndpoints.queue --output tsv",
        )
    if "ssl" in text.lower() or "certificate" in text.lower():
        return failed(
            where,
            "# A proxy that looks into TLS? Its certificate, for all that is in Python:",
            'export REQUESTS_CA_BUNDLE="$CA_FILE"',
            f"openssl s_client -connect {quoted(host)}:443 </dev/null",
        )
    if "base64" in text or "padding" in text:
        return failed(f"{where}; the key is cut short", *_new_key(account, patient.commands))
    return failed(where, *firewall(account.name), f"curl -sSI https://{quoted(host)}/")


def _refused(code: str, account: Account, patient: Patient) -> list[str]:
    """The remedy for a refusal, by its code."""
    commands = patient.commands
    match code:
        case "AuthorizationFailure" | "PublicAccessNotPermitted":
            return ["# Its firewall lets this address not through:", *firewall(account.name)]
        case "AuthenticationFailed" if any(abs(s) > _MOST_SKEW for _, s in patient.clocks):
            return [
                "# A signature is good for 15 minutes, and this machine's clock is wrong:",
                "sudo timedatectl set-ntp true",
            ]
        case "AuthenticationFailed" | "KeyBasedAuthenticationNotPermitted" if account.claims:
            tenant = quoted(account.claims.tenant)
            return [f"az account show --query tenantId --output tsv  # {tenant}?"]
        case "KeyBasedAuthenticationNotPermitted":
            return [
                "# Its keys are switched off; with the identity instead:",
                commands.unset("MetricsStorage"),
                commands.set("MetricsStorage__accountName", account.name),
                *(
                    [commands.set("MetricsStorage__credential", "managedidentity")]
                    if commands.home is Home.DEPLOYED
                    else []
                ),
            ]
        case "AuthenticationFailed":
            return ["# The key is another one now:", *_new_key(account, commands)]
        case _:
            return [f"az storage account show --name {quoted(account.name)}"]


def _new_key(account: Account, commands: Commands) -> list[str]:
    string = Open(
        f"$(az storage account show-connection-string --name {quoted(account.name)} "
        "--query connectionString --output tsv)"
    )
    return [commands.set("MetricsStorage", string)]


def firewall(account: str) -> list[str]:
    """See who is let through to an account, and let this machine through."""
    return [
        (
            f"az storage account show --name {quoted(account)} "
            '--query "{public: publicNetworkAccess, rules: networkRuleSet}"'
        ),
        (
            f"az storage account network-rule add --account-name {quoted(account)} "
            '--ip-address "$(curl -s https://api.ipify.org)"'
        ),
    ]
