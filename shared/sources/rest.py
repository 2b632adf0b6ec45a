"""Numbers out of any JSON over HTTPS, by JMESPath, the language of `az --query`.

`items` finds the list of things that are measured (the whole answer is one thing if it is
missing); each expression of `metrics` and `dimensions` is applied to a thing. One request a
sample, and one for each further page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from msgspec import Meta

from shared.clients.deadline import Deadline
from shared.clients.json_client import JsonClient
from shared.errors import SourceError
from shared.messages.refusal import RefusedError
from shared.messages.schema import Name
from shared.messages.validation import check_dimension_names
from shared.model import MAX_DIMENSIONS, MAX_NAME_LENGTH
from shared.resource_ids import shown
from shared.sources.base import Context, Finding, Kind, Problem, Source, SourceConfig, Target

__all__ = ["REST", "RestConfig"]

# Requests a second to one host.
_PER_SECOND = 10.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

Expression = Annotated[str, Meta(min_length=1, description="JMESPath.")]


class RestConfig(SourceConfig, kw_only=True):
    """An address that answers with JSON, and what in it is a number worth keeping."""

    url: Annotated[
        str,
        Meta(
            description="https://…; answers GET with JSON.",
            extra_json_schema={"pattern": "^https?://[^/]"},
        ),
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
        Meta(description="Expression of the list of things measured; the answer if missing."),
    ] = None
    item_dimensions: Annotated[
        dict[Name, Expression],
        Meta(
            description="Dimension name -> expression of its value in an item.",
            extra_json_schema={"maxProperties": MAX_DIMENSIONS},
        ),
    ] = msgspec.field(default_factory=dict)
    next_link: Annotated[
        Expression, Meta(description="Expression of the next page's address; null on the last.")
    ] = "nextLink"


class _Rest:
    """Samples one address."""

    def __init__(
        self,
        name: str,
        url: str,
        target: Target,
        client: JsonClient,
        expressions: _Expressions,
    ) -> None:
        self.name = name
        self.target = target
        self._url = url
        self._client = client
        self._expressions = expressions

    def sample(self, now: datetime, until: Deadline) -> Iterator[Finding]:
        for page in self._client.pages(self._url, self._expressions.next_page, until):
            for item in self._expressions.items_of(page):
                yield from self._measure(item, now)

    def _measure(self, item: Any, now: datetime) -> Iterator[Finding]:
        try:
            own = self._expressions.dimensions_of(item)
        except SourceError as exc:
            yield Problem(str(exc))
            return
        for metric, expression in self._expressions.metrics.items():
            try:
                value = _number(_search(expression, item))
            except SourceError as exc:
                yield Problem(f"metrics.{metric}: {exc}")
            else:
                yield self.target.point(metric, value, now, own)


class _Expressions:
    """The compiled expressions of an entry."""

    def __init__(self, config: RestConfig) -> None:
        self._items = _compiled("items", config.items) if config.items else None
        self._next = _compiled("nextLink", config.next_link)
        self.metrics = {
            name: _compiled(f"metrics.{name}", text) for name, text in config.metrics.items()
        }
        self._dimensions = {
            name: _compiled(f"itemDimensions.{name}", text)
            for name, text in config.item_dimensions.items()
        }

    def next_page(self, page: Any) -> Any:
        """The address of the next page, or None."""
        return _search(self._next, page)

    def items_of(self, page: Any) -> list[Any]:
        """The things that are measured. Raises SourceError when `items` finds no list."""
        if self._items is None:
            return [page]
        items = _search(self._items, page)
        if not isinstance(items, list):
            raise SourceError(f"items: found {_shown(items)}, expected a list")
        return items

    def dimensions_of(self, item: Any) -> Mapping[str, str]:
        """The dimensions of an item. Raises SourceError for a value that is none."""
        found: dict[str, str] = {}
        for name, expression in self._dimensions.items():
            try:
                value = _search(expression, item)
            except SourceError as exc:
                raise SourceError(f"itemDimensions.{name}: {exc}") from exc
            text = value if isinstance(value, str) else _text(value)
            if text is None or not 0 < len(text) <= MAX_NAME_LENGTH:
                raise SourceError(
                    f"itemDimensions.{name}: {_shown(value)} is not text of 1 to "
                    f"{MAX_NAME_LENGTH} characters"
                )
            found[name] = text
        return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SourceError(f"{_shown(value)} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SourceError(f"{_shown(value)} is not a finite number of double precision")
    return number


def _text(value: Any) -> str | None:
    """A number or truth value as a dimension's value; nothing else makes one."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else None


def _compiled(path: str, text: str) -> ParsedResult:
    try:
        return jmespath.compile(text)
    except (JMESPathError, RecursionError) as exc:
        first = str(exc).partition("\n")[0]
        raise RefusedError(path, f"{shown(text)} does not compile as JMESPath: {first}") from exc


def _search(expression: ParsedResult, document: Any) -> Any:
    """What the expression finds. Raises SourceError for a function used on the wrong type."""
    try:
        return expression.search(document)
    # The library has errors of its own for types alone: ceil(…) of infinity is Python's.
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as exc:
        raise SourceError(str(exc).partition("\n")[0]) from exc


def _shown(value: Any) -> str:
    """What was found, as JSON has it; cut when it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return shown(value, 80)
    text = str(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _open(name: str, config: RestConfig, context: Context) -> Source:
    check_dimension_names("itemDimensions", config.item_dimensions)
    target = Target.of(config, context, own=tuple(config.item_dimensions))
    expressions = _Expressions(config)
    gate = context.gate(_checked_url(config.url), _PER_SECOND)
    tokens = context.tokens(config.audience) if config.audience else None
    client = JsonClient(context.session, gate, tokens)
    return _Rest(name, config.url, target, client, expressions)


def _checked_url(url: str) -> str:
    """Host and port of the address. Over TLS, or on this machine: a token may go there."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        wrong = parts.username is not None or parts.port == 0
    except ValueError as exc:
        raise RefusedError("url", f"{_without_query(url)} is not an address: {exc}") from exc
    if wrong or not host or parts.scheme not in ("https", "http"):
        raise RefusedError(
            "url", f"{_without_query(url)} is not an address that begins with https://"
        )
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise RefusedError(
            "url", f"{_without_query(url)} is neither over https:// nor on this machine"
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{host}:{port}"


def _without_query(url: str) -> str:
    """For a log: keys are often in the query."""
    return shown(url.partition("?")[0])


REST = Kind(RestConfig, _open)
