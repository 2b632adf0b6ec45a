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
    """The app cannot run; the message names the file or setting, and what it may be."""


class DisabledError(ConfigurationError):
    """A setting of one function is missing or wrong."""


class StorageError(Exception):
    """The storage service refused, failed or could not be reached."""


class QueueMissingError(StorageError):
    """The queue does not exist."""


class MessageGoneError(StorageError):
    """The pop receipt of the message is not valid anymore."""
