"""The list of checks, and what runs them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace

from azure.core.exceptions import AzureError

from shared.clients.http import describe_error
from shared.errors import RelayError
from shared.text import clean
from tools.doctor.context import Context
from tools.doctor.findings import Finding, SkippedError, failed, skipped
from tools.doctor.host_json import check_host_json
from tools.doctor.identity import check_identity
from tools.doctor.publishing import check_endpoint, check_publish, check_visible
from tools.doctor.queues import check_dead_letters, check_ingress, check_poison
from tools.doctor.resource import check_app, check_region, check_resource
from tools.doctor.settings import check_settings
from tools.doctor.sources import check_sources
from tools.doctor.storage import check_storage

__all__ = ["CHECKS", "Check", "redact", "run_checks"]

# Whole connection strings; what follows a name in a URL or a header; JSON Web Tokens. A shell
# variable in the place of the secret stays.
_SECRETS = re.compile(
    r"[^\s'\"]*(?:Account|Shared|SharedAccess)(?:Key|Signature)=(?!\$)[^\s'\"]*"
    r"|(?P<name>\bsig=|\bBearer )[^\s;&'\"]+"
    r"|\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile(r"SECRET|PASSWORD|KEY|TOKEN|IDENTITY_HEADER", re.IGNORECASE)
# Characters of a line: a setting may be long.
MAX_FIX = 100_000
# Shorter values could be part of any word.
_MIN_SECRET_LENGTH = 8

Check = Callable[[Context], list[Finding]]
"""Checks one thing, and adds to the context what later checks need. Raises SkippedError."""

# What a check needs is above it.
CHECKS: Mapping[str, Check] = {
    "settings": check_settings,
    "host.json": check_host_json,
    "identity": check_identity,
    "storage": check_storage,
    "ingress queue": check_ingress,
    "poison queue": check_poison,
    "dead letters": check_dead_letters,
    "sources": check_sources,
    "app": check_app,
    "resource": check_resource,
    "region": check_region,
    "endpoint": check_endpoint,
    "publish": check_publish,
    "visible": check_visible,
}


def run_checks(context: Context, started: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """Run all checks; `started` gets the name of each. The findings contain no secrets."""
    findings: list[Finding] = []
    for name, check in CHECKS.items():
        started(name)
        try:
            found = check(context)
        except SkippedError as exc:
            found = [skipped(str(exc))]
        except (AzureError, RelayError) as exc:
            found = [failed(describe_error(exc))]
        for finding in found:
            # One line that cannot control a terminal: servers and producers wrote parts of it.
            message = " ".join(clean(redact(finding.message, context.environ)).split())
            lines = dict.fromkeys(finding.fix)  # A comment may be that of several commands.
            fix = tuple(clean(redact(line, context.environ), MAX_FIX) for line in lines)
            findings.append(replace(finding, check=name, message=message, fix=fix))
    return findings


def redact(text: str, environ: Mapping[str, str]) -> str:
    """Return the text without anything that looks like a secret or is the value of one."""
    text = _SECRETS.sub(lambda found: f"{found['name'] or ''}…", text)
    for name, value in environ.items():
        if len(value) >= _MIN_SECRET_LENGTH and _SECRET_NAMES.search(name):
            # As it is, and as a command has it.
            text = text.replace(value, "…").replace(shlex.quote(value).strip("'"), "…")
    return text
