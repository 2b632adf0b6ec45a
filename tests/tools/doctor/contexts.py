"""Contexts for checks: settings, clients and queues that a test chooses."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from shared.app import build_context
from shared.publisher.sender import Timing
from shared.settings import Settings
from tools.doctor.checks import Check
from tools.doctor.context import Account, Context
from tools.doctor.findings import Finding, SkippedError, Status
from tools.doctor.fixes import Principal

__all__ = [
    "ENVIRON",
    "GROUP",
    "IDENTITY",
    "NOW",
    "SITE",
    "FakeQueues",
    "account_of",
    "fix_of",
    "grant",
    "make_context",
    "message",
    "one",
    "ready",
    "results",
    "skip_of",
    "storage_error",
]

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
GROUP = "/subscriptions/1/resourceGroups/shop"
SITE = f"{GROUP}/providers/Microsoft.Web/sites/shop-api"
ENVIRON = {
    "MetricsStorage": "UseDevelopmentStorage=true",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "METRICS_QUEUE": "metrics",
    "METRICS_SAMPLE_SCHEDULE": "0 * * * * *",
    "METRICS_RESOURCE_ID": SITE,
    "METRICS_REGION": "westeurope",
}
IDENTITY = Principal("object-1", "tenant-1")


def make_context(changes: Mapping[str, str | None] | None = None, **facts: Any) -> Context:
    """A context in which no check has run; a setting that is None is left out."""
    environ = {**ENVIRON, **(changes or {})}
    given = {name: text for name, text in environ.items() if text is not None}
    context = Context(environ=given, now=lambda: NOW)
    vars(context).update(facts)
    return context


def ready(changes: Mapping[str, str | None] | None = None, **facts: Any) -> Context:
    """A context with valid settings and an identity; its tokens come from nowhere."""
    context = make_context(changes, **facts)
    context.settings = Settings.from_env(context.environ)
    context.identity = IDENTITY
    clients = build_context(context.settings, Timing())
    tokens = SimpleNamespace(get=lambda: "token", discard=lambda _: None)
    context.__dict__["clients"] = msgspec.structs.replace(
        clients, tokens=lambda _: tokens, connection=context.connection
    )
    return context


def results(check: Check, context: Context) -> list[tuple[str, str]]:
    """Status and message of each finding."""
    return [(str(finding.status), finding.message) for finding in check(context)]


def one(check: Check, context: Context) -> Finding:
    """The only finding."""
    (finding,) = check(context)
    return finding


def fix_of(check: Check, context: Context, text: str, status: str = "") -> list[str]:
    """The fix of the finding that has a text in its message, which is not of what works."""
    (finding,) = [each for each in check(context) if text in each.message]
    assert finding.status in (status or ("failed", "warning"))
    # A fix can be pasted into a shell.
    subprocess.run(["bash", "-n"], input="\n".join(finding.fix), text=True, check=True)  # noqa: S607
    return list(finding.fix)


def skip_of(check: Check, context: Context) -> str:
    """Why a check was skipped."""
    try:
        finding = one(check, context)
    except SkippedError as exc:
        return str(exc)
    assert finding.status is Status.SKIPPED
    return finding.message


def grant(role: str, scope: str) -> str:
    """The command that assigns a role to the identity of a context."""
    assign = f"az role assignment create --role {shlex.quote(role)} --scope {scope}"
    return f"{assign} --assignee-object-id object-1 --assignee-principal-type ServicePrincipal"


def storage_error(code: str, text: str = "No.") -> HttpResponseError:
    """An answer of storage, as the SDK raises it."""
    error = HttpResponseError(f"{text} ErrorCode:{code}")
    error.status_code = 403
    vars(error)["error_code"] = code
    return error


def message(content: str, minutes_old: float = 0, tries: int = 0) -> Any:
    """A message as the SDK returns it."""
    inserted = datetime.fromtimestamp(NOW.timestamp() - minutes_old * 60, UTC)
    return SimpleNamespace(content=content, inserted_on=inserted, dequeue_count=tries)


@dataclass
class FakeQueues:
    """The queues of an account: name -> visible messages, and how many are hidden."""

    queues: dict[str, list[Any]]
    hidden: int = 0
    refused: set[str] = field(default_factory=set)  # Methods that need a role.
    url: str = "http://127.0.0.1:10001/devstoreaccount1/"

    def get_queue_client(self, name: str) -> Any:
        """A client for a queue, which need not exist."""

        def properties(**_: Any) -> Any:
            count = len(self._found(name, "get_queue_properties")) + self.hidden
            return SimpleNamespace(approximate_message_count=count)

        return SimpleNamespace(
            get_queue_properties=properties,
            peek_messages=lambda *_: self._found(name, "peek_messages"),
            delete_message=lambda *_: self._found("", "delete_message"),
            update_message=lambda *_, **__: self._found("", "update_message"),
        )

    def list_queues(self) -> list[Any]:
        """The queues."""
        return [SimpleNamespace(name=name) for name in self._found(None, "list_queues")]

    def _found(self, name: str | None, method: str) -> list[Any]:
        if method in self.refused:
            raise storage_error("AuthorizationPermissionMismatch")
        if name is None:
            return list(self.queues)
        if name not in self.queues:
            raise ResourceNotFoundError(f"no {name}")
        return self.queues[name]


def account_of(queues: FakeQueues, name: str = "devstoreaccount1", *, key: bool = True) -> Account:
    """An account with these queues."""
    service: Any = queues
    return Account(service, name, key, None if key else IDENTITY)
