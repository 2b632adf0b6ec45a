"""Name the errors of the host by what follows from them.

ConfigurationError            the host does not start; the user corrects a file or a setting
└── DisabledError             one function does not run, the others do
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
    """Name the file or setting because of which the app cannot run, and what it may be."""


class DisabledError(ConfigurationError):
    """Name the setting because of which one function does not run."""


class StorageError(Exception):
    """Say why the storage service could not do what was asked."""


class QueueMissingError(StorageError):
    """Say that the queue does not exist."""


class MessageGoneError(StorageError):
    """Say that the pop receipt of the message is not valid anymore."""
