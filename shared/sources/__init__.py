"""What the timer samples: METRICS_SOURCES, with one module for each kind of source.

To add a kind, write `shared/sources/<kind>.py` with the type of its entries, a function that
opens one, and both as `KIND`; then add it to `KINDS`.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

import msgspec
from msgspec import Raw

from shared.errors import RelayError, ValidationError
from shared.messages.json_decoding import decode
from shared.messages.schema import Name
from shared.sources.base import Context, Kind, Measurement, SampleError, Source
from shared.text import quoted

__all__ = ["KINDS", "Context", "Measurement", "SampleError", "Source", "load_kind", "load_sources"]

# Name -> module, which is imported when an entry names it.
KINDS = {
    "storage_queue": "shared.sources.storage_queue",
    "service_bus": "shared.sources.service_bus",
    "rest": "shared.sources.rest",
}

LOG = logging.getLogger(__name__)


class _Entry(msgspec.Struct):
    """The members of an entry that say what the others are, and what its errors begin with."""

    kind: str
    name: Name | None = None


_ENTRIES = msgspec.json.Decoder(list[Raw])
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_ENTRY = msgspec.json.Decoder(_Entry)


def load_kind(name: str) -> Kind[Any]:
    """Return the kind of a name in `KINDS`."""
    kind: Kind[Any] = import_module(KINDS[name]).KIND
    return kind


def load_sources(text: str, context: Context) -> tuple[list[Source], list[str]]:
    """Return the sources of METRICS_SOURCES, and an error for each that cannot be opened.

    Never raises: an invalid source does not stop the queue function.
    """
    try:
        # Editors and shells of Windows begin a file with a byte order mark.
        entries = decode(_ENTRIES, text.lstrip("\ufeff \t\r\n").encode())
    except (ValidationError, UnicodeEncodeError) as exc:
        return [], [f"METRICS_SOURCES: {exc}; expected a JSON array of sources"]
    sources: list[Source] = []
    errors: list[str] = []
    names: set[str] = set()
    for index, raw in enumerate(entries):
        path = name = f"METRICS_SOURCES[{index}]"
        try:
            # A member that is null is as good as missing.
            members = decode(_MEMBERS, bytes(raw)).items()
            given = msgspec.json.encode({k: v for k, v in members if bytes(v) != b"null"})
            entry = decode(_ENTRY, given)
            if (name := entry.name or name) in names:
                errors.append(f"{path}.name: {quoted(name)} is the name of another source")
                continue
            names.add(name)
            path = f"{name}:" if entry.name else name
            sources.append(_open(name, entry.kind, given, context))
        except ValidationError as exc:
            errors.append(str(exc.within(path)))
        except RelayError as exc:
            errors.append(f"{name}: {exc}")
        except Exception:
            LOG.exception("Unexpected error while opening %s", name)
            errors.append(f"{name}: unexpected error")
    return sources, errors


def _open(name: str, kind_name: str, entry: bytes, context: Context) -> Source:
    if kind_name not in KINDS:
        raise ValidationError("kind", f"{quoted(kind_name)} is not one of {', '.join(KINDS)}")
    kind = load_kind(kind_name)
    return kind.open(name, decode(msgspec.json.Decoder(kind.config), entry), context)
