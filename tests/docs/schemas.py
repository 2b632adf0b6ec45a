"""Write the JSON Schemas in docs/ from the types of the parsers: `python -m tests.docs.schemas`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared.messages.schema import Document, Name, PointIn, Points, SeriesIn
from shared.model import MAX_DIMENSIONS
from shared.sources import KINDS, load_kind

__all__ = ["SCHEMAS", "message_schema", "sources_schema", "write"]

# A point has exactly one of these groups of members; the types cannot say that.
_FORMS = (["value"], ["values"], ["min", "max", "sum", "count"])

# What msgspec appends to the names of generic types: Points_Point_, and the title Points[Point].
_PARAMETER = re.compile(r"_(?:Point|SeriesIn)_|\[(?:Point|SeriesIn)\]")

DOCS = Path(__file__).parents[2] / "docs"

_Dimensions = Annotated[
    dict[Name, Name],
    Meta(max_length=MAX_DIMENSIONS, description="Names and values; the order does not matter."),
]


class Point(PointIn, kw_only=True):
    """One point: exactly one of value, values, or min with max, sum and count."""

    # The decoder leaves these undecoded, and msgspec cannot describe that.
    dimensions: _Dimensions | None = None  # type: ignore[assignment]


def message_schema() -> dict[str, Any]:
    """Return the JSON Schema of a queue message: one document, or an array of them."""
    (points, document), parts = msgspec.json.schema_components(
        [Points[Point], Document[SeriesIn]], ref_template="#/$defs/{name}"
    )
    parts["Point"]["oneOf"] = [_only(form) for form in _FORMS]
    either = {"anyOf": [points, document]}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Metric Relay message",
        "description": "What the ingress queue takes: one document, or an array of them. "
        "(Or one document a line, which a JSON Schema cannot say.)",
        "anyOf": [*either["anyOf"], {"type": "array", "items": either, "minItems": 1}],
        "$defs": parts,
    }
    named: dict[str, Any] = json.loads(_PARAMETER.sub("", json.dumps(schema)))
    return named


def sources_schema() -> dict[str, Any]:
    """Return the JSON Schema of METRICS_SOURCES: an array of sources of any kind."""
    sources, parts = msgspec.json.schema_components(
        [load_kind(name).config for name in KINDS], ref_template="#/$defs/{name}"
    )
    for name, reference in zip(KINDS, sources, strict=True):
        source = parts[reference["$ref"].rpartition("/")[2]]
        source["properties"]["kind"] = {"const": name}
    parts["StorageQueueConfig"]["oneOf"] = [
        {"required": [name], "properties": {name: {"type": "string"}}}
        for name in ("account", "connection")
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Metric Relay sources",
        "description": "What the app setting METRICS_SOURCES takes.",
        "type": "array",
        "items": {"anyOf": list(sources)},
        "$defs": parts,
    }


def _only(form: list[str]) -> dict[str, Any]:
    """Require all members of a group and none of the others; null counts as missing."""
    others = [name for other in _FORMS if other is not form for name in other]
    given = {name: {"not": {"type": "null"}} for name in form}
    return {"required": form, "properties": given | {name: {"type": "null"} for name in others}}


SCHEMAS = {"message.schema.json": message_schema, "sources.schema.json": sources_schema}


def write(folder: Path = DOCS) -> None:
    """Write the schemas into a folder."""
    for name, schema in SCHEMAS.items():
        text = json.dumps(schema(), indent=2, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
