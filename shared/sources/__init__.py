"""What the timer samples: METRICS_SOURCES, one file here for each kind of source.

To add a kind: write `shared/sources/<kind>.py` with a config type, an `open_…` function and the
two as a `Kind` of the same name in capitals; and add the name to `KINDS`. It is imported when an
entry names it.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

import msgspec
from msgspec import Raw

from shared.errors import RelayError
from shared.messages.refusal import RefusedError, decoded
from shared.resource_ids import shown
from shared.sources.base import Context, Finding, Kind, Problem, Source

__all__ = ["KINDS", "Context", "Finding", "Problem", "Source", "kind_of", "load_sources"]

KINDS = ("storage_queue", "service_bus", "rest")

LOG = logging.getLogger(__name__)

_ARRAY = msgspec.json.Decoder(list[Raw])
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_ANY = msgspec.json.Decoder(object)


def kind_of(name: str) -> Kind[Any]:
    """The kind of a name in `KINDS`."""
    kind: Kind[Any] = getattr(import_module(f"{__name__}.{name}"), name.upper())
    return kind


def load_sources(text: str, context: Context) -> tuple[list[Source], list[str]]:
    """The sources of METRICS_SOURCES, and what is wrong with those that cannot be opened.

    Never raises: the queue is drained whatever stands there.
    """
    try:
        entries = decoded(_ARRAY, text.encode())
    except (RefusedError, UnicodeEncodeError) as exc:
        return [], [f"METRICS_SOURCES: {exc}; expected a JSON array of sources"]
    sources: list[Source] = []
    problems: list[str] = []
    for index, entry in enumerate(entries):
        where = f"METRICS_SOURCES[{index}]"
        try:
            sources.append(_open(where, bytes(entry), context))
        except RefusedError as refused:
            problems.append(str(refused.within(where)))
        except RelayError as exc:
            problems.append(f"{where}: {exc}")
        except Exception as exc:
            LOG.exception("%s cannot be opened", where)
            problems.append(f"{where}: {exc!r}")
    return sources, problems


def _open(where: str, entry: bytes, context: Context) -> Source:
    members = decoded(_MEMBERS, entry)
    if "kind" not in members:
        raise RefusedError("kind", f"missing; known kinds are {', '.join(KINDS)}")
    try:
        name = decoded(_ANY, bytes(members["kind"]))
    except RefusedError as refused:
        raise refused.within("kind") from refused
    if not isinstance(name, str) or name not in KINDS:
        raise RefusedError("kind", f"{shown(str(name))} is not one of {', '.join(KINDS)}")
    kind = kind_of(name)
    return kind.open(where, decoded(msgspec.json.Decoder(kind.config), entry), context)
