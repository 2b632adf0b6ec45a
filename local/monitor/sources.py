"""Hold the sources to sample that the control API sets: documents and Service Bus entities."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from .limits import LIST_PAGE
from .resources import Region, is_resource, type_and_name

__all__ = ["Document", "Entity", "Namespace", "ServiceBus", "Topic"]

_NAMESPACE_TYPE = "microsoft.servicebus/namespaces"

Count = Annotated[int, msgspec.Meta(ge=0)]


class _Given(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Document(_Given):
    """Holds a JSON document and, if it needs a token, the audience of the token."""

    path: Annotated[str, msgspec.Meta(pattern="^/")]
    body: msgspec.Raw
    audience: str | None = None


class Entity(_Given):
    """Holds a queue or subscription, and the number of its messages by state."""

    name: str
    active: Count = 0
    dead_letter: Count = 0
    scheduled: Count = 0
    transfer: Count = 0
    transfer_dead_letter: Count = 0

    @property
    def arm_name(self) -> str:
        """Return the name in a resource ID, where Service Bus writes ~ for a slash."""
        return self.name.replace("/", "~")

    def properties(self) -> dict[str, Any]:
        """Return the properties as Azure Resource Manager has them."""
        counts = {
            "activeMessageCount": self.active,
            "deadLetterMessageCount": self.dead_letter,
            "scheduledMessageCount": self.scheduled,
            "transferMessageCount": self.transfer,
            "transferDeadLetterMessageCount": self.transfer_dead_letter,
        }
        return {"status": "Active", "countDetails": counts}


class Topic(Entity):
    """Holds a topic and its subscriptions; the messages are those of the topic itself."""

    subscriptions: tuple[Entity, ...] = ()


class Namespace(_Given):
    """Holds a namespace with its queues and topics."""

    resource_id: str
    location: Region = "westeurope"
    queues: tuple[Entity, ...] = ()
    topics: tuple[Topic, ...] = ()

    def __post_init__(self) -> None:
        """Refuse the ID of something else."""
        given = self.resource_id
        if not is_resource(given) or type_and_name(given)[0].lower() != _NAMESPACE_TYPE:
            raise ValueError(f"'{given}' does not name a Service Bus namespace")


class ServiceBus(_Given):
    """Holds all namespaces, and the page size of all lists of Azure Resource Manager."""

    namespaces: tuple[Namespace, ...] = ()
    page_size: Annotated[int, msgspec.Meta(ge=1, le=LIST_PAGE)] = LIST_PAGE
