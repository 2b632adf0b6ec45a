"""The list of checks, and what runs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from azure.core.exceptions import AzureError

from shared.errors import RelayError
from tools.console import printable
from tools.doctor.app import check_app
from tools.doctor.context import Context
from tools.doctor.findings import Finding, SkippedError, failed, skipped
from tools.doctor.fixes import quoted
from tools.doctor.host_json import check_host_json
from tools.doctor.identity import check_audience, check_identity
from tools.doctor.publishing import check_clock, check_endpoint, check_publish, check_visible
from tools.doctor.queues import check_dead_letters, check_ingress, check_poison
from tools.doctor.resource import check_region, check_resource
from tools.doctor.settings import check_settings, check_triggers
from tools.doctor.sources import check_sources
from tools.doctor.storage import check_roles, check_storage, describe

__all__ = ["CHECKS", "Check", "redact", "run_checks"]

# Whole connection strings; what follows a name in a URL or a header; JSON Web Tokens. A shell
# variable in the place of the secret stays.
_SECRETS = re.compile(
    r"[^\s'\"]*(?:Account|Shared|SharedAccess)(?:Key|Signature)=(?!\$)[^\s'\"]*"
    r"|(?P<name>\bsig=|\bBearer )[^\s;&'\"]+"
    r"|\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",
    re.IGNORECASE,
)
# What urllib3 puts around a cause.
_POOL_ERROR = re.compile(
    r"""(?:\w+Error: )?HTTPS?ConnectionPool\(.+?\(Caused by \w+\(["'](.+?)["']\)\)"""
)
_CONNECTION = re.compile(r"HTTPS?Connection\([^)]*\): ")
_SECRET_NAMES = re.compile(r"SECRET|PASSWORD|KEY|TOKEN|IDENTITY_HEADER", re.IGNORECASE)
# Shorter values could be part of any word.
_MIN_SECRET_LENGTH = 8

Check = Callable[[Context], Iterable[Finding]]
"""Checks one thing, and adds to the context what later checks need. Raises SkippedError."""

# What a check needs is above it.
CHECKS: Mapping[str, Check] = {
    "settings": check_settings,
    "triggers": check_triggers,
    "host.json": check_host_json,
    "identity": check_identity,
    "audience": check_audience,
    "storage": check_storage,
    "storage roles": check_roles,
    "ingress queue": check_ingress,
    "poison queue": check_poison,
    "dead letters": check_dead_letters,
    "sources": check_sources,
    "app": check_app,
    "resource": check_resource,
    "region": check_region,
    "endpoint": check_endpoint,
    "clock": check_clock,
    "publish": check_publish,
    "visible": check_visible,
}


def run_checks(context: Context, started: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """Run all checks; `started` gets the name of each. The findings contain no secrets."""
    findings: list[Finding] = []
    for name, check in CHECKS.items():
        started(name)
        for finding in _run(check, context):
            # One line that cannot control a terminal: servers and producers wrote parts of it.
            message = " ".join(redact(finding.message, context.environ).split())
            message = printable(_CONNECTION.sub("", _POOL_ERROR.sub(r"\1", message)))
            fix = tuple(printable(redact(line, context.environ)) for line in finding.fix)
            findings.append(replace(finding, check=name, message=message, fix=fix))
    return findings


def _run(check: Check, context: Context) -> Iterator[Finding]:
    try:
        yield from check(context)
    except SkippedError as exc:
        yield skipped(str(exc))
    except AzureError as exc:  # Of storage, after it had answered.
        yield failed(describe(exc))
    except RelayError as exc:
        yield failed(str(exc))


def redact(text: str, environ: Mapping[str, str]) -> str:
    """Return the text without anything that looks like a secret or is the value of one."""
    text = _SECRETS.sub(lambda found: f"{found['name'] or ''}…", text)
    for name, value in environ.items():
        if len(value) >= _MIN_SECRET_LENGTH and _SECRET_NAMES.search(name):
            # As it is, and as it may be written in a command.
            word = quoted(value)
            for form in (value, word.removeprefix("$")[1:-1]):
                text = text.replace(form, "…") if len(form) >= _MIN_SECRET_LENGTH else text
    return text
