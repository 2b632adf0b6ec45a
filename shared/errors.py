"""Errors, by what the caller does about them.

RelayError
├── ConfigurationError   fix the setting that the text names
├── ValidationError      dead-letter what is invalid, publish the rest
│   └── ExpiredError     the same, for a time that the store no longer accepts
├── DeferredError        fail the invocation: the host shows the message again
├── TokenError           retry later: the credential returned no token
├── RegionError          retry later: the region of a resource is unknown
└── SourceError          report it, and sample the rest of the source
    └── DeadlineError    the same, for what the deadline left no time for
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "DeadlineError",
    "DeferredError",
    "ExpiredError",
    "RegionError",
    "RelayError",
    "SourceError",
    "TokenError",
    "ValidationError",
    "join_paths",
]


class RelayError(Exception):
    """Base of every error that Metric Relay raises on purpose."""


class ConfigurationError(RelayError):
    """An app setting is missing or invalid; the text names setting, value and expectation."""


class ValidationError(RelayError):
    """A part of a document is invalid.

    `path` locates the part (`points[3].dimensions`), `text` says what was found and the limit.
    """

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path.rstrip(':')}: {text}" if path else text)
        self.path = path
        self.text = text

    def within(self, path: str) -> ValidationError:
        """Return the same error seen from an enclosing part: `metric` within `points[3]`."""
        return type(self)(join_paths(path, self.path), self.text)


class ExpiredError(ValidationError):
    """A time is older than the store accepts."""


class DeferredError(RelayError):
    """A message cannot be settled now; it stays in the ingress queue."""


class TokenError(RelayError):
    """The credential returned no token; the text names the credential and the cause."""


class RegionError(RelayError):
    """The region of a resource cannot be determined; the text says why and what helps."""


class SourceError(RelayError):
    """A source cannot be sampled, or only in part; the text says what failed and why."""


class DeadlineError(SourceError):
    """A request was not started because the deadline of the tick would pass first."""


def join_paths(outer: str, inner: str) -> str:
    """Join two paths: `[2]` and `points[0]` make `[2].points[0]`; either may be empty."""
    if not outer or not inner:
        return outer or inner
    if outer.endswith(":"):
        return f"{outer} {inner}"
    return f"{outer}{inner}" if inner.startswith("[") else f"{outer}.{inner}"
