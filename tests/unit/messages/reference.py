"""A simple reader of bodies: what the parser has to account for.

It reads with Python's own JSON, does not validate, and says what each part stands for.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import re
import string
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from shared.messages.parser import Parsed
from shared.messages.validation import Defaults
from shared.model import Rejection, Rollup, ValueSet
from tests.unit.builders import without_none

__all__ = ["Value", "assert_accounted", "contents"]

# A part with all that its document says of it, as JSON.
Part = str
# Region, resource ID, minute, namespace, metric, dimensions, values.
Value = tuple[str, str, str, str, str, str, ValueSet]

# Numbers outside strings that are not finite, and bytes that encode half of a surrogate pair.
_NOT_FINITE = re.compile(r'("(?:[^"\\\n]|\\[^\n])*"?)|[+-]?(?:nan|infinity|inf)\b', re.IGNORECASE)
_SPACE = string.whitespace  # Of ASCII.
_HALF_PAIR = re.compile("\udced[\udca0-\udcbf][\udc80-\udcbf]")


def assert_accounted(body: bytes, parsed: Parsed, defaults: Defaults, enqueued: datetime) -> None:
    """Assert that every part of a body is rejected or in the roll-ups, and nothing else is."""
    parts = Counter(_parts(body))
    rejected = Counter(part for one in parsed.rejections for part in _rejected_parts(one, body))
    assert rejected <= parts, rejected - parts
    expected = Counter(_value(part, defaults, enqueued) for part in (parts - rejected).elements())
    assert contents(parsed.rollups) == expected


def contents(rollups: Iterable[Rollup]) -> Counter[Value]:
    """Return every value of roll-ups."""
    found: Counter[Value] = Counter()
    for rollup in rollups:
        target = rollup.target
        for minute, group in rollup.minutes.items():
            for series, values in group.items():
                dimensions = json.dumps(series.dimensions, sort_keys=True)
                for value in values:
                    key = target.region, target.resource_id, minute.isoformat()
                    value_set = value if isinstance(value, ValueSet) else _value_set([value])
                    found[*key, series.namespace, series.metric, dimensions, value_set] += 1
    return found


def _rejected_parts(rejection: Rejection, body: bytes) -> list[Part]:
    if rejection.content.startswith(b'"') and rejection.content != body:
        return [json.dumps(_load_or_text(rejection.content.decode(errors="surrogateescape")))]
    if rejection.points > 1:
        with contextlib.suppress(ValueError):
            _load(rejection.content.decode())
            return _parts(rejection.content)
        # Lines share it, of which one at least is not JSON.
        return [part for line in rejection.content.split(b"\n") for part in _parts(line)]
    return _parts(rejection.content)


def _parts(body: bytes) -> list[Part]:
    """Return the points and series of a body, and the documents that have none."""
    text = _NOT_FINITE.sub(lambda found: found[1] or "1e999", _decoded(body))
    documents = []
    while text:
        documents.append(_first_document(text))
        text = text[len(documents[-1]) :].lstrip(" \t\r\n")
    loaded = [_load_or_text(document) for document in documents]
    return [json.dumps(part, sort_keys=True) for one in loaded for part in _document_parts(one)]


def _first_document(text: str) -> str:
    """Return the JSON that a text begins with, or what stands before the next document."""
    try:
        return text[: json.JSONDecoder().raw_decode(text)[1]]
    except (ValueError, RecursionError):
        lines = text.split("\n")
    for number, line in enumerate(lines[1:], 1):
        is_object = line.startswith("{") and isinstance(_load_or_text(line), dict)
        if is_object and ('"points"' in line or '"data"' in line):
            return "\n".join([*lines[:number], ""])
    return text


def _decoded(body: bytes) -> str:
    text = body.decode(errors="surrogateescape").strip(_SPACE).removeprefix("\ufeff").strip(_SPACE)
    if found := re.fullmatch(r"b'([^'\\]*)'", text):
        text = found[1]
    elif text.startswith('"'):
        with contextlib.suppress(ValueError):
            text = json.loads(text)
            text.encode()
    text = text.strip(_SPACE).removeprefix("\ufeff").strip(_SPACE)
    if not text.startswith(("{", "[")):
        try:
            joined = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
            decoded = base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True)
        except ValueError:
            return text
        if not decoded.strip().removeprefix(b"\xef\xbb\xbf").strip().startswith((b"{", b"[")):
            return text
        text = decoded.decode(errors="surrogateescape")
    text = text.strip(_SPACE).removeprefix("\ufeff").strip(_SPACE)
    return _HALF_PAIR.sub(_half_pair, text)


def _half_pair(found: re.Match[str]) -> str:
    return found[0].encode(errors="surrogateescape").decode(errors="surrogatepass")


def _load(text: str) -> Any:
    """Return the JSON, with one text for all numbers that are not finite. Raises ValueError."""

    def number(text: str) -> object:
        value = float(text)
        return value if math.isfinite(value) else "not finite"

    try:
        content = json.loads(text, parse_float=number, parse_int=number)
    except RecursionError as exc:
        raise ValueError from exc
    return content


def _load_or_text(line: str) -> Any:
    try:
        return _load(line)
    except ValueError:
        return line.strip(_SPACE)


def _document_parts(document: Any) -> list[Any]:
    """Return each point or series alone in its document, or the document."""
    if isinstance(document, list) and document:
        return [part for one in document for part in _document_parts(one)]
    if not isinstance(document, dict):
        return [document]
    document = without_none(document)
    data = document.get("data")
    if isinstance(data, dict) and isinstance(data.get("baseData"), dict):
        base = without_none(data["baseData"])
        document["data"] = {**data, "baseData": base}
        if isinstance(base.get("series"), list) and base["series"]:
            return [
                {**document, "data": {**data, "baseData": {**base, "series": [one]}}}
                for one in base["series"]
            ]
    elif "data" not in document and isinstance(document.get("points"), list):
        return [{**document, "points": [one]} for one in document["points"]] or [document]
    return [document]


def _value(part: Part, defaults: Defaults, enqueued: datetime) -> Value:
    """Return what a valid part stands for."""
    document: dict[str, Any] = json.loads(part)
    if "data" in document:
        base = document["data"]["baseData"]
        (one,) = base["series"]
        names, values = base.get("dimNames") or [], one.get("dimValues") or []
        dimensions = dict(zip(names, values, strict=True))
        point = {**one, "metric": base["metric"], "dimensions": dimensions}
        point.update(time=document.get("time"), namespace=base.get("namespace"))
    else:
        (point,) = document["points"]
    document = {**document, **without_none(point)}
    time = enqueued
    if document.get("time"):
        time = datetime.fromisoformat(document["time"].upper())
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return (
        document.get("region", defaults.region).replace(" ", "").lower(),
        document.get("resourceId", defaults.resource_id or ""),
        time.replace(second=0, microsecond=0).isoformat(),
        document.get("namespace", defaults.namespace),
        document["metric"],
        json.dumps(document.get("dimensions") or {}, sort_keys=True),
        _point_values(point),
    )


def _point_values(point: dict[str, Any]) -> ValueSet:
    point = without_none(point)
    if "value" in point:
        return _value_set([point["value"]])
    if "values" in point:
        return _value_set(point["values"])
    return ValueSet(point["min"], point["max"], point["sum"], int(point["count"]))


def _value_set(values: list[float]) -> ValueSet:
    return ValueSet(min(values), max(values), math.fsum(values), len(values))
