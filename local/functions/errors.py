"""What goes wrong in the host, by who can put it right.

ConfigurationError            the user, before anything runs
└── DisabledError             the user, and only one function does not run
StorageError                  it ends the host, as in Azure
├── QueueMissingError         the queue does not exist (yet): the host goes on
└── MessageGoneError          the message was deleted or taken by another host, which goes on
"""

__all__ = [
    "ConfigurationError",
    "DisabledError",
    "MessageGoneError",
    "QueueMissingError",
    "StorageError",
]


class ConfigurationError(Exception):
    """The message names the file or setting, the value and what it may be."""


class DisabledError(ConfigurationError):
    """A setting of one function is missing or wrong."""


class StorageError(Exception):
    """The storage service refused, failed or could not be reached."""


class QueueMissingError(StorageError):
    """There is no such queue."""


class MessageGoneError(StorageError):
    """The message exists no more under the pop receipt we hold."""
