"""What can go wrong, by what the caller does about it.

    RelayError
    ├── ConfigurationError   fix the setting that the message names
    ├── RegionError          the region of a resource is not known; its points wait
    ├── SourceError          the source gives no more at this tick; the others go on
    │   └── LateError        there was no time left to ask it
    ├── TokenError           the identity gave no token; try again later
    └── DeferredError        let the invocation fail: the host shows the message again

What a producer sent wrong is no exception but a `Rejection` (see model): it goes to the
dead-letter queue beside the points that are right.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "DeferredError",
    "LateError",
    "RegionError",
    "RelayError",
    "SourceError",
    "TokenError",
]


class RelayError(Exception):
    """Whatever Metric Relay raises on purpose."""


class ConfigurationError(RelayError):
    """An app setting is missing or wrong; the text names it, its value and what was expected."""


class RegionError(RelayError):
    """Where a resource is could not be found out; the text says why and what helps."""


class SourceError(RelayError):
    """A source could not be sampled, or not to its end; the text says what and why."""


class LateError(SourceError):
    """A source was not asked, for its turn would have come after the tick's deadline."""


class TokenError(RelayError):
    """The app's identity gave no token; the text says which credential and why."""


class DeferredError(RelayError):
    """Nothing of a message could be settled now; it stays in the ingress queue."""
