"""Service Bus: the namespaces that the control API puts there, and how each reads in an answer.

Azure Resource Manager does not take a / in a name: Service Bus turns it into ~ there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from .resources import is_resource, type_and_name

__all__ = ["NAMESPACE_TYPE", "Given", "Namespace", "Queue", "ServiceBus", "Subscription", "Topic"]

NAMESPACE_TYPE = "Microsoft.ServiceBus/Namespaces"

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._/~$-]*$", max_length=260)]
Status = Literal[
    "Active", "Disabled", "SendDisabled", "ReceiveDisabled", "Creating", "Deleting", "Restoring"
]
_MAX_TIME_SPAN = "P10675199DT2H48M5.4775807S"
_NEVER = "0001-01-01T00:00:00Z"


class _Given(
    msgspec.Struct,
    rename="camel",
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
):
    pass


class _Entity(_Given):
    """What queues, topics and subscriptions have: numbers of messages, and a status."""

    name: Name
    active: Count = 0
    dead_letter: Count = 0
    scheduled: Count = 0
    transfer: Count = 0
    transfer_dead_letter: Count = 0
    status: Status = "Active"

    @property
    def key(self) -> str:
        """What it is found by: its name as in a resource ID, without case."""
        return self.arm_name.lower()

    @property
    def arm_name(self) -> str:
        """Its name as in a resource ID."""
        return self.name.replace("/", "~")

    @property
    def message_count(self) -> int:
        """All its messages, whatever has become of them."""
        return sum(self._counts().values())

    def _counts(self) -> dict[str, int]:
        return {
            "activeMessageCount": self.active,
            "deadLetterMessageCount": self.dead_letter,
            "scheduledMessageCount": self.scheduled,
            "transferMessageCount": self.transfer,
            "transferDeadLetterMessageCount": self.transfer_dead_letter,
        }

    def shared(self, created: str) -> dict[str, Any]:
        """The properties that all three have."""
        return {
            "status": self.status,
            "countDetails": self._counts(),
            "defaultMessageTimeToLive": _MAX_TIME_SPAN,
            "autoDeleteOnIdle": _MAX_TIME_SPAN,
            "enableBatchedOperations": True,
            "createdAt": created,
            "updatedAt": created,
            "accessedAt": _NEVER,
        }


class Queue(_Entity):
    """A queue; its size in bytes is of its messages."""

    size_in_bytes: Count = 0

    def properties(self, created: str) -> dict[str, Any]:
        """As in an answer."""
        return {
            **self.shared(created),
            **_STORED,
            "sizeInBytes": self.size_in_bytes,
            **_RECEIVED,
            "messageCount": self.message_count,
        }


class Subscription(_Entity):
    """A subscription of a topic."""

    def properties(self, created: str) -> dict[str, Any]:
        """As in an answer."""
        return {
            **self.shared(created),
            **_RECEIVED,
            "messageCount": self.message_count,
            "deadLetteringOnFilterEvaluationExceptions": True,
            "isClientAffine": False,
        }


class Topic(_Entity):
    """A topic; of messages it holds itself those only that are scheduled."""

    size_in_bytes: Count = 0
    subscriptions: tuple[Subscription, ...] = ()

    def properties(self, created: str) -> dict[str, Any]:
        """As in an answer."""
        return {
            **self.shared(created),
            **_STORED,
            "sizeInBytes": self.size_in_bytes,
            "supportOrdering": True,
            "subscriptionCount": len(self.subscriptions),
        }


class Namespace(_Given):
    """A namespace; where no location is given it is in westeurope."""

    resource_id: str
    location: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9]*$")] = "westeurope"
    queues: tuple[Queue, ...] = ()
    topics: tuple[Topic, ...] = ()

    def properties(self, created: str) -> dict[str, Any]:
        """As in an answer."""
        name = self.resource_id.rpartition("/")[2]
        return {
            "provisioningState": "Succeeded",
            "createdAt": created,
            "updatedAt": created,
            "serviceBusEndpoint": f"https://{name}.servicebus.windows.net:443/",
            "status": "Active",
        }


class Given(_Given):
    """All namespaces, and the most items that a page of any ARM list may hold."""

    namespaces: tuple[Namespace, ...]
    page_size: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        """Refuse IDs that name something else, and names that are there twice."""
        _each_once("namespaces", [each.resource_id.lower() for each in self.namespaces])
        for index, each in enumerate(self.namespaces):
            where = f"namespaces[{index}]"
            given = each.resource_id
            if not is_resource(given) or type_and_name(given)[0].lower() != NAMESPACE_TYPE.lower():
                raise ValueError(
                    f"{where}.resourceId: '{given}' does not name a Service Bus namespace"
                )
            _each_once(f"{where}.queues", [queue.key for queue in each.queues])
            _each_once(f"{where}.topics", [topic.key for topic in each.topics])
            for number, topic in enumerate(each.topics):
                keys = [subscription.key for subscription in topic.subscriptions]
                _each_once(f"{where}.topics[{number}].subscriptions", keys)


class ServiceBus:
    """The namespaces, and when they were put there."""

    def __init__(self, created: str, given: Given | None = None) -> None:
        self.given = given or Given(namespaces=())
        self.created = created
        self.page_size = self.given.page_size  # The most items on a page, if that was set.

    def find(self, resource_id: str) -> Namespace | None:
        """Return the namespace of an ID."""
        wanted = resource_id.lower()
        return next((x for x in self.given.namespaces if x.resource_id.lower() == wanted), None)


# What entities that messages are received from are set to by default.
_RECEIVED = {
    "lockDuration": "PT1M",
    "requiresSession": False,
    "deadLetteringOnMessageExpiration": False,
    "maxDeliveryCount": 10,
}

# What entities that messages are sent to are set to by default.
_STORED = {
    "maxSizeInMegabytes": 1024,
    "maxMessageSizeInKilobytes": 256,
    "requiresDuplicateDetection": False,
    "duplicateDetectionHistoryTimeWindow": "PT10M",
    "enablePartitioning": False,
    "enableExpress": False,
}


def _each_once(where: str, keys: list[str]) -> None:
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise ValueError(f"{where}[{index}]: '{key}' is there already")
