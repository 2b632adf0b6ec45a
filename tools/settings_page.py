"""Write docs/settings.md: `python -m tools.settings_page`.

What settings mean stands here; tests hold defaults, limits and examples to what the code does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from shared.settings import DEFAULTS

__all__ = ["GROUPS", "Setting", "main", "page", "write"]

FILE = Path(__file__).parent.parent / "docs" / "settings.md"


@dataclass(frozen=True, slots=True)
class Setting:
    """One app setting, for whoever sets it."""

    name: str
    meaning: str
    example: str
    limits: str = "any text"
    default: str = ""  # In words, where there is none in the code.
    numbers: tuple[int, int] | None = None  # The least and the most of a whole number.


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together."""

    title: str
    text: str
    settings: Sequence[Setting]


_RESOURCE = "/subscriptions/…/resourceGroups/shop/providers/Microsoft.Web/sites/shop-api"
_QUEUE = "3 to 63 lower-case letters, digits and single hyphens between"
_URL = "`https://…`; `http://` on this machine only"

GROUPS: Sequence[Group] = (
    Group(
        "Queues",
        "The account is named by a connection of Azure Functions: by `MetricsStorage` itself, or\n"
        "by the settings that begin with it.",
        (
            Setting(
                "MetricsStorage",
                "connection string of the account with the ingress and dead-letter queues",
                "UseDevelopmentStorage=true",
                "a connection string; leave it out to sign in with an identity",
                "one of the three is required",
            ),
            Setting(
                "MetricsStorage__queueServiceUri",
                "instead: address of that account's queues, for an identity",
                "https://metricrelay.queue.core.windows.net",
                "`https://…`",
            ),
            Setting(
                "MetricsStorage__accountName",
                "instead: name of that account, in the public cloud",
                "metricrelay",
                "name of a storage account",
            ),
            Setting(
                "MetricsStorage__credential",
                "how to sign in to that address",
                "managedidentity",
                "`managedidentity`, or nothing: as you are signed in on a laptop",
                "nothing",
            ),
            Setting(
                "MetricsStorage__clientId",
                "client ID of a user-assigned identity",
                "8c1f4a52-0d1e-4e7e-9d4f-3a7b1c2d5e6f",
                "a client ID",
                "the system-assigned identity",
            ),
            Setting(
                "METRICS_QUEUE",
                "ingress queue: what is enqueued there is published",
                "metrics",
                _QUEUE,
                "required",
            ),
            Setting(
                "METRICS_DEAD_LETTER_QUEUE",
                "where refused points go",
                "metrics-refused",
                f"{_QUEUE}; another queue than `METRICS_QUEUE`",
                "`<METRICS_QUEUE>-dead-letter`",
            ),
        ),
    ),
    Group(
        "Sampling",
        "",
        (
            Setting(
                "METRICS_SAMPLE_SCHEDULE",
                "when to sample; `0 * * * * *` is every minute",
                "0 */5 * * * *",
                "NCRONTAB of six fields, in UTC",
                "required",
            ),
            Setting(
                "METRICS_SOURCES",
                "what to sample: [sources](sources/README.md)",
                '[{"kind": "storage_queue", …}]',
                "JSON array; a bad entry is named in the log and stops no other",
            ),
        ),
    ),
    Group(
        "What messages need not say",
        "",
        (
            Setting(
                "METRICS_RESOURCE_ID",
                "resource of points that name none, and of the relay's [metrics on "
                "itself](telemetry.md) where the platform does not tell the app its own",
                _RESOURCE,
                "the ID of a resource; no subscription, no resource group",
                "none",
            ),
            Setting(
                "METRICS_REGION",
                "where `METRICS_RESOURCE_ID` is; and the region of points that name none, where "
                "[Azure Resource Manager does not tell it](regions.md)",
                "westeurope",
                "`westeurope`, or as Azure displays it: `West Europe`",
                "none",
            ),
            Setting(
                "METRICS_NAMESPACE",
                "namespace of points that name none",
                "Shop",
                "1 to 256 characters",
            ),
        ),
    ),
    Group(
        "Where metrics go",
        "For [other clouds](regions.md#other-clouds) and stand-ins.",
        (
            Setting(
                "METRICS_ENDPOINT",
                "ingestion endpoint; `{region}` stands for the region of a resource",
                "https://{region}.monitoring.azure.us",
                f"{_URL}; with `{{region}}`",
            ),
            Setting(
                "METRICS_AUDIENCE",
                "audience of the tokens for it",
                "https://monitoring.azure.us/",
            ),
            Setting(
                "METRICS_ARM_ENDPOINT",
                "Azure Resource Manager, for the source `service_bus` and for regions",
                "https://management.usgovcloudapi.net",
                _URL,
            ),
        ),
    ),
    Group(
        "Identity",
        "",
        (
            Setting(
                "METRICS_CREDENTIAL",
                "how the app signs in to the store of metrics, to Azure Resource Manager and to "
                "what it samples",
                "azure_cli",
                "`managed_identity`; `environment`: a service principal from `AZURE_TENANT_ID`, "
                "`AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`; `azure_cli`: as `az login` did",
            ),
            Setting(
                "AZURE_CLIENT_ID",
                "client ID of a user-assigned identity",
                "8c1f4a52-0d1e-4e7e-9d4f-3a7b1c2d5e6f",
                "a client ID",
                "the system-assigned identity",
            ),
        ),
    ),
    Group(
        "Limits",
        "",
        (
            Setting(
                "METRICS_ALLOWED_SCOPES",
                "what may be written to: beginnings of resource IDs, compared by whole segments "
                "and without case (`/subscriptions/1` does not allow `/subscriptions/12`). What is "
                "outside is dead-lettered as `forbidden_scope`",
                "/subscriptions/…/resourceGroups/shop",
                "separated by commas",
                "any resource",
            ),
            Setting(
                "METRICS_MAX_ACTIVE_SERIES",
                "[active series](series.md) of a subscription and region, above which new ones are "
                "dead-lettered as `cardinality`",
                "25000",
                numbers=(1, 1_000_000),
            ),
            Setting(
                "METRICS_PAST_MINUTES",
                "how old a point may be; older ones are dead-lettered as `expired`",
                "25",
                numbers=(1, 30),
            ),
            Setting("METRICS_FUTURE_MINUTES", "how far ahead a point may be", "2", numbers=(0, 5)),
            Setting(
                "METRICS_MAX_BODY_BYTES",
                "bytes of a request to the store, uncompressed",
                "500000",
                numbers=(65_536, 4_000_000),
            ),
        ),
    ),
    Group(
        "Of Azure Functions",
        "The host reads these; the app obeys the first.",
        (
            Setting(
                "AzureFunctionsJobHost__extensions__queues__visibilityTimeout",
                "how long what could not be published stays unseen before it is tried again; of "
                "[host.json](host.md)",
                "00:01:00",
                "`hh:mm:ss`; times `maxDequeueCount` it must be longer than the window",
                "`00:00:30`",
            ),
            Setting(
                "AzureWebJobsStorage",
                "the host's own storage: the timer's lease and status",
                "UseDevelopmentStorage=true",
                "a connection, as `MetricsStorage`",
                "required",
            ),
            Setting(
                "FUNCTIONS_WORKER_RUNTIME",
                "on a laptop: which language the app is in. Not to be set on Flex Consumption",
                "python",
                "`python`",
                "required on a laptop",
            ),
        ),
    ),
)

