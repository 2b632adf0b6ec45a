"""Numbers from any JSON over HTTPS, by JMESPath, the language of `az --query`.

`items` finds the list of things that are measured (if it is missing, the whole response is one);
each expression of `metrics` and `itemDimensions` is applied to an item. One request for each page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from msgspec import Meta

from shared.clients.http import Deadline
from shared.clients.json_client import JsonClient
from shared.errors import SourceError, ValidationError
from shared.messages.schema import Name
from shared.messages.validation import validate_dimension_names
from shared.model import MAX_NAME_LENGTH
from shared.sources.base import (
    SOME_DIMENSIONS,
    Context,
    Kind,
    SampleError,
    SamplePart,
    SourceConfig,
    SourceDestination,
    validate_url_member,
)
from shared.text import clean, quoted

__all__ = ["KIND", "RestConfig"]

# Requests per second to one host.
MAX_PER_SECOND = 10.0
# Characters of a value in an error.
_MAX_SHOWN = 80
_HALF_PAIR = re.compile("[\ud800-\udfff]")

Expression = Annotated[str, Meta(min_length=1, description="JMESPath.")]


class RestConfig(SourceConfig, kw_only=True):
    """A URL that returns JSON, and the numbers to take from it."""

    url: Annotated[
        str,
        Meta(description="https://…; returns JSON for GET."),
        Meta(extra_json_schema={"pattern": "^https?://[^/]"}),
    ]
    metrics: Annotated[
        dict[Name, Expression],
        Meta(min_length=1, description="Metric name -> expression of its value in an item."),
    ]
    audience: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Audience of a token of the app's identity; anonymous if missing."),
    ] = None
    items: Annotated[
        Expression | None,
        Meta(description="Expression of the list of items; the whole response if missing."),
    ] = None
    item_dimensions: Annotated[
        dict[Name, Expression],
        Meta(description="Dimension name -> expression of its value in an item."),
        SOME_DIMENSIONS,
    ] = msgspec.field(default_factory=dict)
    next_link: Annotated[
        Expression, Meta(description="Expression of the next page's URL; null on the last page.")
    ] = "nextLink"


@dataclass(repr=False)
class _Rest:
    """Samples one URL."""

    name: str
    destination: SourceDestination
    url: str
    client: JsonClient
    items: ParsedResult | None
    next_link: ParsedResult
    metrics: Mapping[str, ParsedResult]
    dimensions: Mapping[str, ParsedResult]

    def sample(self, now: datetime, deadline: Deadline) -> Iterator[SamplePart]:  # noqa: ARG002
        for page in self.client.pages(self.url, partial(_search, self.next_link), deadline):
            items = [page] if self.items is None else _search(self.items, page)
            if not isinstance(items, list):
                raise SourceError(f"items: found {_shown(items)}, expected a list")
            for item in items:
                yield from self._measure(item)

    def _measure(self, item: Any) -> Iterator[SamplePart]:
        dimensions: dict[str, str] = {}
        for name, expression in self.dimensions.items():
            try:
                dimensions[name] = _dimension_value(_search(expression, item))
            except SourceError as exc:
                yield SampleError(f"itemDimensions.{name}: {exc}")
                return
        for metric, expression in self.metrics.items():
            try:
                value = _number(_search(expression, item))
            except SourceError as exc:
                shown = ", ".join(f"{name}={_shown(text)}" for name, text in dimensions.items())
                of_item = f" of {shown}" if shown else ""
                yield SampleError(f"metrics.{metric}{of_item}: {exc}")
            else:
                yield self.destination.measurement(metric, value, dimensions)


def _dimension_value(value: Any) -> str:
    """Return text; a number or truth value is converted, 1.0 as 1: they are one series."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).lower() if isinstance(value, bool | int | float) else value
    if isinstance(text, str) and 0 < len(text) <= MAX_NAME_LENGTH:
        if _HALF_PAIR.search(text):
            raise SourceError(f"{_shown(value)} contains half of a surrogate pair")
        return text
    raise SourceError(f"{_shown(value)} is not text of 1 to {MAX_NAME_LENGTH} characters")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; to_number(…) converts text" if isinstance(value, str) else ""
        raise SourceError(f"{_shown(value)} is not a number{hint}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SourceError(f"{_shown(value)} is not a finite double")
    return number


def _compile_all(path: str, texts: Mapping[str, str]) -> dict[str, ParsedResult]:
    return {name: _compile(f"{path}.{name}", text) for name, text in texts.items()}


def _compile(path: str, text: str) -> ParsedResult:
    try:
        return jmespath.compile(text)
    except (JMESPathError, RecursionError) as exc:
        first = clean(str(exc).partition("\n")[0])
        raise ValidationError(path, f"{quoted(text)} is not valid JMESPath: {first}") from exc


def _search(expression: ParsedResult, document: Any) -> Any:
    """Return what an expression finds. Raises SourceError, such as for a function's wrong type."""
    try:
        return expression.search(document)
    # The library's own errors are ValueErrors; others come from Python: ceil(…) of infinity.
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as exc:
        raise SourceError(clean(str(exc))) from exc


def _shown(value: Any) -> str:
    """Return a value as JSON has it, cut if it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, str):
        return quoted(value, _MAX_SHOWN)
    text = "null" if value is None else str(value).lower()
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _open(name: str, config: RestConfig, context: Context) -> _Rest:
    validate_dimension_names("itemDimensions", config.item_dimensions)
    destination = SourceDestination.of(config, context, config.item_dimensions)
    url = validate_url_member("url", config.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    rate_limiter = context.rate_limiter(f"{url.hostname}:{port}", MAX_PER_SECOND)
    tokens = context.tokens(config.audience) if config.audience else None
    return _Rest(
        name,
        destination,
        config.url,
        JsonClient(context.session, rate_limiter, tokens),
        items=_compile("items", config.items) if config.items else None,
        next_link=_compile("nextLink", config.next_link),
        metrics=_compile_all("metrics", config.metrics),
        dimensions=_compile_all("itemDimensions", config.item_dimensions),
    )


KIND = Kind(RestConfig, _open)
