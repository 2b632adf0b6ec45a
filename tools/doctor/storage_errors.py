"""What storage, or the way to it, answered: the cause, and the fix."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from tools.doctor.context import Account, Context, is_loopback, proxy_note
from tools.doctor.findings import Finding, failed
from tools.doctor.fixes import CERTIFICATE, TIME_SYNC, Home, Template, quoted
from tools.doctor.settings import CONNECTION

__all__ = [
    "DEVELOPMENT",
    "ROLE_MISSING",
    "code_of",
    "describe",
    "explain",
    "firewall",
    "new_signature",
]

ROLE_MISSING = "AuthorizationPermissionMismatch"
DEVELOPMENT = "devstoreaccount1"  # The account of Azurite.
# Seconds. Source: "Authorize with Shared Key".
_MAX_SKEW = 15 * 60
_NEW_SIGNATURE = timedelta(days=90)
_DETAIL = re.compile(r"^authenticationerrordetail:\s*(.+)", re.IGNORECASE | re.MULTILINE)
_EXPIRY = re.compile(r"[?&;=]se=([^&;]+)")


def code_of(exc: Exception) -> str:
    """Return the error code of an answer of storage, empty if there was no answer."""
    code: Any = getattr(exc, "error_code", None) or ""
    return str(getattr(code, "value", code))


def describe(exc: Exception) -> str:
    """Return status, code and message of an error, and what storage adds about authentication."""
    text = str(exc).strip()
    first = text.partition("\n")[0] or type(exc).__name__
    status, detail = getattr(exc, "status_code", None), _DETAIL.search(text)
    words = (str(status or ""), code_of(exc), first, f"({detail[1].strip()})" if detail else "")
    return " ".join(filter(None, words))


def explain(exc: Exception, account: Account, context: Context) -> Finding:
    """Return the finding for the error of a first request to an account."""
    text, url = describe(exc), account.service.url
    if getattr(exc, "status_code", None) is not None:
        cause, fix = _refused(code_of(exc), text, account, context)
        return failed(f"{text.rstrip('.')}: {cause}" if cause else text, *fix)
    host = urlsplit(url).netloc
    if is_loopback(url) and "refused" in text:
        fix = context.fixes.start_azurite(urlsplit(url).port)
        return failed(f"nothing listens at {host}", *fix)
    if "base64" in text or "padding" in text:
        return failed(f"{text}: the account key is incomplete", *_new_key(account, context))
    message = f"{host} cannot be reached{proxy_note(url)}: {text}"
    if "resolve" in text:
        return failed(
            message,
            "# No account has that name, or its network is private. Its address:",
            f"{_show(account)} --query primaryEndpoints.queue --output tsv",
        )
    if "ssl" in text.lower() or "certificate" in text.lower():
        return failed(message, *CERTIFICATE)
    return failed(message, *firewall(account.name), f"curl -sSI https://{quoted(host)}/")


def firewall(account: str) -> list[str]:
    """Show whom the firewall of a storage account lets pass, and let this machine pass."""
    show = f"az storage account show --name {quoted(account)}"
    add = f"az storage account network-rule add --account-name {quoted(account)}"
    return [
        "# Does the storage firewall block this address?",
        f'{show} --query "{{public: publicNetworkAccess, rules: networkRuleSet}}"',
        f'{add} --ip-address "$(curl -s https://api.ipify.org)"',
    ]


def new_signature(account: Account, context: Context) -> list[str]:
    """Make a shared access signature that allows what the app does."""
    if account.name == DEVELOPMENT:
        return _new_key(account, context)
    url = account.service.url.partition("?")[0].rstrip("/")
    generate = f"az storage account generate-sas --account-name {quoted(account.name)} --https-only"
    generate += " --services q --resource-types sco --permissions rwdlacup --output tsv"
    return [
        "# Better an identity, see docs/settings.md; or a new signature:",
        f"SAS=$({generate} --expiry {context.now() + _NEW_SIGNATURE:%Y-%m-%d})",
        *context.fixes.set(CONNECTION, Template(f"QueueEndpoint={url};SharedAccessSignature=$SAS")),
    ]


def _refused(code: str, text: str, account: Account, context: Context) -> tuple[str, list[str]]:
    """Return cause and fix of an error answer."""
    fixes, local = context.fixes, account.name == DEVELOPMENT
    match code:
        case "InvalidHeaderValue" if local:
            fix = fixes.start_azurite(urlsplit(account.service.url).port)
            return "this Azurite refuses the API version of the SDK; end it, and", fix
        case "AuthenticationFailed" | "AuthorizationFailure" if _has_expired(text, context):
            return "the shared access signature has expired", new_signature(account, context)
        case "AuthorizationFailure" | "PublicAccessNotPermitted" if not local:
            return "", firewall(account.name)
        case "AuthenticationFailed" if account.by_key and _is_skewed(context):
            return "a request is valid for 15 minutes, and this clock is wrong", [*TIME_SYNC]
        case "AuthenticationFailed" | "KeyBasedAuthenticationNotPermitted" if account.claims:
            show = ["az account show --query tenantId --output tsv"]
            return f"is the account in the tenant of the token, {account.claims.tenant}?", show
        case "KeyBasedAuthenticationNotPermitted":
            fix = fixes.unset(CONNECTION) + fixes.set(f"{CONNECTION}__accountName", account.name)
            if fixes.home is Home.APP:
                fix += fixes.set(f"{CONNECTION}__credential", "managedidentity")
            return "its keys are disabled; use an identity", fix
        case "AuthenticationFailed" | "AuthorizationFailure" if account.by_key:
            return "it is not, or no longer, a key of the account", _new_key(account, context)
        case "AuthenticationFailed" | "AuthorizationFailure":
            return "the shared access signature is not valid", new_signature(account, context)
        case _:
            return "", [_show(account)]


def _is_skewed(context: Context) -> bool:
    return any(abs(ahead) > _MAX_SKEW for _, ahead in context.clocks)


def _has_expired(text: str, context: Context) -> bool:
    """Return whether the signature has expired, by its own words or those of storage."""
    string = context.settings.storage.connection_string if context.settings else None
    if not string or "sig=" not in string:
        return False
    expiry = _EXPIRY.search(string)
    try:
        end = datetime.fromisoformat(unquote(expiry[1])) if expiry else None
    except ValueError:
        end = None
    if end is None:
        return "time frame" in text
    return end.replace(tzinfo=end.tzinfo or UTC) < context.now()


def _new_key(account: Account, context: Context) -> list[str]:
    if account.name == DEVELOPMENT:
        set_it = context.fixes.set(CONNECTION, "UseDevelopmentStorage=true")
        return ["# The account and key of Azurite, with its queues at port 10001:", *set_it]
    show = f"az storage account show-connection-string --name {quoted(account.name)}"
    return context.fixes.set(CONNECTION, Template(f"$({show} --query connectionString -o tsv)"))


def _show(account: Account) -> str:
    return f"az storage account show --name {quoted(account.name)}"
