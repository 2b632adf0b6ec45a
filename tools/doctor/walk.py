"""The chain: its links in order, and the walk along it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from azure.core.exceptions import AzureError

from shared.errors import RelayError
from tools.doctor import clock, host_json, identity, publishing, queues, resource, settings, storage
from tools.doctor import sources as sampling
from tools.doctor.findings import Check, Finding, SkippedError, failed, skipped
from tools.doctor.patient import Patient
from tools.doctor.secrets import redact
from tools.doctor.storage_errors import code_of, first_line
from tools.wording import printable

__all__ = ["CHECKS", "walk"]

# What a link rests on stands before it.
CHECKS: Mapping[str, Check] = {
    "settings": settings.check,
    "triggers": settings.check_triggers,
    "host.json": host_json.check,
    "identity": identity.check,
    "audience": identity.check_audience,
    "storage": storage.check,
    "storage roles": storage.check_roles,
    "ingress queue": queues.check_ingress,
    "poison queue": queues.check_poison,
    "dead letters": queues.check_dead_letters,
    "sources": sampling.check,
    "resource": resource.check,
    "region": resource.check_region,
    "endpoint": publishing.check_endpoint,
    "clock": clock.check,
    "publish": publishing.check,
}


def walk(patient: Patient, arrived: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """Look at every link; `arrived` is told each by its name. No secret is in what is found."""
    findings: list[Finding] = []
    for link, check in CHECKS.items():
        arrived(link)
        findings += [
            replace(
                finding,
                link=link,
                found=_plain(redact(finding.found, patient.environ)),
                remedy="\n".join(
                    printable(line) for line in redact(finding.remedy, patient.environ).split("\n")
                ),
            )
            for finding in _findings(check, patient)
        ]
    return findings


def _plain(text: str) -> str:
    """In one line, and doing nothing to a terminal: producers and servers have a say in it."""
    return printable(" ".join(text.split()))


def _findings(check: Check, patient: Patient) -> Iterator[Finding]:
    try:
        yield from check(patient)
    except SkippedError as exc:
        yield skipped(str(exc))
    except AzureError as exc:  # Of storage, that answered a moment ago.
        status = getattr(exc, "status_code", None)
        words = (str(status or ""), code_of(exc), first_line(exc))
        yield failed(" ".join(filter(None, words)))
    except RelayError as exc:
        yield failed(str(exc))