_HEAD = """\
# App settings

All that an operator decides; generated by `python -m tools.settings_page`. A setting that is empty
counts as missing. With a wrong one nothing is published: every invocation fails, messages wait,
and the log names the setting with what was expected. What is wrong with a source stops that source
alone.

The [templates](deploy.md#2-say-what-it-may-do) set them in Azure. On a laptop they stand in
`local.settings.json`, for which `local.settings.sample.json` is the pattern.
"""


def page() -> str:
    """The whole of docs/settings.md."""
    return "\n".join([_HEAD, *(_section(group, DEFAULTS) for group in GROUPS)])


def write(file: Path = FILE) -> None:
    """Bring the page up to date."""
    file.write_text(page(), encoding="utf-8")


def _section(group: Group, defaults: Mapping[str, str]) -> str:
    lines = [f"## {group.title}", ""]
    if group.text:
        lines += [group.text, ""]
    lines += ["| setting | meaning | default | limits | example |", "|---|---|---|---|---|"]
    for one in group.settings:
        default = f"`{defaults[one.name]}`" if one.name in defaults else one.default
        limits = "{:,} to {:,}".format(*one.numbers) if one.numbers else one.limits
        example = f"`{one.example}`"
        lines.append(f"| `{one.name}` | {one.meaning} | {default} | {limits} | {example} |")
    return "\n".join([*lines, ""])


@click.command(epilog="Example: python -m tools.settings_page")
def main() -> None:
    """Write docs/settings.md from what this module says of each setting."""
    write()


if __name__ == "__main__":
    main(prog_name="python -m tools.settings_page")
