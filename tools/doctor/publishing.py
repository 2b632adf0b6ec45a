"""The metrics store: whether it is reached, and whether it takes a value of ours."""

from __future__ import annotations

from collections.abc import Iterator

import requests

from shared.clients.http import NoAuth
from shared.model import Rollup, Series, Target
from shared.publisher.client import AzureMonitorStore
from shared.publisher.responses import Action, Response, classify
from tools.doctor.commands import Open, quoted
from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.patient import Patient, needed

__all__ = ["NAMESPACE", "check", "check_endpoint"]

NAMESPACE, METRIC = "MetricRelayProbe", "Probe"
# Seconds: to connect, and to answer.
_TIMEOUT = (5.0, 10.0)
_REGIONS = (
    "https://learn.microsoft.com/azure/azure-monitor/metrics/"
    "metrics-custom-overview#supported-regions"
)


def check_endpoint(patient: Patient) -> Iterator[Finding]:
    """Reach the ingestion endpoint of the region, without a token; any answer will do."""
    settings = needed(patient.settings, "settings")
    region = needed(patient.region, "region")
    url = settings.endpoint.replace("{region}", region)
    try:
        with patient.context.session.get(
            url, auth=NoAuth(), timeout=_TIMEOUT, allow_redirects=False, stream=True
        ) as response:
            patient.note_date("the metrics store", response.headers.get("Date"))
    except requests.RequestException as exc:
        yield failed(
            f"{url} is not reached: {type(exc).__name__}: {exc}", *_unreached(str(exc), patient)
        )
        return
    patient.endpoint_answers = True
    yield ok(f"{url} answers")


def check(patient: Patient) -> Iterator[Finding]:
    """Publish one value, if asked to, in a namespace that nobody looks at."""
    if not patient.options.probe:
        yield skipped(f"not tried: --probe publishes one value of {NAMESPACE}")
        return
    settings = needed(patient.settings, "settings")
    resource_id = needed(patient.resource_id, "resource")
    needed(patient.audience_is_right, "audience")
    needed(patient.endpoint_answers, "endpoint")
    target = Target(needed(patient.region, "region"), resource_id)
    rollup = Rollup(target)
    rollup.add(patient.now(), Series(NAMESPACE, METRIC), 1.0)
    store = AzureMonitorStore(
        endpoint=settings.endpoint,
        max_body_bytes=settings.max_body_bytes,
        tokens=patient.context.tokens(settings.audience),
        session=patient.context.session,
    )
    (body,) = store.encode(rollup.aggregate())
    yield _interpreted(store.post(target, body.data), target, patient)


def _interpreted(answer: Response, target: Target, patient: Patient) -> Finding:
    """What an answer to the probe says of the chain, cause by cause."""
    commands = patient.commands
    asked = classify(answer)
    match answer.status:
        case _ if asked.action is Action.PUBLISHED:
            return ok(
                f"a value of {NAMESPACE} was taken for {target.resource_id} in {target.region}; "
                "one of a new metric shows after up to three minutes"
            )
        case 401:
            tenant = patient.claims.tenant if patient.claims else ""
            subscription = quoted(target.resource_id.split("/")[2])
            return failed(
                f"{answer}: the token is of tenant {tenant or '?'}, the resource perhaps not",
                f"az account show --subscription {subscription} --query tenantId --output tsv",
            )
        case 403:
            return failed(
                f"{answer}: Monitoring Metrics Publisher is missing, or was granted minutes ago; "
                "being Owner is not enough",
                *commands.grant("Monitoring Metrics Publisher", patient.claims, target.resource_id),
            )
        case 404:
            return failed(
                f"{answer}: there is no such resource, or it was created moments ago",
                f"az resource show --ids {quoted(target.resource_id)} --query location",
            )
        case _ if asked.action is Action.OTHER_REGION:
            return failed(
                f"{answer}: the resource is elsewhere, or its region takes no custom metrics "
                f"({_REGIONS})",
                commands.set("METRICS_REGION", asked.region or Open("$REGION")),
            )
        case _ if asked.action is Action.DROP_EXPIRED:
            return failed(
                f"{answer}: this machine's clock and the store's disagree",
                "sudo timedatectl set-ntp true",
            )
        case _ if asked.action is Action.RETRY:
            return warning(
                f"{answer}: the store is busy or away; the app waits and tries again",
                "# Try again in a minute; https://azure.status.microsoft shows outages.",
            )
        case _:
            return failed(f"{answer}: the store has something against the value itself")


def _unreached(text: str, patient: Patient) -> list[str]:
    own = patient.environ.get("METRICS_ENDPOINT")
    lines = [patient.commands.unset("METRICS_ENDPOINT")] if own else []
    if "resolve" in text:
        lines.append(f"# Is it a region with custom metrics? {_REGIONS}")
    elif "SSL" in text or "certificate" in text:
        lines += [
            "# A proxy that looks into TLS? Its certificate, for all that is in Python:",
            'export REQUESTS_CA_BUNDLE="$CA_FILE"',
        ]
    else:
        lines.append(
            "# A proxy is taken from HTTPS_PROXY and NO_PROXY; a firewall must let 443 out."
        )
    return lines
