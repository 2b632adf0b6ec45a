"""What goes wrong in the host, by who can put it right.

ConfigurationError            the user, before anything runs
StorageError                  nobody: the service will be asked again
├── QueueMissingError         the queue does not exist (yet)
└── MessageGoneError          the message was deleted, or somebody else has taken it
"""

__all__ = ["ConfigurationError", "MessageGoneError", "QueueMissingError", "StorageError"]


class ConfigurationError(Exception):
    """The message names the file or setting, the value and what it may be."""


class StorageError(Exception):
    """The storage service refused, failed or could not be reached."""


class QueueMissingError(StorageError):
    """There is no such queue."""


class MessageGoneError(StorageError):
    """The message exists no more under the pop receipt we hold."""
