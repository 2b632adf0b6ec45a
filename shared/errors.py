"""What can go wrong, by what the caller does about it.

    RelayError
    ├── ConfigurationError   fix the setting that the message names
    ├── SourceError          the source was not sampled; the others go on
    ├── TokenError           the identity gave no token; try again later
    └── DeferredError        let the invocation fail: the host shows the message again

What a producer sent wrong is no exception but a `Rejection` (see model): it goes to the
dead-letter queue beside the points that are right.
"""

from __future__ import annotations

__all__ = ["ConfigurationError", "DeferredError", "RelayError", "SourceError", "TokenError"]


class RelayError(Exception):
    """Whatever Metric Relay raises on purpose."""


class ConfigurationError(RelayError):
    """An app setting is missing or wrong; the text names it, its value and what was expected."""


class SourceError(RelayError):
    """A source could not be sampled; the text names the source and the reason."""


class TokenError(RelayError):
    """The app's identity gave no token; the text says which credential and why."""


class DeferredError(RelayError):
    """Nothing of a message could be settled now; it stays in the ingress queue."""
